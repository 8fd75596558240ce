"""Whatever the database, a committed write is durable, foreign keys hold, and nobody waits for ever."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.errors import ConfigError
from service.journal.engine import database_of, open_readers, open_writer


def test_a_commit_is_durable(database_url: str) -> None:
    engine = open_writer(database_url)
    with engine.begin() as sql:
        if engine.dialect.name == "sqlite":
            assert sql.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert sql.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        else:
            assert sql.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            assert sql.exec_driver_sql("SHOW lock_timeout").scalar() == "2s"
            assert sql.exec_driver_sql("SHOW statement_timeout").scalar() == "10s"
            assert sql.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "10s"
    engine.dispose()


def test_foreign_keys_hold(database_url: str) -> None:
    engine = open_writer(database_url)
    with pytest.raises(IntegrityError), engine.begin() as sql:
        sql.execute(text("INSERT INTO song_embeddings (space, song_id, vector) VALUES ('mert', 'none', 'x')"))
    engine.dispose()


def test_a_reader_sees_one_moment(database_url: str) -> None:
    writer, readers = open_writer(database_url), open_readers(database_url, connections=1)
    question = text("SELECT number FROM revisions WHERE name = 'songs'")
    with readers.begin() as reading:
        before = reading.scalar(question)
        with writer.begin() as writing:
            writing.execute(text("UPDATE revisions SET number = number + 1"))
        assert reading.scalar(question) == before
    with readers.begin() as reading:
        assert reading.scalar(question) == 1
    writer.dispose()
    readers.dispose()


def test_the_driver_is_chosen_for_the_caller() -> None:
    assert database_of("postgresql://a@b/c").drivername == "postgresql+psycopg"
    assert database_of("sqlite:///a.sqlite3").drivername == "sqlite+pysqlite"


@pytest.mark.parametrize("url", ["mysql://a@b/c", "sqlite://", "sqlite:///:memory:"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        database_of(url)
