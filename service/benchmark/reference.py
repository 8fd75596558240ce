"""The reference cycle: the least a service of this kind could do.

A bare FastAPI program whose two routes parse the bodies of a recommendation and of the feedback on it, and
make one Redis round trip each. What the real service costs beyond it is the price of choosing and remembering.
Started by `amrs bench serve` with AMRS_BENCH_REDIS_URL set; nothing opens on import.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from pydantic import BaseModel
from redis.asyncio import Redis


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


class Resources(TypedDict):
    """What the program holds open."""

    redis: Redis


def create_app() -> FastAPI:
    """Return the reference program."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Resources]:
        async with Redis.from_url(os.environ["AMRS_BENCH_REDIS_URL"]) as redis:
            yield Resources(redis=redis)

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/listeners/{listener_id}/sessions/{session_id}/recommendations")
    async def recommend(
        listener_id: str, session_id: str, body: RecommendBody, request: Request
    ) -> dict[str, object]:
        count = await request.state.redis.incr(f"reference:{listener_id}")
        return {
            "request_id": body.request_id,
            "recommendations": [{"recommendation_id": f"{session_id}-{count}", "position": count}],
        }

    @app.post("/v1/listeners/{listener_id}/recommendations/{recommendation_id}/feedback")
    async def take_feedback(
        listener_id: str, recommendation_id: str, body: FeedbackBody, request: Request
    ) -> dict[str, object]:
        count = await request.state.redis.incr(f"reference:{listener_id}")
        return {"event_id": body.event_id, "about": recommendation_id, "duplicate": count == 0}

    return app
