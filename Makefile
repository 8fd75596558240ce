# The house's commands; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install run test check prove clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WORKERS ?= 2
ARGS ?=

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv and install everything into it

run: $(INSTALLED) ## make a bundle if none is live, then serve on 127.0.0.1:8000
	@$(BIN)/amrs up

test: $(INSTALLED) ## run the tests (ARGS="-k tokens" narrows, WORKERS=1 keeps one process)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadscope $(ARGS)

check: $(INSTALLED) ## lint, format, types, import contracts, compose file
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

prove: $(INSTALLED) ## run the slow proofs (soak, chaos, paper scale)
	@$(BIN)/pytest -m prove --timeout 0 $(ARGS)

clean: ## remove .venv and caches; var/, with its models and database, stays
	@rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) -V 2>/dev/null || echo not there)." \
	       "Name another one: make PYTHON=python3.12 install" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) comes without venv; install it (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Installing into $(VENV): several hundred MB the first time, a few minutes (details in $(VENV)/install.log)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -c constraints.txt -e '.[service,tracing,training,dev]' > $(VENV)/install.log 2>&1 || { \
	  tail -n 20 $(VENV)/install.log >&2; exit 1; }
	@touch $@
