"""A backup taken under load, restored elsewhere: the service goes on with every write acknowledged before it.

As docs/runbook.md tells it: `pg_dump -Fc` or `VACUUM INTO` while it serves, a new database in the old one's place,
its schema brought up, an emptied Redis, the same secret; what the old one's audit tells since is what must be done
again. Writes acknowledged after the backup began may be missing; apps that send theirs again fill the gap.
"""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import pytest
from redis import Redis

from models.repository import Repository
from service.access.caller import Scope
from service.operations import create_key, upgrade_database
from service.settings import Settings
from tests.processes.listeners import Ledger, found_in, listening, reconcile
from tests.processes.postgresql import needs_postgresql, own_postgresql, program, url_of
from tests.processes.process import free_port
from tests.processes.redis import own_redis
from tests.processes.replica import replica
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener

pytestmark = pytest.mark.timeout(180)

LAST_ACT = "SELECT coalesce(max(audit_number), 0) FROM audit"
ACTS_SINCE = "SELECT act FROM audit WHERE audit_number > {} ORDER BY audit_number"


@dataclass
class Kept:
    """A database, and how it is backed up and restored."""

    database_url: str
    back_up: Callable[[Path], None]
    restore: Callable[[Path], str]
    """Returns the URL of the restored database."""
    undone: Callable[[], list[str]]
    """After a restore: returns the acts that the old database has on record and the restored one has not."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def kept(request, tmp_path) -> Iterator[Kept]:
    if request.param == "sqlite":
        yield _sqlite(tmp_path)
        return
    with own_postgresql() as (_, url):
        yield _postgresql(url)


def _sqlite(folder: Path) -> Kept:
    path = folder / "amrs.sqlite3"

    def back_up(file: Path) -> None:
        with closing(sqlite3.connect(path)) as sql:
            sql.execute("VACUUM INTO ?", (str(file),))

    def restore(file: Path) -> str:
        return f"sqlite:///{shutil.copyfile(file, folder / 'restored.sqlite3')}"

    def undone() -> list[str]:
        with closing(sqlite3.connect(folder / "restored.sqlite3")) as sql:
            (last,) = sql.execute(LAST_ACT).fetchone()
        with closing(sqlite3.connect(path)) as sql:
            return [act for (act,) in sql.execute(ACTS_SINCE.format(last))]

    return Kept(f"sqlite:///{path}", back_up, restore, undone)


def _postgresql(url: str) -> Kept:
    port = int(url.rpartition(":")[2].partition("/")[0])
    server = ["-h", "127.0.0.1", "-p", str(port), "-U", "amrs"]

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(program(name)), *server, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def back_up(file: Path) -> None:
        run("pg_dump", "-Fc", "-f", str(file), "amrs")

    def restore(file: Path) -> str:
        run("createdb", "restored")
        run("pg_restore", "-d", "restored", "--exit-on-error", str(file))
        renamed = [("amrs", "broken"), ("restored", "amrs")]
        run("psql", "-d", "postgres", *(f"-cALTER DATABASE {one} RENAME TO {other}" for one, other in renamed))
        return url_of(port, "amrs")

    def undone() -> list[str]:
        last = run("psql", "-d", "amrs", "-Atc", LAST_ACT).strip()
        return run("psql", "-d", "broken", "-Atc", ACTS_SINCE.format(last)).splitlines()

    run("createdb", "amrs")
    return Kept(url_of(port, "amrs"), back_up, restore, undone)


def test_a_backup_under_load_holds_all_that_was_acknowledged_before_it(
    kept: Kept, endless_repository: Repository, tmp_path
):
    file, repository = tmp_path / "backup", endless_repository
    with own_redis(tmp_path) as (_, redis_url):
        settings = _settings(tmp_path / "before", repository, kept.database_url, redis_url)
        upgrade_database(settings)
        furnish(settings, repository)
        with replica(settings) as served, listening(f"http://{served.address}", count=4) as ledgers:
            sleep(1.0)
            before = deepcopy(ledgers)
            kept.back_up(file)
            sleep(0.5)
        reconcile(ledgers, kept.database_url)
        create_key(settings, app_id="late", scopes={Scope.APP})

        restored = kept.restore(file)
        with Redis.from_url(redis_url) as redis:
            redis.flushall()
        again = _settings(tmp_path / "after", repository, restored, redis_url)
        upgrade_database(again)
        with replica(again) as served, served.client() as client:
            _assert_acknowledged(before, restored)
            for ledger in before:
                _assert_goes_on(Listener(client, ledger.listener_id, "s"), ledger)

    assert kept.undone() == ["create key"]
    assert all(len(ledger.told) < len(after.told) for ledger, after in zip(before, ledgers, strict=True))


def _settings(home: Path, repository: Repository, database_url: str, redis_url: str) -> Settings:
    return home_settings(home, repository, port=free_port(), database_url=database_url, redis_url=redis_url)


def _assert_acknowledged(ledgers: list[Ledger], database_url: str) -> None:
    for ledger in ledgers:
        found = found_in(database_url, ledger.listener_id)
        assert ledger.offered.items() <= found.offered.items()
        assert ledger.told.items() <= found.told.items()
        assert ledger.told


def _assert_goes_on(listener: Listener, ledger: Ledger) -> None:
    """A write from before the backup is known again, and the session goes on after its last position."""
    first = listener.ask(request_id="r-0")
    assert (first.status_code, first.json()["duplicate"]) == (200, True)
    song = listener.ask(request_id="after-the-restore")
    assert song.status_code == 200, song.text
    assert song.json()["recommendations"][0]["position"] > max(ledger.offered)
