"""Health over HTTP: is the process alive, has it started, can it serve, what do its numbers say."""

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from service.access.caller import Scope
from service.api.dependencies import OpenPartsDep, PartsDep, needs
from service.api.fields import Outgoing

router = APIRouter(tags=["health"])

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class AliveView(Outgoing):
    """The process answers."""

    status: str


class ReadyView(Outgoing):
    """Whether the service can serve, and what it has to do without."""

    ready: bool
    bundle: str | None
    degraded: list[str]
    missing: list[str]
    """What is needed and not there."""


class StartUpView(Outgoing):
    """Whether the worker has started."""

    started: bool


@router.get("/healthz", responses={503: {"model": AliveView}})
async def alive(parts: OpenPartsDep, response: Response) -> AliveView:
    """Say that the process answers, and can still choose and write: else only another process can help."""
    if not parts.journal.is_writing:
        response.status_code = 503
        return AliveView(status="the journal's writer has died")
    if not parts.road.choosing.is_alive:
        response.status_code = 503
        return AliveView(status="the thread that chooses songs has died")
    return AliveView(status="alive")


@router.get("/startupz", responses={503: {"model": StartUpView}})
async def started(parts: OpenPartsDep, response: Response) -> StartUpView:
    """Say whether the worker has started: it could serve once, or has found that no bundle is live yet."""
    if not parts.readiness.has_started:
        await parts.readiness.look()
    if not parts.readiness.has_started:
        response.status_code = 503
    return StartUpView(started=parts.readiness.has_started)


@router.get("/readyz", responses={503: {"model": ReadyView}})
async def ready(parts: OpenPartsDep, response: Response) -> ReadyView:
    """Say whether the service can serve: it needs the journal and a live bundle that computes, not memory.

    The live bundle chooses a song for a listener who does not exist, once a second at most.
    """
    health = await parts.readiness.look()
    if not health.ready:
        response.status_code = 503
    return ReadyView(
        ready=health.ready,
        bundle=health.bundle,
        degraded=list(health.degraded),
        missing=list(health.missing),
    )


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[needs(Scope.OPERATOR, Scope.AUDITOR)])
async def metrics(parts: PartsDep) -> Response:
    """Tell the numbers of all workers, for Prometheus."""
    told = await asyncio.to_thread(parts.metrics.expose)
    return Response(told, media_type=METRICS_TYPE)
