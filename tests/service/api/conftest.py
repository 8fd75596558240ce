"""Services for the tests of the wire: the tiny bundle live, in a home of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

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
    tmp_path: Path,
    tiny_repository: Repository,
    furnished_sqlite: Path,
    database_url: str,
    redis_url: str,
    redis_prefix: str,
) -> Settings:
    """Settings of a furnished home, on every database."""
    settings = home_settings(
        tmp_path / "home",
        tiny_repository,
        database_url=database_url,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
    )
    if database_url.startswith("sqlite"):
        shutil.copyfile(furnished_sqlite, database_url.removeprefix("sqlite:///"))
    else:
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
def shared_client(
    tmp_path_factory, tiny_repository: Repository, furnished_sqlite: Path, redis_server: str
) -> Iterator[httpx.Client]:
    """A service on SQLite that the tests of a module share."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copyfile(furnished_sqlite, folder / "amrs.sqlite3")
    settings = home_settings(
        folder / "home",
        tiny_repository,
        database_url=f"sqlite:///{folder / 'amrs.sqlite3'}",
        redis_url=redis_server,
        redis_prefix=f"amrs-test:{folder.name}:",
    )
    with serving(settings) as client:
        yield client
