"""Headers that every answer carries: what a browser must not do with it, and what is left of the caller's quota.

The values are those of an API: nothing is cached, framed, sniffed or run. The page of documentation alone may load
its scripts.
"""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.rate_limits import Quota

QUOTA_KEY: Final = "rate_limit"
"""Where in the state of a request its caller's quota is put."""
DOCUMENTATION: Final = "/docs"

_ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_API: Final = [*_ALWAYS, (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]
_PAGE: Final = [
    *_ALWAYS,
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
        b"style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
        b"img-src 'self' data: https://fastapi.tiangolo.com; frame-ancestors 'none'",
    ),
]
_SECURE: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class AnswerHeaders:
    """A layer that adds them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = _PAGE if scope["path"] == DOCUMENTATION else _API
        if scope["scheme"] == "https":
            added = [*added, _SECURE]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added, *_limit(scope.get("state", {}))]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _limit(state: Mapping[str, object]) -> list[tuple[bytes, bytes]]:
    quota = state.get(QUOTA_KEY)
    if not isinstance(quota, Quota):
        return []
    return [
        (b"ratelimit-limit", b"%d" % quota.limit),
        (b"ratelimit-remaining", b"%d" % quota.remaining),
        (b"ratelimit-reset", b"%d" % quota.reset_seconds),
    ]
