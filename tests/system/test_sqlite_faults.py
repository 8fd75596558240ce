"""A replica on SQLite whose disk is full: writes are refused, reads go on, and nothing acknowledged is lost.

The same laws as in `test_faults.py`, without a server that could mend anything: what recovers is the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.repository import Repository
from service.operations import upgrade_database
from service.settings import Settings
from tests.processes.disk import SmallDisk, needed, small_disk
from tests.processes.listeners import Ledger, under_load, until
from tests.processes.process import free_port
from tests.processes.replica import Replica, replica
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener

pytestmark = pytest.mark.timeout(240)

DISK_FULL = 'amrs_sql_errors_total{kind="disk_full"}'


@pytest.fixture(scope="module")
def disk() -> Iterator[SmallDisk]:
    """Where the database lies, if this machine lets one mount it."""
    with small_disk(megabytes=64) as disk:
        yield needed(disk)


@pytest.fixture(scope="module")
def served(tmp_path_factory, endless_repository: Repository, disk: SmallDisk) -> Iterator[Replica]:
    """A replica whose database has a disk of its own; its home, where Redis and the log lie, has not."""
    folder: Path = tmp_path_factory.mktemp("sqlite-faults")
    settings: Settings = home_settings(
        folder / "home",
        endless_repository,
        port=free_port(),
        database_url=f"sqlite:///{disk.folder / 'amrs.sqlite3'}",
        write_timeout_seconds=5.0,
    )
    upgrade_database(settings)
    furnish(settings, endless_repository)
    with replica(settings) as served:
        yield served


@contextmanager
def loaded(served: Replica, name: str) -> Iterator[list[Ledger]]:
    """Let listeners go round the replica."""
    with under_load(f"http://{served.address}", served.settings.database_url, name=name) as ledgers:
        yield ledgers


def test_a_full_disk_refuses_writes_until_there_is_room(served: Replica, disk: SmallDisk):
    with served.client() as client, loaded(served, "disk-full") as ledgers:
        listener = Listener(client, "reads-meanwhile")
        listener.start()
        listener.cycle()
        with disk.full():
            until(lambda: all(ledger.seen["503"] for ledger in ledgers))
            refused = listener.ask()
            history = client.get(f"{listener.path}/history")
            counted = served.numbers()[DISK_FULL]
        again = listener.ask()

    assert (refused.status_code, refused.json()["type"]) == (503, "urn:amrs:problem:unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert (history.status_code, len(history.json()["plays"])) == (200, 1)
    assert counted > 0
    assert again.status_code == 200, again.text
    assert all(ledger.seen.keys() <= {"503"} for ledger in ledgers)


def test_a_replica_killed_on_a_full_disk_comes_back_when_there_is_room(served: Replica, disk: SmallDisk):
    """What was acknowledged lies in SQLite's log, which is read again at the start."""
    with loaded(served, "killed-full") as ledgers:
        with disk.full():
            until(lambda: all(ledger.seen["503"] for ledger in ledgers))
            served.process.kill()
            served.process.start(wait=False)
            until(lambda: all(ledger.seen["broken"] for ledger in ledgers))
        served.process.await_start()

    assert all(ledger.seen.keys() <= {"503", "broken"} for ledger in ledgers)
