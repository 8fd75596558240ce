"""Every migration goes up and down on both databases, and they make exactly the tables the service declares."""

# ruff: noqa: F811  a fixture is asked for by its name

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

import migrations.versions
from service.journal.engine import database_of
from service.journal.migrate import EMPTY, LATEST, check, downgrade, upgrade
from service.journal.tables import metadata
from tests.service.conftest import database_url, postgresql_schema, sqlite_template  # noqa: F401


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


def test_the_migrations_make_what_the_tables_declare(database_url: str) -> None:
    check(database_url)


def test_an_empty_database_has_the_default_app(engine: Engine) -> None:
    with engine.begin() as sql:
        assert sql.scalars(text("SELECT app_id FROM apps")).all() == ["default"]


def test_a_migration_is_named_for_when_and_what() -> None:
    names = [path.stem for path in Path(migrations.versions.__path__[0]).glob("[0-9]*.py")]

    assert names
    assert all(re.fullmatch(r"20\d\d_\d\d_\d\d_\d{4}_[a-z0-9_]+", name) for name in names)
