"""Every module can be imported: the service without PyTorch, the command line without anything heavy."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import migrations
import models
import service
import training

MODULES = sorted(
    module.name
    for room in (models, training, service, migrations)
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    if not module.name.startswith(("migrations.versions.", "migrations.env"))  # Alembic runs these
)


def imported_by(statement: str) -> set[str]:
    """The top-level modules a fresh interpreter holds after one statement."""
    script = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported(module: str):
    importlib.import_module(module)


@pytest.mark.parametrize("room", ["models", "service"])
def test_nothing_outside_training_brings_in_torch_or_training(room: str):
    modules = [name for name in MODULES if name.partition(".")[0] == room]

    held = imported_by(f"import {', '.join([room, *modules])}")

    assert not held & {"torch", "onnxscript", "training"}


def test_training_brings_in_no_web_no_database_and_no_service():
    modules = [name for name in MODULES if name.partition(".")[0] == "training"]

    held = imported_by(f"import {', '.join(['training', *modules])}")

    assert not held & {"fastapi", "sqlalchemy", "redis", "service"}


def test_the_command_line_alone_brings_in_nothing_heavy():
    held = imported_by("import amrs")

    assert not held & {
        "torch",
        "polars",
        "pyarrow",
        "numpy",
        "onnxruntime",
        "faiss",
        "fastapi",
        "sqlalchemy",
        "pydantic",
    }
