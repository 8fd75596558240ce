"""docs/operations.md lists every setting and every metric there is, and none that is not."""

import re
from pathlib import Path

from service.settings import Settings
from tests.docker.test_prometheus import told

PAGE = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


def named(pattern: str) -> set[str]:
    """What stands in the first column of the page's tables."""
    return {name for row in ROWS for name in re.findall(pattern, row.split("|")[1])}


def test_every_setting_is_documented_and_no_other():
    assert named(r"`(AMRS_[A-Z_]+)`") == {f"AMRS_{name.upper()}" for name in Settings.model_fields}


def test_every_metric_is_documented_and_no_other():
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told() if not name.endswith("_created")}

    assert named(r"`(amrs_[a-z_]+)") == families
