"""The app: one factory, the same in tests and in production; nothing opens before the lifespan, nor on import."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.access.crowd import Crowd
from service.access.headers import AnswerHeaders
from service.api import (
    audit,
    blocks,
    bundles,
    events,
    health,
    history,
    privacy,
    recommendations,
    sessions,
    songs,
)
from service.api.problems import tell_problems
from service.clock import Clock, system_clock
from service.parts import Parts, open_parts
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.telemetry.requests import RequestTelemetry

DESCRIPTION = """Chooses a listener's next song, under guardrails, and keeps account of why.

Valence, arousal and engagement are numbers from 0 to 1. Every write carries an id the client chooses, and may
be sent again with the same effect. Errors are `application/problem+json`."""


class Resources(TypedDict):
    """What the lifespan holds open."""

    parts: Parts


def create_app(settings: Settings, *, clock: Clock = system_clock) -> FastAPI:
    """Return the service's app for these settings; it opens its parts when it starts."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Resources]:
        async with open_parts(settings, clock=clock, metrics=metrics) as parts:
            yield Resources(parts=parts)

    app = FastAPI(
        title="AMRS",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    for part in (recommendations, sessions, events, history, blocks, privacy, songs, bundles, audit, health):
        app.include_router(part.router)
    tell_problems(app)
    app.add_middleware(Crowd, at_once=settings.requests_at_once)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After", "RateLimit-Remaining", "RateLimit-Reset"],
        )
    app.add_middleware(RequestTelemetry, metrics=metrics)
    app.add_middleware(AnswerHeaders)
    return app
