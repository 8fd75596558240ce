"""The reference cycle: the least a service of this kind could do, on the same durability.

A bare FastAPI program whose two routes parse the bodies of a recommendation and of the feedback on it, make one
Redis round trip each, and commit one row each before they answer: in the same database with the same promises, and
in groups, as the service commits. What the real service costs beyond it is the price of choosing and remembering.
Started by `amrs bench serve`, which names the Redis and the database in the environment; nothing opens on import.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Final, TypedDict

from fastapi import FastAPI, Request
from pydantic import BaseModel
from redis.asyncio import Redis
from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from service.background import deliver
from service.journal.engine import open_writer

REDIS_VARIABLE: Final = "AMRS_BENCH_REDIS_URL"
DATABASE_VARIABLE: Final = "AMRS_BENCH_DATABASE_URL"

_tables: Final = MetaData()
_events: Final = Table(
    "reference_events",
    _tables,
    Column("number", Integer, primary_key=True),
    Column("listener_id", String, nullable=False),
    Column("body", String, nullable=False),
)


class RecommendBody(BaseModel):
    """The body of a recommendation."""

    request_id: str
    count: int = 1
    exclude: list[str] = []


class FeedbackBody(BaseModel):
    """The body of feedback."""

    event_id: str
    played_seconds: float | None = None
    engagement: float | None = None
    rating: int | None = None
    occurred_at: str | None = None


class GroupCommit:
    """One thread that writes whatever waits in one transaction, and then says so."""

    def __init__(self, database_url: str) -> None:
        self._engine = open_writer(database_url)
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[tuple[dict[str, str], asyncio.Future[None]] | None] = SimpleQueue()
        with self._engine.begin() as sql:
            _tables.create_all(sql)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    async def commit(self, listener_id: str, body: BaseModel) -> None:
        """Return when the row is committed."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put(({"listener_id": listener_id, "body": body.model_dump_json()}, done))
        await done

    def close(self) -> None:
        """Stop; blocks until what waits is written."""
        self._waiting.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        is_closing = False
        while not is_closing:
            waiting = [self._waiting.get()]
            while not self._waiting.empty():
                waiting.append(self._waiting.get())
            batch = [one for one in waiting if one is not None]
            is_closing = len(batch) < len(waiting)
            if batch:
                with self._engine.begin() as sql:
                    sql.execute(insert(_events), [row for row, _ in batch])
                self._loop.call_soon_threadsafe(deliver, [(done, None) for _, done in batch])


class Resources(TypedDict):
    """What the program holds open."""

    redis: Redis
    journal: GroupCommit


def create_app() -> FastAPI:
    """Return the reference program."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Resources]:
        with _journal() as journal:
            async with Redis.from_url(os.environ[REDIS_VARIABLE]) as redis:
                yield Resources(redis=redis, journal=journal)

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/listeners/{listener_id}/sessions/{session_id}/recommendations")
    async def recommend(
        listener_id: str, session_id: str, body: RecommendBody, request: Request
    ) -> dict[str, object]:
        count = await request.state.redis.incr(f"reference:{listener_id}")
        await request.state.journal.commit(listener_id, body)
        return {
            "request_id": body.request_id,
            "recommendations": [{"recommendation_id": f"{session_id}-{count}", "position": count}],
        }

    @app.post("/v1/listeners/{listener_id}/recommendations/{recommendation_id}/feedback")
    async def take_feedback(
        listener_id: str, recommendation_id: str, body: FeedbackBody, request: Request
    ) -> dict[str, object]:
        count = await request.state.redis.incr(f"reference:{listener_id}")
        await request.state.journal.commit(listener_id, body)
        return {"event_id": body.event_id, "about": recommendation_id, "duplicate": count == 0}

    return app


@contextmanager
def _journal() -> Iterator[GroupCommit]:
    journal = GroupCommit(os.environ[DATABASE_VARIABLE])
    try:
        yield journal
    finally:
        journal.close()
