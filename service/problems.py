"""Problems: how an answer tells that something went wrong, as `application/problem+json` (RFC 9457).

Which error is which problem is the API's table (`service.api.problems`). Two are not in it: of a request that was
never let in, and of one that ended as nobody expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
RETRY: Final[Mapping[str, str]] = {"Retry-After": "1"}
"""Headers that ask to come again in a second."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of answer to something that went wrong."""

    status: int
    name: str
    """The last part of the problem's type, `urn:amrs:problem:<name>`."""
    title: str
    headers: Mapping[str, str] | None = None


CROWDED: Final = Problem(503, "crowded", "The service is answering all it can", RETRY)
UNEXPECTED: Final = Problem(500, "unexpected", "Something went wrong here")


def answer(
    problem: Problem, request: Request, *, detail: str, errors: list[dict[str, str]] | None = None
) -> Response:
    """Return the answer that tells a problem."""
    body: dict[str, Any] = {
        "type": f"urn:amrs:problem:{problem.name}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "request_id": request.scope.get("request_id"),
    }
    if errors:
        body["errors"] = errors
    content = orjson.dumps(body)
    return Response(content, problem.status, headers=dict(problem.headers or {}), media_type=MEDIA_TYPE)
