"""The disk that is measured is the one that may fill."""

from pathlib import Path
from shutil import disk_usage

import pytest

from service.telemetry.vitals import written_below

MEMORY = Path("/dev/shm")


def test_a_home_without_bundles_is_measured_itself(tmp_path):
    assert written_below(tmp_path) == tmp_path


@pytest.mark.skipif(
    not MEMORY.is_dir() or MEMORY.stat().st_dev == Path("/").stat().st_dev, reason="there is no disk in memory"
)
def test_bundles_on_another_disk_than_home_are_measured(tmp_path):
    """As in a container, whose home is in memory and whose bundles are the host's."""
    (tmp_path / "bundles").symlink_to(MEMORY)

    assert disk_usage(written_below(tmp_path)).total == disk_usage(MEMORY).total
