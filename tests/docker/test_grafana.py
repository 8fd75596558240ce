"""Every dashboard is where it is looked for, and every panel asks for numbers that are told."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.test_prometheus import OF_OTHERS, RECORDED, ROOT, asked, told

GRAFANA = ROOT / "docker" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
PANELS = [(path, panel) for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]


def provisioned(name: str) -> dict[str, Any]:
    (path,) = (GRAFANA / "provisioning" / name).glob("*.yml")
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("path", "panel"), PANELS, ids=[f"{path.stem}: {panel['title']}" for path, panel in PANELS]
)
def test_a_panel_asks_for_numbers_that_are_told(path, panel):
    for target in panel["targets"]:
        names = asked(target["expr"])

        assert names
        assert names <= told() | RECORDED.keys() | OF_OTHERS


def test_every_number_that_is_told_is_shown_or_watched():
    """A metric that nobody looks at is a cost without a use."""
    rules = (ROOT / "docker" / "prometheus" / "rules" / "amrs.yml").read_text()
    looked_at = rules + "".join(path.read_text() for path in DASHBOARDS)
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in told()}

    assert {name for name in families if not name.endswith("_created") and name not in looked_at} == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_its_own_name_and_the_provisioned_source(path: Path):
    board = json.loads(path.read_text())
    (source,) = provisioned("datasources")["datasources"]

    assert board["uid"] == path.stem
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_compose_mounts_what_is_provisioned():
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    (provider,) = provisioned("dashboards")["providers"]

    assert f"./docker/grafana/dashboards:{provider['options']['path']}:ro" in volumes
    assert "./docker/grafana/provisioning:/etc/grafana/provisioning:ro" in volumes
