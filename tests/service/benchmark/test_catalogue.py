"""The catalogue's growth is measured over the live bundle, and printed in one table."""

from io import StringIO

import pytest
from rich.console import Console

from models.errors import ConfigError
from service.benchmark.catalogue import bench_catalogue
from service.operations import upgrade_database
from tests.service.homes import furnish, home_settings


def test_prints_a_line_for_each_class_and_size(tmp_path, tiny_repository):
    settings = home_settings(tmp_path / "home", tiny_repository)
    upgrade_database(settings)
    furnish(settings, tiny_repository)
    printed = Console(file=StringIO(), width=200)

    small, large = bench_catalogue(settings, [300, 900], console=printed)

    assert [growth.song_count for growth in (small, large)] == [300, 900]
    assert [row.chosen for row in small.rows] == [True, False, False, False]
    assert all(row.measured.recall >= 0.9 for row in (*small.rows, *large.rows))
    assert large.change_seconds > 0
    assert "exact (chosen)" in printed.file.getvalue()


def test_a_home_without_a_live_bundle_is_told(tmp_path, tiny_repository):
    settings = home_settings(tmp_path / "home", tiny_repository)
    upgrade_database(settings)

    with pytest.raises(ConfigError, match="make run"):
        bench_catalogue(settings, [300], console=Console(file=StringIO()))
