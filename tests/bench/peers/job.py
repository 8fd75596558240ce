"""The whole job that every peer does: a listener's id in, a song out and on record, then the feedback on record.

Two halves, so that a framework may keep them apart. Both take a batch: one round trip to Redis to read, one
transaction that is committed before anybody is answered, one round trip to Redis to bring it up to date. What a
commit survives is what it survives in the service: SQLite, WAL, synchronous=FULL.
"""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import time
from typing import Any, Final
from uuid import uuid4

from redis import Redis

from tests.bench.peers.choosing import Chooser, open_chooser, pack_play

BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another process's transaction."""
_OFFER_SECONDS: Final = 3600
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS recommendations (
    recommendation_id TEXT PRIMARY KEY, listener_id TEXT NOT NULL, song_id TEXT NOT NULL,
    bundle TEXT NOT NULL, offered_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS feedback (
    recommendation_id TEXT PRIMARY KEY, listener_id TEXT NOT NULL, song_id TEXT NOT NULL,
    engagement REAL NOT NULL, rating REAL NOT NULL, heard_at REAL NOT NULL
) WITHOUT ROWID;
"""
_PREFIX: Final = "AMRS_PEER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobConfig:
    """Where a peer finds what it needs, and how it is tuned; handed over in the environment."""

    bundle: Path
    """The folder of one bundle."""
    songs: Path
    """What `write_songs` wrote."""
    redis_url: str
    database: Path
    port: int
    workers: int = 1
    batch: int = 16
    """The most requests that are answered together."""
    wait_ms: float = 0.0
    """How long the first of a batch waits for others."""

    def as_environment(self) -> dict[str, str]:
        """Return the variables from which a peer reads this back."""
        return {f"{_PREFIX}{name.upper()}": str(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_environment(cls) -> "JobConfig":
        """Return what the environment says."""
        said = {name: os.environ[f"{_PREFIX}{name.upper()}"] for name in cls.__slots__}
        return cls(
            bundle=Path(said["bundle"]),
            songs=Path(said["songs"]),
            redis_url=said["redis_url"],
            database=Path(said["database"]),
            port=int(said["port"]),
            workers=int(said["workers"]),
            batch=int(said["batch"]),
            wait_ms=float(said["wait_ms"]),
        )


@dataclass(frozen=True, slots=True)
class Recommended:
    """What one listener was given."""

    recommendation_id: str
    listener_id: str
    song_id: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of a recommendation; engagement in [0, 1], rating 0 or 1."""

    recommendation_id: str
    listener_id: str
    engagement: float
    rating: float


class Record:
    """The database: one connection, whose transactions take turns."""

    def __init__(self, database: Path) -> None:
        self._turn = Lock()
        self._sql = sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._sql.execute(f"PRAGMA {pragma}")
        self._sql.executescript(_TABLES)

    def put_recommendations(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Commit rows of `recommendations`."""
        self._put("INSERT INTO recommendations VALUES (?, ?, ?, ?, ?)", rows)

    def put_feedback(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Commit rows of `feedback`."""
        self._put("INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _put(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._turn:
            self._sql.execute("BEGIN IMMEDIATE")
            with self._sql:  # commits, or takes all of it back
                self._sql.executemany(statement, rows)


class Memory:
    """Redis: each listener's history as its packed plays, and the song behind each recommendation."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url)

    def histories(self, listener_ids: Sequence[str], *, kept_bytes: int) -> list[bytes]:
        """Return the end of each history; empty where there is none."""
        with self._redis.pipeline(transaction=False) as asked:
            for listener_id in listener_ids:
                asked.getrange(history_key(listener_id), -kept_bytes, -1)
            return asked.execute()

    def offer(self, given: Sequence[Recommended]) -> None:
        """Keep which song each recommendation was."""
        with self._redis.pipeline(transaction=False) as asked:
            for each in given:
                asked.set(_offer_key(each.recommendation_id), each.song_id, ex=_OFFER_SECONDS)
            asked.execute()

    def offered(self, recommendation_ids: Sequence[str]) -> list[str]:
        """Return the song of each recommendation.

        Raises:
            KeyError: one is not known.
        """
        found = self._redis.mget([_offer_key(each) for each in recommendation_ids])
        for recommendation_id, song_id in zip(recommendation_ids, found, strict=True):
            if song_id is None:
                raise KeyError(recommendation_id)
        return [song_id.decode() for song_id in found]

    def append(self, plays: Sequence[tuple[str, bytes]]) -> None:
        """Let each listener's history grow by a packed play."""
        with self._redis.pipeline(transaction=False) as asked:
            for listener_id, play in plays:
                asked.append(history_key(listener_id), play)
            asked.execute()


def history_key(listener_id: str) -> str:
    """Return where a listener's history is kept."""
    return f"history:{listener_id}"


def _offer_key(recommendation_id: str) -> str:
    return f"offer:{recommendation_id}"


@dataclass(frozen=True, slots=True)
class Recommending:
    """The first half; safe to share between threads."""

    chooser: Chooser
    memory: Memory
    record: Record

    def recommend(self, listener_ids: Sequence[str]) -> list[Recommended]:
        """Return a song for each listener, once all are on record and remembered."""
        histories = self.memory.histories(listener_ids, kept_bytes=self.chooser.kept_bytes)
        songs = self.chooser.choose(histories)
        given = [Recommended(uuid4().hex, *pair) for pair in zip(listener_ids, songs, strict=True)]
        bundle, now = self.chooser.bundle.version, time()
        self.record.put_recommendations(
            [(each.recommendation_id, each.listener_id, each.song_id, bundle, now) for each in given]
        )
        self.memory.offer(given)
        return given


@dataclass(frozen=True, slots=True)
class Learning:
    """The second half; safe to share between threads."""

    memory: Memory
    record: Record

    def take(self, feedback: Sequence[Feedback]) -> None:
        """Put feedback on record, and let histories grow.

        Raises:
            KeyError: it is about a recommendation that nobody was given.
        """
        songs, now = self.memory.offered([each.recommendation_id for each in feedback]), time()
        heard = list(zip(feedback, songs, strict=True))
        self.record.put_feedback(
            [
                (each.recommendation_id, each.listener_id, song, each.engagement, each.rating, now)
                for each, song in heard
            ]
        )
        self.memory.append(
            [
                (each.listener_id, pack_play(song, engagement=each.engagement, rating=each.rating, at=now))
                for each, song in heard
            ]
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Both halves, in one process and over one connection to the database."""

    recommending: Recommending
    learning: Learning


def open_learning(config: JobConfig) -> Learning:
    """Return the second half alone; it needs no models."""
    return Learning(Memory(config.redis_url), Record(config.database))


def open_job(config: JobConfig) -> Job:
    """Return both halves, the bundle opened and verified."""
    memory, record = Memory(config.redis_url), Record(config.database)
    chooser = open_chooser(config.bundle, config.songs)
    return Job(Recommending(chooser, memory, record), Learning(memory, record))
