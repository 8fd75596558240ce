"""Every migration goes up and down on both databases, and they make exactly the tables the service declares."""

# ruff: noqa: F811  a fixture is asked for by its name

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

import migrations.versions
from models.catalogue import Song
from models.errors import Unavailable
from models.listening import Mode
from service.journal import migrate
from service.journal.blocks import SetBlock
from service.journal.bundles import RegisterBundle
from service.journal.engine import database_of, open_writer
from service.journal.migrate import EMPTY, LATEST, check, downgrade, upgrade
from service.journal.songs import ImportSongs, SongRecord
from service.journal.tables import metadata
from tests.service.conftest import database_url, postgresql_schema, sqlite_template  # noqa: F401
from tests.service.journal.examples import LISTENER, NOON, change_mode, feed_back, recommend, start, write


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A plain engine on a migrated database, which is migrated again afterwards."""
    engine = create_engine(database_of(database_url))
    yield engine
    engine.dispose()
    upgrade(database_url)


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_up_makes_the_tables_and_down_takes_them_away(database_url: str, engine: Engine) -> None:
    assert tables(engine) == set(metadata.tables)
    downgrade(database_url, EMPTY)
    assert tables(engine) == set()
    upgrade(database_url)
    assert tables(engine) == set(metadata.tables)


def test_up_again_changes_nothing(database_url: str, engine: Engine) -> None:
    with engine.begin() as sql:
        sql.execute(text("UPDATE revisions SET number = 7"))
    upgrade(database_url, LATEST)

    with engine.begin() as sql:
        assert set(sql.scalars(text("SELECT number FROM revisions"))) == {7}


def write_everywhere(database_url: str) -> None:
    """A little of everything, as the service writes it."""
    writer = open_writer(database_url)
    with writer.begin() as sql:
        songs = [SongRecord(Song(song_id="song-1", tags=("slow",)), None)]
        ImportSongs(songs=songs, embeddings={"mert": np.ones((1, 2), np.float32)}, at=NOON, actor="test")(sql)
        RegisterBundle(
            version="b-1", digest="d", embedding_space="mert", gates_passed=True, at=NOON, actor="test"
        )(sql)
    write(writer, start())
    write(writer, recommend("song-1", expected_sequence=1))
    write(writer, feed_back())
    write(writer, change_mode(Mode.SLEEP, event_id="m-1"))
    write(writer, SetBlock(listener=LISTENER, at=NOON, kind="tag", value="loud", blocked=True))
    writer.dispose()


def contents(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that is there, as the database has it."""
    found = MetaData()
    found.reflect(engine)
    with engine.begin() as sql:
        return {
            name: sorted((tuple(map(str, row)) for row in sql.execute(table.select())), key=str)
            for name, table in found.tables.items()
            if name != "alembic_version"
        }


def test_every_step_goes_down_and_up_with_rows_in_the_tables(database_url: str, engine: Engine) -> None:
    """What a step down leaves, the step up leaves too: compared in the tables and columns that both have."""
    write_everywhere(database_url)
    assert contents(engine)["plays"]
    with as_file(files("migrations")) as folder:
        steps = [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()]
    for newer, older in zip(steps, [*steps[1:], EMPTY], strict=True):
        downgrade(database_url, older)
        before = contents(engine)
        upgrade(database_url, newer)
        after = contents(engine)
        kept = {name: rows for name, rows in before.items() if name != "revisions"}  # a step may count more
        assert {name: len(after[name]) for name in kept} == {name: len(rows) for name, rows in kept.items()}
        assert len(after["revisions"]) >= len(before.get("revisions", []))
        downgrade(database_url, older)
    assert tables(engine) == set()


def test_a_migration_does_not_queue_behind_a_long_transaction(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads meanwhile waits a moment, not for the long transaction to end."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite's one writer refuses by itself")
    monkeypatch.setattr(migrate, "ATTEMPTS", 2)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.1)
    write_everywhere(database_url)
    before = contents(engine)
    with engine.begin() as long, ThreadPoolExecutor(1) as elsewhere:
        long.execute(text("SELECT count(*) FROM songs"))
        migrating = elsewhere.submit(downgrade, database_url, EMPTY)
        while not migrating.done():
            with engine.begin() as reader:
                reader.execute(text("SET LOCAL statement_timeout = '5s'"))
                assert reader.scalar(text("SELECT count(*) FROM songs")) == 1
        with pytest.raises(Unavailable, match="in use each of 2 times: nothing was changed"):
            migrating.result()
    assert contents(engine) == before


def test_the_services_own_waits_for_a_lock_are_bounded(database_url: str, engine: Engine) -> None:
    """A write behind somebody's lock is refused in time, to be sent again; SQLite's waits are bounded alike."""
    writer = open_writer(database_url)
    with engine.begin() as other:
        other.execute(text("BEGIN IMMEDIATE") if engine.dialect.name == "sqlite" else text("LOCK TABLE songs"))
        with pytest.raises(OperationalError, match="locked|lock timeout"), writer.begin() as sql:
            sql.execute(text("UPDATE songs SET withdrawn = withdrawn"))
    writer.dispose()


def test_the_migrations_make_what_the_tables_declare(database_url: str) -> None:
    check(database_url)


def test_an_empty_database_has_the_default_app(engine: Engine) -> None:
    with engine.begin() as sql:
        assert sql.scalars(text("SELECT app_id FROM apps")).all() == ["default"]


def test_a_migration_is_named_for_when_and_what() -> None:
    names = [path.stem for path in Path(migrations.versions.__path__[0]).glob("[0-9]*.py")]

    assert names
    assert all(re.fullmatch(r"20\d\d_\d\d_\d\d_\d{4}_[a-z0-9_]+", name) for name in names)
