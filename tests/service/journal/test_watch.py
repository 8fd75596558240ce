"""A failure of the database is told by its kind, whichever database it is."""

import sqlite3
from threading import Event

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.errors import Unavailable
from service.journal.engine import open_writer
from service.journal.journal import JournalConfig, open_journal
from service.journal.watch import Unwatched, kind_of

pytestmark = pytest.mark.anyio


class Kept(Unwatched):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.reads: list[float] = []

    def read(self, seconds: float) -> None:
        self.reads.append(seconds)

    def failed(self, kind: str) -> None:
        self.failures.append(kind)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull("full"), "disk_full"),
        (psycopg.errors.LockNotAvailable("held"), "lock"),
        (psycopg.errors.QueryCanceled("slow"), "timeout"),
        (psycopg.errors.AdminShutdown("bye"), "unreachable"),
        (psycopg.errors.SyntaxError("what"), "other"),
        (psycopg.OperationalError("connection refused"), "unreachable"),
    ],
)
def test_postgresql_by_its_states(error, kind):
    assert kind_of(DBAPIError("statement", None, error)) == kind


def test_sqlite_by_its_names(tmp_path):
    """A database that may not grow is full; one that another holds is locked."""
    path = tmp_path / "small.sqlite3"
    engine = open_writer(f"sqlite:///{path}")
    with engine.begin() as sql:
        sql.execute(text("CREATE TABLE kept (value BLOB)"))

        sql.exec_driver_sql("PRAGMA max_page_count = 4")
        with pytest.raises(OperationalError) as full:
            sql.execute(text("INSERT INTO kept VALUES (zeroblob(1000000))"))
        sql.exec_driver_sql("PRAGMA busy_timeout = 0")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with engine.connect() as other, pytest.raises(OperationalError) as locked:
        other.begin()
    holder.close()
    engine.dispose()

    assert kind_of(full.value) == "disk_full"
    assert kind_of(locked.value) == "lock"


def test_a_pool_without_a_free_connection_is_its_own_kind():
    assert kind_of(PoolTimeout("none free")) == "pool"


async def test_a_question_that_is_never_answered_ends_in_time_and_is_told(sqlite_copy):
    released, watch = Event(), Kept()
    config = JournalConfig(read_timeout_seconds=0.1)

    async with open_journal(sqlite_copy("silent"), config=config, watch=watch) as journal:
        with pytest.raises(Unavailable, match=r"did not answer within 0\.1 s"):
            await journal.read(lambda _: released.wait(5))
        released.set()

    assert watch.failures == ["timeout"]
    assert len(watch.reads) == 2  # the schema's question, and this one, answered to nobody
