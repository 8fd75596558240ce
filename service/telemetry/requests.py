"""Every request is named, counted, timed and logged; and what nobody expected is answered, not dropped.

The id is the caller's where it sent a sane one. Routes are counted and logged by their template: a path holds
listener ids, and those belong neither in labels nor in logs.
"""

import re
from random import Random
from time import perf_counter
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import UNEXPECTED, answer
from service.telemetry.metrics import Metrics
from service.telemetry.spans import RequestSpan, Spans

HEADER: Final = b"x-request-id"
TRACE_HEADER: Final = b"traceresponse"
"""What W3C Trace Context calls the answer to `traceparent`."""
_chance: Final = Random()
"""Names need to differ, not to be secret; a system call for each would hand the interpreter to another thread."""
_SANE: Final = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")
_UNMATCHED: Final = "unmatched"
_ASKED_ALL_THE_TIME: Final = frozenset({"/healthz", "/startupz", "/readyz", "/metrics"})
"""What probes ask every second is counted, and logged when it is not well."""
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})

_log = structlog.get_logger("amrs.requests")


class Traced:
    """Where the lifespan puts what keeps spans, if anything does; the app is built before it is open."""

    spans: Spans | None = None


class RequestTelemetry:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, traced: Traced | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._traced = traced or Traced()
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._traced.spans is None:
            await self._serve(scope, receive, send, None)
        else:
            with self._traced.spans.request(scope["headers"]) as span:
                await self._serve(scope, receive, send, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, span: RequestSpan | None) -> None:
        request_id = _request_id(scope)
        named = [(HEADER, request_id.encode())]
        bound = {"request_id": request_id}
        if span is not None:
            named.append((TRACE_HEADER, span.traceparent.encode()))
            bound["trace_id"] = span.trace_id
        scope["request_id"] = request_id
        status = 500
        started = False

        async def send_named(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started = True
                status = int(message["status"])  # some come as an enum, which logs would spell out
                message["headers"] = [*message["headers"], *named]
            await send(message)

        begun = perf_counter()
        self._metrics.in_flight += 1
        with structlog.contextvars.bound_contextvars(**bound):
            try:
                await self._app(scope, receive, send_named)
            except Exception:
                _log.exception("request failed", route=_template(scope), method=_method(scope))
                if started:
                    raise
                detail = f"see the logs of this service for request {request_id}"
                await answer(UNEXPECTED, Request(scope), detail=detail)(scope, receive, send_named)
            finally:
                self._metrics.in_flight -= 1
                route, method = _template(scope), _method(scope)
                self._record(route, method, status, perf_counter() - begun)
                if span is not None:
                    span.answered(route=route, method=method, status=status)

    def _record(self, route: str, method: str, status: int, seconds: float) -> None:
        told = (route, method, status)
        if told not in self._bound:  # a small set: templates, methods and statuses
            count, timed = self._metrics.requests, self._metrics.request_seconds
            self._bound[told] = count.labels(*told), timed.labels(route, method)
        counted, timed_now = self._bound[told]
        counted.inc()
        timed_now.observe(seconds)
        if route not in _ASKED_ALL_THE_TIME:
            self._metrics.of_apps["failed" if status >= 500 else "answered"].inc()
        elif status < 400:
            return
        _log.info("request", route=route, method=method, status=status, seconds=round(seconds, 6))


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == HEADER and _SANE.fullmatch(value):
            return str(value.decode())
    return f"{_chance.getrandbits(128):032x}"


def _template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", _UNMATCHED)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"
