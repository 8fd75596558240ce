"""Health over HTTP: is the process alive, can it serve, what do its numbers say."""

from fastapi import APIRouter, Response

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


@router.get("/healthz")
async def alive() -> AliveView:
    """Say that the process answers; nothing else is looked at."""
    return AliveView(status="alive")


@router.get("/readyz", responses={503: {"model": ReadyView}})
async def ready(parts: OpenPartsDep, response: Response) -> ReadyView:
    """Say whether the service can serve: it needs a live bundle and the journal, and does without memory."""
    health = await parts.health()
    if health.missing:
        response.status_code = 503
    return ReadyView(
        ready=not health.missing,
        bundle=health.bundle,
        degraded=list(health.degraded),
        missing=list(health.missing),
    )


@router.get("/metrics", dependencies=[needs(Scope.OPERATOR, Scope.AUDITOR)])
async def metrics(parts: PartsDep) -> Response:
    """Tell the numbers of all workers, for Prometheus."""
    return Response(parts.metrics.expose(), media_type=METRICS_TYPE)
