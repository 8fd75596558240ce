"""A soak lets listeners come and go, and tells each minute what was seen; here its minutes are a second long."""

from io import StringIO

import pytest
from rich.console import Console

from service.benchmark.soak import SoakConfig, bench_soak
from tests.service.homes import home_settings


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, tiny_repository, furnished_sqlite, redis_server):
    """A deployment with the tiny bundle live."""
    home = tmp_path_factory.mktemp("deployment")
    return home_settings(
        home, tiny_repository, database_url=f"sqlite:///{furnished_sqlite}", redis_url=redis_server
    )


def test_listeners_come_and_go_and_every_minute_is_told(deployment):
    config = SoakConfig(
        minutes=4,
        minute_seconds=0.5,
        peak_seconds=0.3,
        song_count=150,
        connection_count=2,
        session_songs=2,
        sessions_each=2,
    )
    printed = Console(file=StringIO(), width=200)

    minutes = bench_soak(deployment, config, database_url=None, console=printed)

    assert len(minutes) == 4
    assert sum(minute.cycles for minute in minutes) > 8
    assert all(minute.refusals == 0 and minute.memory_bytes > 1e7 for minute in minutes)
    told = printed.file.getvalue()
    assert "minute 4:" in told
    assert "4 minutes at 50% of the peak" in told
