"""Bodies, read strictly: of a bounded size, declared as JSON, and JSON that has one meaning only.

`json.loads` of the standard library takes NaN, Infinity and duplicate keys in silence; two programs may then
read two things in one body. Here such a body is refused whole, before any field is looked at.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final, Never

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from models.errors import AmrsError

BODY_LIMIT_BYTES: Final = 256 * 1024
LARGE_BODY_LIMIT_BYTES: Final = 2 * 1024 * 1024
"""For songs, which carry embeddings, and for events, which come in hundreds."""


class MalformedBody(AmrsError):
    """The body is not JSON, or JSON that could be read in two ways."""


class WrongContentType(AmrsError):
    """The body is declared as something other than JSON."""


class BodyTooLarge(AmrsError):
    """The body is longer than this route reads."""


def parse_strictly(body: bytes) -> Any:
    """Return the value that a JSON text stands for.

    Raises:
        MalformedBody: it is not UTF-8, not JSON, holds NaN, Infinity, a key twice in one object, half a
            surrogate pair, or is nested or long in digits beyond what is ever meant.
    """
    try:
        text = body.decode()
        value = _decoder.decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise MalformedBody(f"expected a JSON text in UTF-8: {error.reason}") from None  # type: ignore[attr-defined]
    except json.JSONDecodeError as error:
        raise MalformedBody(f"expected JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise MalformedBody("expected JSON of reasonable depth") from None
    except ValueError:  # an integer of thousands of digits
        raise MalformedBody("expected JSON with numbers of reasonable length") from None
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedBody(f"expected each key once in an object, got {twice[:80]!r} more than once")
    return members


def _refuse_constant(name: str) -> Never:
    raise MalformedBody(f"expected JSON, which has no {name}")


_decoder = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_refuse_constant)


class _StrictRequest(Request):
    """A request whose body was read within its limit and parsed strictly before the route sees it."""

    async def read(self, limit_bytes: int) -> None:
        """Read and parse the body."""
        content_type = self.headers.get("content-type", "")
        if not _is_json(content_type):
            came = content_type[:80] or "none"
            raise WrongContentType(f"expected content type application/json, got {came}")
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit_bytes:
            raise BodyTooLarge(f"expected a body of at most {limit_bytes} bytes, got {declared}")
        parts: list[bytes] = []
        length = 0
        try:
            async for part in self.stream():
                length += len(part)
                if length > limit_bytes:
                    raise BodyTooLarge(f"expected a body of at most {limit_bytes} bytes, got more")
                parts.append(part)
        except ClientDisconnect:  # or was shown out for slowness; nobody reads this answer, but it is counted
            raise MalformedBody("expected the whole body; the connection ended before it") from None
        self._body = b"".join(parts)
        self._json = parse_strictly(self._body)


def _is_json(content_type: str) -> bool:
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower()
    return media_type.strip().lower() == "application/json" and charset in ("", "charset=utf-8", 'charset="utf-8"')


class StrictRoute(APIRoute):
    """A route that reads its body strictly, where it has one."""

    limit_bytes = BODY_LIMIT_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, behind a strict reading of the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        limit_bytes = self.limit_bytes

        async def handle_strictly(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            await strict.read(limit_bytes)
            return await handle(strict)

        return handle_strictly


class LargeBodyRoute(StrictRoute):
    """A strict route for the bodies that are long by nature."""

    limit_bytes = LARGE_BODY_LIMIT_BYTES
