"""The app: one factory, the same in tests and in production; nothing opens before the lifespan, nor on import."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from models.errors import ConfigError
from service.access.crowd import Crowd
from service.access.headers import AnswerHeaders
from service.api import (
    audit,
    blocks,
    bundles,
    canary,
    catalogue,
    events,
    health,
    history,
    privacy,
    recommendations,
    sessions,
    songs,
)
from service.api.document import operation_id, tell_all
from service.api.problems import tell_problems
from service.clock import Clock, system_clock
from service.parts import Parts, open_parts
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.telemetry.requests import RequestTelemetry, Traced
from service.telemetry.spans import Spans

DESCRIPTION = """Chooses a listener's next song, under guardrails, and keeps account of why.

Valence, arousal and engagement are numbers from 0 to 1. Every write carries an id the client chooses, and may
be sent again with the same effect. Errors are `application/problem+json`."""


class Resources(TypedDict):
    """What the lifespan holds open."""

    parts: Parts


def create_app(settings: Settings, *, clock: Clock = system_clock) -> FastAPI:
    """Return the service's app for these settings; it opens its parts when it starts."""
    metrics, traced = Metrics(), Traced()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Resources]:
        async with AsyncExitStack() as stack:
            traced.spans = stack.enter_context(_tracing(settings)) if settings.trace_endpoint else None
            parts = await stack.enter_async_context(
                open_parts(settings, clock=clock, metrics=metrics, spans=traced.spans)
            )
            yield Resources(parts=parts)

    app = FastAPI(
        title="AMRS",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,  # one path for one thing; and a redirect would be to the host the caller names
        generate_unique_id_function=operation_id,
    )
    for part in (
        recommendations,
        sessions,
        events,
        history,
        blocks,
        privacy,
        songs,
        catalogue,
        canary,
        bundles,
        audit,
        health,
    ):
        app.include_router(part.router)
    tell_problems(app)
    tell_all(app)
    app.add_middleware(Crowd, at_once=settings.requests_at_once)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After", "RateLimit-Remaining", "RateLimit-Reset"],
        )
    app.add_middleware(RequestTelemetry, metrics=metrics, traced=traced)
    app.add_middleware(AnswerHeaders)
    return app


def _tracing(settings: Settings) -> AbstractContextManager[Spans]:
    try:
        from service.telemetry.tracing import (
            open_tracing,  # only where it is asked for: it costs memory and a thread
        )
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"AMRS_TRACE_ENDPOINT needs {missing.name}, which is not installed: pip install 'amrs[tracing]'"
        ) from missing
    return open_tracing(str(settings.trace_endpoint), share=settings.trace_share)
