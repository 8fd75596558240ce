"""Errors on the wire: the one table from what went wrong to the problem it is answered with.

The rest of the service raises errors that know no HTTP. A message reaches the caller only where the error was
raised on purpose; what nobody expected is told as nothing but its request id.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPMethod, HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from models.errors import AmrsError, BundleError, DataError, GateError, Unavailable, UnknownSong
from service.api.fields import EXPECTED, shown
from service.api.strict import BodyTooLarge, MalformedBody, WrongContentType
from service.errors import (
    CatalogueGap,
    ClinicalListener,
    Conflict,
    Forbidden,
    IdConflict,
    NotFound,
    SessionEnded,
    SongWithdrawn,
    StageConflict,
    StaleMemory,
    TooManyRequests,
    Unauthorized,
    UnknownBundle,
    UnknownKey,
    UnknownListener,
    UnknownRecommendation,
    UnknownSession,
)
from service.problems import RETRY, UNEXPECTED, Problem, answer

INVALID: Final = Problem(422, "invalid", "The request is not of this shape")

PROBLEMS: Final[Mapping[type[AmrsError], Problem]] = {
    MalformedBody: Problem(400, "malformed-body", "The body cannot be read"),
    Unauthorized: Problem(401, "unauthorized", "A key is needed", {"WWW-Authenticate": "Bearer"}),
    Forbidden: Problem(403, "forbidden", "The key does not open this"),
    BodyTooLarge: Problem(413, "body-too-large", "The body is too long"),
    WrongContentType: Problem(415, "wrong-content-type", "The body must be JSON"),
    UnknownListener: Problem(404, "unknown-listener", "There is no such listener"),
    UnknownSession: Problem(404, "unknown-session", "There is no such session"),
    UnknownRecommendation: Problem(404, "unknown-recommendation", "There is no such recommendation"),
    UnknownBundle: Problem(404, "unknown-bundle", "There is no such bundle"),
    UnknownKey: Problem(404, "unknown-key", "There is no such key"),
    UnknownSong: Problem(404, "unknown-song", "There is no such song"),
    NotFound: Problem(404, "not-found", "There is no such thing"),
    SessionEnded: Problem(409, "session-ended", "The session has ended"),
    IdConflict: Problem(409, "id-conflict", "The id came before with another body"),
    SongWithdrawn: Problem(409, "song-withdrawn", "The song was withdrawn, and stays so"),
    StageConflict: Problem(409, "stage-conflict", "The bundle cannot change to this stage"),
    ClinicalListener: Problem(409, "clinical-listener", "A clinical listener is enrolled only by saying so"),
    GateError: Problem(409, "gates-not-passed", "The bundle did not pass its gates"),
    CatalogueGap: Problem(409, "catalogue-gap", "A song lacks an embedding in the bundle's space"),
    BundleError: Problem(409, "bad-bundle", "The bundle cannot be used"),
    Conflict: Problem(409, "conflict", "The request contradicts what already happened"),
    DataError: INVALID,
    TooManyRequests: Problem(429, "too-many-requests", "The key has asked too often"),
    StaleMemory: Problem(503, "busy", "The listener's state kept changing", RETRY),
    Unavailable: Problem(503, "unavailable", "The service cannot do this now", RETRY),
}
"""Every error raised on purpose; one that is not named here is answered as its nearest ancestor that is."""


def problem_for(error: AmrsError) -> Problem:
    """Return the problem an error is answered with."""
    return next((PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS), UNEXPECTED)


def field_errors(error: RequestValidationError) -> list[dict[str, str]]:
    """Return each place in the request that is wrong, and in which words."""
    return [{"path": _path(each["loc"]), "message": _message(each)} for each in error.errors()]


_PLACES: Final = frozenset({"body", "path", "query", "header"})
_EVENT_TYPES: Final = frozenset({"feedback", "mode", "end"})
"""After an event's place in the list, pydantic names its type, which is no step of the way to a field."""


_KINDS: Final = {
    "model_attributes_type": "an object",
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
    "string_type": "a string",
}
"""What pydantic calls a value of another kind, and what this project calls the kind."""


def _path(location: tuple[str | int, ...]) -> str:
    steps = location[1:] if location and location[0] in _PLACES else location
    return ".".join(
        str(step)
        for place, step in enumerate(steps)
        if not (place and isinstance(steps[place - 1], int) and step in _EVENT_TYPES)
    )


def _message(each: Mapping[str, Any]) -> str:
    if each["type"] == EXPECTED:
        return str(each["msg"])
    if each["type"] == "missing":
        return "expected a value, got none"
    if each["type"] == "extra_forbidden":
        return "expected no field of this name"
    if each["type"] in _KINDS:
        return f"expected {_KINDS[each['type']]}, got {shown(each.get('input'))}"
    return f"{each['msg']}, got {shown(each.get('input'))}"


def tell_problems(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""

    async def tell(request: Request, error: Exception) -> Response:
        match error:
            case RequestValidationError():
                errors = field_errors(error)
                named = (f"{each['path']}: " if each["path"] else "" for each in errors)
                detail = "; ".join(
                    f"{path}{each['message']}" for path, each in zip(named, errors[:3], strict=False)
                )
                return answer(INVALID, request, detail=detail, errors=errors)
            case HTTPException():
                status = HTTPStatus(error.status_code)
                told = dict(error.headers or {})
                if status == HTTPStatus.METHOD_NOT_ALLOWED:
                    told["Allow"] = _allowed(request)
                problem = Problem(status, status.phrase.lower().replace(" ", "-"), status.phrase, told)
                return answer(problem, request, detail=str(error.detail))
            case TooManyRequests():
                headers = {"Retry-After": str(error.retry_after_seconds)}
                problem = replace(PROBLEMS[TooManyRequests], headers=headers)
                return answer(problem, request, detail=str(error))
            case AmrsError():
                return answer(problem_for(error), request, detail=str(error), errors=_places_of(error))
        raise error

    for kind in (RequestValidationError, HTTPException, AmrsError):
        app.add_exception_handler(kind, tell)


def _allowed(request: Request) -> str:
    """Return the methods that the path knows; Starlette names those of the first route alone."""
    routes = request.app.router.routes
    known = (
        method
        for method in HTTPMethod
        if any(route.matches({**request.scope, "method": method.value})[0] is Match.FULL for route in routes)
    )
    return ", ".join(method.value for method in known)


_PLACE: Final = re.compile(r"(context\..*?(?=: expected)|[^ ]*?): (.*)", re.DOTALL)
"""`context.mood: …`: a place holds no space, except that a key of the context may be any text at all."""


def _places_of(error: AmrsError) -> list[dict[str, str]] | None:
    """Return the place that a broken contract names, where its message begins with one."""
    if not isinstance(error, DataError) or isinstance(error, UnknownSong):
        return None
    named = _PLACE.fullmatch(str(error))
    return [{"path": named[1], "message": named[2]}] if named else None
