"""After an acknowledged write no read is older than it, whatever became of memory in between.

Two services on one SQL stand for before and after a crash; between SQL's commit and Redis' following anything may
be lost. A listener plays the same session twice, once undisturbed and once with memory lost at every point:
the songs must be the same, one by one.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from redis import Redis

from models.repository import Repository
from service.settings import Settings
from tests.service.homes import home_settings
from tests.service.server import Listener, serving

SONG_COUNT = 8


@dataclass(frozen=True)
class Memory:
    """The keys of one service in Redis."""

    redis: Redis
    prefix: str

    def states(self) -> dict[bytes, bytes]:
        """What is remembered of everybody."""
        keys = list(self.redis.scan_iter(f"{self.prefix}*"))
        return {key: value for key in keys if (value := self.redis.get(key)) is not None}

    def forget(self) -> None:
        """Lose everything."""
        for key in self.states():
            self.redis.delete(key)

    def set_back(self, states: dict[bytes, bytes]) -> None:
        """Be again as it was: what a crash before Redis followed leaves behind."""
        self.forget()
        for key, value in states.items():
            self.redis.set(key, value)


Disturb = Callable[[Memory], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_repository: Repository, furnished_sqlite: Path, redis_server: str):
    """Starts services in homes of their own, with the same songs, bundle and secret."""
    folder = tmp_path_factory.mktemp("homes")

    @contextmanager
    def start(name: str) -> Iterator[tuple[httpx.Client, Memory]]:
        database = folder / f"{name}.sqlite3"
        if not database.exists():
            shutil.copyfile(furnished_sqlite, database)
        settings: Settings = home_settings(
            folder / name,
            tiny_repository,
            database_url=f"sqlite:///{database}",
            redis_url=redis_server,
            redis_prefix=f"{os.environ.get('AMRS_TEST_REDIS_PREFIX', 'amrs-test:')}{uuid4().hex[:12]}:{name}:",
        )
        with Redis.from_url(redis_server) as redis:
            memory = Memory(redis, settings.redis_prefix)
            try:
                with serving(settings) as client:
                    yield client, memory
            finally:
                memory.forget()

    return start


def play(client: httpx.Client, between: Callable[[], None]) -> list[str]:
    """Play a session; call `between` after every acknowledged write. Return the songs in order."""
    listener = Listener(client)
    assert listener.start(mode="calm", report={"valence": 0.4, "arousal": 0.6}).status_code == 201
    between()
    songs = []
    for place in range(SONG_COUNT):
        answer = listener.ask(request_id=f"r-{place}")
        assert answer.status_code == 200, answer.text
        between()
        (song,) = answer.json()["recommendations"]
        songs.append(song["song"]["song_id"])
        told = listener.tell(
            song["recommendation_id"], event_id=f"e-{place}", engagement=place / 10, rating=place % 2
        )
        assert told.status_code == 200, told.text
        between()
    return songs


@pytest.fixture(scope="module")
def undisturbed(home) -> list[str]:
    """The songs of the session when nothing happens to memory."""
    with home("undisturbed") as (client, _):
        return play(client, lambda: None)


def test_losing_memory_after_every_write_changes_no_song(home, undisturbed):
    with home("flushed") as (client, memory):
        assert play(client, memory.forget) == undisturbed


def test_memory_that_missed_every_second_write_changes_no_song(home, undisturbed):
    """A crash between SQL's commit and Redis' following leaves the state before the write."""
    with home("behind") as (client, memory):
        kept: list[dict[bytes, bytes]] = [{}]

        def miss_every_second() -> None:
            kept.append(memory.states())
            if len(kept) % 2 == 0:
                memory.set_back(kept[-2])

        assert play(client, miss_every_second) == undisturbed


@pytest.mark.parametrize("lost_write", range(0, 2 * SONG_COUNT, 3))
def test_memory_stuck_at_any_write_changes_no_song(home, undisturbed, lost_write):
    """From one write on Redis shows the same old state again and again."""
    with home(f"stuck-{lost_write}") as (client, memory):
        seen: list[dict[bytes, bytes]] = []

        def stick() -> None:
            seen.append(memory.states())
            if len(seen) > lost_write:
                memory.set_back(seen[lost_write])

        assert play(client, stick) == undisturbed


def test_garbage_in_memory_changes_no_song(home, undisturbed):
    with home("garbage") as (client, memory):

        def spoil() -> None:
            for key in memory.states():
                memory.redis.set(key, b"0000000000000001\x00\x00\x00\x04oops")

        assert play(client, spoil) == undisturbed


def test_a_restart_in_mid_session_changes_no_song(home, undisturbed):
    """The process dies after every third song and comes back over the same SQL, with memory lost."""
    songs: list[str] = []
    for place in range(SONG_COUNT):
        if place % 3 == 0:
            with home("restarted") as (client, memory):
                memory.forget()
                listener = Listener(client)
                if place == 0:
                    listener.start(mode="calm", report={"valence": 0.4, "arousal": 0.6})
                for number in range(place, min(place + 3, SONG_COUNT)):
                    (song,) = listener.ask(request_id=f"r-{number}").json()["recommendations"]
                    songs.append(song["song"]["song_id"])
                    listener.tell(
                        song["recommendation_id"],
                        event_id=f"e-{number}",
                        engagement=number / 10,
                        rating=number % 2,
                    )

    assert songs == undisturbed


def test_redis_out_of_reach_is_said_and_changes_no_song(tmp_path, tiny_repository, furnished_sqlite, undisturbed):
    shutil.copyfile(furnished_sqlite, tmp_path / "alone.sqlite3")
    settings = home_settings(
        tmp_path / "alone",
        tiny_repository,
        database_url=f"sqlite:///{tmp_path / 'alone.sqlite3'}",
        redis_url="redis://127.0.0.1:1",
    )

    with serving(settings) as client:
        songs = play(client, lambda: None)
        degraded = Listener(client).ask(request_id="r-last").json()["degraded"]
        told = client.get("/metrics").text
        ready = client.get("/readyz")

    assert songs == undisturbed
    assert degraded == ["redis"]
    assert 'amrs_degraded_total{dependency="redis"}' in told
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["redis"])
