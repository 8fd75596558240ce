"""Services for the tests of the wire: the tiny bundle live, in a home of their own."""

import shutil
from collections.abc import Iterator

import httpx
import pytest

from models.repository import Repository
from service.settings import Settings
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener, SteppedClock, serving


@pytest.fixture
def clock() -> SteppedClock:
    """A clock that the test may put forward."""
    return SteppedClock()


@pytest.fixture
def settings(
    tmp_path, tiny_repository: Repository, database_url: str, redis_url: str, redis_prefix: str
) -> Settings:
    """Settings of a furnished home, on every database."""
    settings = home_settings(
        tmp_path / "home",
        tiny_repository,
        database_url=database_url,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
    )
    furnish(settings, tiny_repository)
    return settings


@pytest.fixture
def client(settings: Settings, clock: SteppedClock) -> Iterator[httpx.Client]:
    """A service that runs."""
    with serving(settings, clock=clock) as client:
        yield client


@pytest.fixture
def listener(client: httpx.Client) -> Listener:
    """A listener's app, before its first session."""
    return Listener(client)


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory, tiny_repository, sqlite_template, redis_server) -> Iterator[httpx.Client]:
    """A service on SQLite that the tests of a module share."""
    home = tmp_path_factory.mktemp("shared")
    shutil.copyfile(sqlite_template, home / "amrs.sqlite3")
    settings = home_settings(
        home / "home",
        tiny_repository,
        **{
            "database_url": f"sqlite:///{home / 'amrs.sqlite3'}",
            "redis_url": redis_server,
            "redis_prefix": f"amrs-test:{home.name}:",
        },
    )
    furnish(settings, tiny_repository)
    with serving(settings) as client:
        yield client
