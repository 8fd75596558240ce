"""The crowd: how many requests a worker answers at a time; more are sent away at once, to come again.

A request refused in a millisecond costs nobody anything; one that waits its turn for seconds costs everybody.
Health is asked for in a crowd above all, and always answered.
"""

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import CROWDED, answer

ALWAYS_ANSWERED: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class Crowd:
    """A layer that lets in so many at a time."""

    def __init__(self, app: ASGIApp, *, at_once: int) -> None:
        self._app = app
        self._at_once = at_once
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or send it away with 503."""
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        if self._inside >= self._at_once:
            detail = f"{self._at_once} requests are being answered already"
            await answer(CROWDED, Request(scope), detail=detail)(scope, receive, send)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1
