"""The compose file sets what the service reads, locks what it runs, and points at files that are there.

There may be no container engine where this runs: what is checked is what the files say, the service's own view of
the environment they give it, and (tests/system/test_topology.py) the same topology as local processes.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
REPLICAS = ("service-a", "service-b")
OURS = (*REPLICAS, "upgrade", "training", "proxy", "redis", "prometheus", "machine", "grafana")
"""What runs with a read-only root; PostgreSQL's image insists on writing to its own."""
SECRETS = {
    "AMRS_DATABASE_PASSWORD": "not-a-secret",
    "AMRS_API_KEYS": "sixteen-letters-or-more",
    "AMRS_METRICS_KEY": "sixteen-letters-or-more",
    "AMRS_TOKEN_SECRET": "thirty-two-letters-or-more-of-it",
    "GRAFANA_PASSWORD": "not-a-secret",
}
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+):(?:-(?P<default>[^}]*)|\?[^}]*)\}")


def environment_of(service: str) -> dict[str, str]:
    """One service's environment as compose would fill it in."""

    def filled(variable: re.Match[str]) -> str:
        return SECRETS.get(variable["name"]) or variable["default"]

    return {
        name: VARIABLE.sub(filled, value) for name, value in COMPOSE["services"][service]["environment"].items()
    }


@pytest.mark.parametrize("replica", REPLICAS)
def test_every_variable_of_a_replica_is_a_setting(replica):
    names = {name.removeprefix("AMRS_").lower() for name in environment_of(replica)}

    assert names <= Settings.model_fields.keys()


def test_the_service_accepts_the_composed_environment(monkeypatch):
    for name, value in environment_of("service-a").items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert settings.host == "0.0.0.0"
    assert settings.database_url == "postgresql+psycopg://amrs:not-a-secret@postgres:5432/amrs"
    assert settings.trace_endpoint is None


def test_what_may_stand_in_the_environment_file_has_the_settings_own_default_and_is_documented(monkeypatch):
    composed = COMPOSE["services"]["service-a"]["environment"]
    optional = {name for name, value in composed.items() if re.fullmatch(r"\$\{\w+:-[^}]*\}", value)}
    for name in optional:
        monkeypatch.setenv(name, environment_of("service-a")[name])
    chosen = Settings()
    page = (ROOT / "docs" / "operations.md").read_text()
    (paragraph,) = [part for part in page.split("\n\n") if part.startswith("The compose file passes on")]

    for name in optional:
        field = name.removeprefix("AMRS_").lower()
        assert getattr(chosen, field) == Settings.model_fields[field].default
    assert optional <= set(re.findall(r"`(AMRS_\w+)`", paragraph))


def test_replicas_share_the_secret_the_database_the_memory_and_the_bundles():
    one, other = (COMPOSE["services"][name] for name in REPLICAS)

    assert one == other
    assert "./var/bundles:/var/lib/amrs/bundles:ro" in one["volumes"]
    assert one["environment"]["AMRS_TOKEN_SECRET"].startswith("${AMRS_TOKEN_SECRET:?")


def test_every_secret_comes_from_the_environment_file_and_is_explained_in_its_example():
    asked = {variable["name"] for variable in re.finditer(r"\$\{(?P<name>\w+):\?", yaml.safe_dump(COMPOSE))}
    lines = (ROOT / ".env.example").read_text().splitlines()

    assert asked == SECRETS.keys()
    assert {line.removesuffix("=") for line in lines if line and not line.startswith("#")} == asked
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_an_image_of_ours_has_a_tag_so_that_there_is_a_way_back():
    images = {service["image"] for service in COMPOSE["services"].values() if "build" in service}

    assert images == {f"amrs-{name}:${{AMRS_VERSION:-latest}}" for name in ("service", "training")}


@pytest.mark.parametrize("name", OURS)
def test_a_container_may_not_write_to_its_root_nor_gain_privileges(name):
    service = COMPOSE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_open_to_this_machine_only():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_file_that_is_mounted_or_built_from_is_there():
    mounted = [volume for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    files = {volume.partition(":")[0] for volume in mounted if volume.startswith("./docker")}
    files |= {service["build"]["dockerfile"] for service in COMPOSE["services"].values() if "build" in service}

    assert len(files) >= 5
    assert all((ROOT / file).exists() for file in files)


def test_the_proxy_is_told_all_that_its_configuration_asks():
    asked = set(re.findall(r'"\$\{(\w+)\}"', (ROOT / "docker" / "proxy" / "haproxy.cfg").read_text()))

    assert asked == environment_of("proxy").keys()


def test_the_proxy_and_prometheus_know_the_same_replicas():
    scraped = yaml.safe_load((ROOT / "docker" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: set(job["static_configs"][0]["targets"]) for job in scraped}
    proxied = {value for name, value in environment_of("proxy").items() if "REPLICA" in name}

    assert targets["amrs"] == proxied == {f"{name}:8000" for name in REPLICAS}
    assert targets["machine"] == {"machine:9100"}
    assert targets["proxy"] == {f"proxy{environment_of('proxy')['AMRS_PROXY_METRICS_BIND']}"}


def test_every_command_of_the_runbook_says_where_it_runs():
    """On the host, alone, `amrs` would act on a database of its own."""
    commands = re.findall(r"`([^`\n]+)`", (ROOT / "docs" / "runbook.md").read_text())

    assert [command for command in commands if command.startswith("amrs ")] == []


def instructions(dockerfile: Path) -> list[list[tuple[str, Any]]]:
    """The instructions of each stage of a Dockerfile."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text())
    stages: list[list[tuple[str, Any]]] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, rest.strip()))
    return stages


DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_is_pinned_small_and_runs_as_nobody_in_particular(dockerfile):
    stages = instructions(dockerfile)
    last = dict(stages[-1])
    bases = [dict(stage)["FROM"].split()[0] for stage in stages]

    assert all(re.fullmatch(r"python:3\.11-slim-\w+", base) for base in bases)
    assert len(stages) == 2, "what builds does not ship"
    assert last["USER"] == "10001:10001"
    assert last["CMD"].startswith("["), "a shell would swallow SIGTERM"
    assert not any(name == "ADD" or "curl" in rest for stage in stages for name, rest in stage)
    assert all("-c constraints.txt" in rest for _, rest in stages[0] if "pip install" in rest)
    known = "FROM RUN COPY ENV USER WORKDIR VOLUME EXPOSE STOPSIGNAL HEALTHCHECK CMD ARG".split()
    assert {name for stage in stages for name, _ in stage} <= set(known)


def test_the_service_image_brings_no_training_and_checks_its_health():
    build, final = instructions(ROOT / "docker" / "service.Dockerfile")
    (installed,) = [rest for _, rest in build if "pip install" in rest]

    assert "'.[service,tracing]'" in installed
    assert "/healthz" in dict(final)["HEALTHCHECK"]


def test_the_image_is_given_every_package_of_the_distribution():
    distribution = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    let_through = (ROOT / ".dockerignore").read_text()

    for source in distribution["targets"]["wheel"]["only-include"]:
        assert f"!{source}" in let_through
