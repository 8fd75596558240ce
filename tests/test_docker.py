"""The compose file sets what the service reads, and the image holds what the distribution names."""

import re
import tomllib
from pathlib import Path

import yaml

from service.settings import Settings

ROOT = Path(__file__).parent.parent
SECRETS = {"AMRS_DATABASE_PASSWORD": "not-a-secret", "AMRS_API_KEYS": "sixteen-letters-or-more"}


def environment_of(service: str) -> dict[str, str]:
    """One service's environment as compose would fill it in."""
    described = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["environment"]

    def filled(variable: re.Match[str]) -> str:
        return SECRETS.get(variable["name"]) or variable["default"]

    pattern = r"\$\{(?P<name>\w+):(?:-(?P<default>[^}]*)|\?[^}]*)\}"
    return {name: re.sub(pattern, filled, value) for name, value in described.items()}


def test_every_variable_of_the_compose_file_is_a_setting():
    names = {name.removeprefix("AMRS_").lower() for name in environment_of("service")}

    assert names <= Settings.model_fields.keys()


def test_the_service_accepts_the_composed_environment(monkeypatch):
    for name, value in environment_of("service").items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert settings.host == "0.0.0.0"
    assert settings.database_url == "postgresql+psycopg://amrs:not-a-secret@postgres:5432/amrs"


def test_the_image_is_given_every_package_of_the_distribution():
    distribution = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    let_through = (ROOT / ".dockerignore").read_text()

    for source in distribution["targets"]["wheel"]["only-include"]:
        assert f"!{source}" in let_through
