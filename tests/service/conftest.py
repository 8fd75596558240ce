"""Databases and Redis servers for the service's tests: private ones, and the ones the environment names.

`AMRS_TEST_DATABASE_URL` adds PostgreSQL to every test that asks for a `database_url`; each process has a schema of
its own there. `AMRS_TEST_REDIS_URL` and `AMRS_TEST_REDIS_PREFIX` take the place of the private redis-server.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from models.repository import Repository
from service.journal.engine import database_of
from service.journal.migrate import upgrade
from service.journal.tables import metadata
from service.memory.embedded import embedded_redis
from tests.service.homes import furnish, home_settings

KEPT_TABLES = {"apps", "revisions"}
DATABASES = ["sqlite", "postgresql"] if os.environ.get("AMRS_TEST_DATABASE_URL") else ["sqlite"]


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite3"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_copy(sqlite_template: Path, tmp_path: Path) -> Callable[[str], str]:
    """Make empty SQLite databases, by name."""

    def copy(name: str) -> str:
        shutil.copyfile(sqlite_template, tmp_path / f"{name}.sqlite3")
        return f"sqlite:///{tmp_path / name}.sqlite3"

    return copy


@pytest.fixture(scope="session")
def furnished_sqlite(
    tmp_path_factory: pytest.TempPathFactory, tiny_repository: Repository, sqlite_template: Path
) -> Path:
    """A SQLite file with the tiny songs in it and the tiny bundle live."""
    folder = tmp_path_factory.mktemp("furnished")
    path = Path(shutil.copyfile(sqlite_template, folder / "amrs.sqlite3"))
    furnish(home_settings(folder / "home", tiny_repository, database_url=f"sqlite:///{path}"), tiny_repository)
    return path


@pytest.fixture(scope="session")
def postgresql_schema() -> Iterator[str]:
    """The URL of a migrated, empty schema that is dropped afterwards."""
    given = database_of(os.environ["AMRS_TEST_DATABASE_URL"])
    schema = f"amrs_test_{uuid4().hex[:12]}"
    engine = create_engine(given)
    with engine.begin() as sql:
        sql.execute(text(f"CREATE SCHEMA {schema}"))
    url = given.update_query_dict({"options": f"-c search_path={schema}"})
    try:
        rendered = url.render_as_string(hide_password=False)
        upgrade(rendered)
        yield rendered
    finally:
        with engine.begin() as sql:
            sql.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database: a SQLite file, and PostgreSQL where the environment names one."""
    if request.param == "sqlite":
        path = tmp_path / "amrs.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    url = request.getfixturevalue("postgresql_schema")
    yield url
    engine = create_engine(database_of(url))
    used = ", ".join(table for table in metadata.tables if table not in KEPT_TABLES)
    with engine.begin() as sql:
        sql.execute(text(f"TRUNCATE {used}"))
        sql.execute(text("DELETE FROM apps WHERE app_id <> 'default'"))
        sql.execute(text("UPDATE revisions SET number = 0"))
    engine.dispose()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis server for this process's tests."""
    given = os.environ.get("AMRS_TEST_REDIS_URL")
    if given:
        yield given
        return
    with embedded_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_prefix(redis_server: str) -> Iterator[str]:
    """A prefix that only this test uses; its keys are gone afterwards."""
    prefix = f"{os.environ.get('AMRS_TEST_REDIS_PREFIX', 'amrs-test:')}{uuid4().hex[:12]}:"
    yield prefix
    with Redis.from_url(redis_server) as redis:
        for key in redis.scan_iter(f"{prefix}*"):
            redis.delete(key)


@pytest.fixture
def redis_url(redis_server: str, redis_prefix: str) -> str:
    """A Redis server; keys belong below `redis_prefix`."""
    return redis_server
