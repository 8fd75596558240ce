"""The OpenAPI document, whole: beside what each route gives, the problems it may answer with, and what comes next.

FastAPI knows of successes and of one error, in a shape that is not ours. What a route may refuse follows from what
it asks for: a key, a body, names in its path. Only what depends on the past, a conflict, is said at the route
itself (`CONFLICTS`). Links tell which field of an answer is asked for by which request; tools walk along them.
"""

from typing import Any, Final, Protocol, runtime_checkable

from fastapi import FastAPI
from pydantic import TypeAdapter

from service.api.fields import Outgoing
from service.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_WORDS: Final = {
    400: "The body cannot be read",
    401: "A key is needed",
    403: "The key does not open this",
    404: "There is no such thing, or it is not the caller's to see",
    405: "The path, as it came, is another one, which does not know this method",
    409: "The request contradicts what already happened",
    413: "The body is too long",
    415: "The body must be JSON",
    422: "The request is not of this shape; `errors` names each place",
    429: "The key has asked too often",
    503: "The service cannot do this now; the same request may be sent again",
}
_WITH_A_KEY: Final = (401, 403, 429)
_WITH_A_BODY: Final = (400, 413, 415, 422)
_WITH_NAMES: Final = (404, 405, 422)
"""In the path; a name with a slash in it makes another path."""
_WITH_A_NAME_ASKED_FOR: Final = 404
"""In the query."""
_AT_ANY_TIME: Final = 503

CONFLICTS: Final[Responses] = {409: {"description": _WORDS[409]}}
"""For the routes whose requests can contradict what already happened."""


class Wrong(Outgoing):
    """One place in a request, and what is wrong there."""

    path: str
    """Like `report.arousal`; empty where it is the whole body."""
    message: str


class ProblemView(Outgoing):
    """Something went wrong: RFC 9457."""

    type: str
    """`urn:amrs:problem:` and a name."""
    title: str
    status: int
    detail: str
    request_id: str | None
    errors: list[Wrong] | None = None
    """Every place that is wrong, where the shape of the request is."""


_TEXT: Final = {"schema": {"type": "string"}}
_NUMBER: Final = {"schema": {"type": "integer", "minimum": 0}}
_EVERYWHERE: Final = {
    "X-Request-Id": {**_TEXT, "required": True, "description": "The caller's, if it sent a sane one"}
}
_WITH_A_LIMIT: Final = {
    f"RateLimit-{name}": {**_NUMBER, "description": words}
    for name, words in (
        ("Limit", "How many requests the key may send at once"),
        ("Remaining", "How many are left"),
        ("Reset", "Seconds until all are there again"),
    )
}
_OWN: Final[dict[str, dict[str, Any]]] = {
    "401": {"WWW-Authenticate": {**_TEXT, "required": True}},
    "429": {"Retry-After": {**_NUMBER, "required": True, "description": "Seconds"}},
    "503": {"Retry-After": {**_NUMBER, "description": "Seconds"}},
}


def _link(operation: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": parameters}


_LISTENER: Final = {"listener_id": "$request.path.listener_id"}
_SESSION: Final = {"listener_id": "$response.body#/listener_id", "session_id": "$response.body#/session_id"}
_GIVEN: Final = _LISTENER | {"recommendation_id": "$response.body#/recommendations/0/recommendation_id"}
_LINKS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("start_session", "201"): {
        "recommend": _link("recommend", **_SESSION),
        "change_mode": _link("change_mode", **_SESSION),
        "end_session": _link("end_session", **_SESSION),
        "history": _link("history", listener_id=_SESSION["listener_id"]),
        "export": _link("export", listener_id=_SESSION["listener_id"]),
        "erase": _link("erase", listener_id=_SESSION["listener_id"]),
    },
    ("recommend", "200"): {"why": _link("why", **_GIVEN), "feedback": _link("take_feedback", **_GIVEN)},
    ("take_feedback", "200"): {"history": _link("history", **_LISTENER)},
    ("songs", "200"): {
        "song": _link("song", song_id="$response.body#/songs/0/song_id"),
        "next": _link("songs", after="$response.body#/after"),
    },
    ("put_song", "200"): {
        "song": _link("song", song_id="$response.body#/song_id"),
        "withdraw": _link("withdraw_song", song_id="$response.body#/song_id"),
    },
    ("bundles", "200"): {
        "health": _link("bundle_health", version="$response.body#/models/0/version"),
        "stage": _link("stage", version="$response.body#/models/0/version"),
    },
    ("enrol", "200"): {"release": _link("release", listener_id="$response.body#/listener_id")},
}
"""Operation and status → what its answer leads to."""


@runtime_checkable
class Named(Protocol):
    """A route."""

    name: str
    """The name of the function behind it."""


def operation_id(route: Named) -> str:
    """Return what an operation is called in the document, and in clients made from it."""
    return route.name


def tell_all(app: FastAPI) -> None:
    """Make the app's document whole."""
    plain = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        document: dict[str, Any] = plain()  # what FastAPI keeps, and what was completed just now
        return document

    app.openapi = whole  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for replaced in ("HTTPValidationError", "ValidationError"):
        schemas.pop(replaced, None)
    problem = TypeAdapter(ProblemView).json_schema(
        ref_template="#/components/schemas/{model}", mode="serialization"
    )
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    for path in document["paths"].values():
        for operation in path.values():
            _complete_operation(operation)


def _complete_operation(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status in sorted({*_refusals(operation), *(int(each) for each in responses if each == "409")}):
        told = responses.setdefault(str(status), {"description": _WORDS[status]})
        told.setdefault("content", {})[MEDIA_TYPE] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    limit = _WITH_A_LIMIT if "security" in operation else {}
    for status, told in responses.items():
        told["headers"] = {**told.get("headers", {}), **_EVERYWHERE, **limit, **_OWN.get(status, {})}
        if links := _LINKS.get((operation["operationId"], status)):
            told["links"] = links


def _refusals(operation: dict[str, Any]) -> set[int]:
    """Return the statuses of the problems that follow from what an operation asks for."""
    parameters = operation.get("parameters", [])
    found = {_AT_ANY_TIME}
    if "security" in operation:
        found.update(_WITH_A_KEY)
    if "requestBody" in operation:
        found.update(_WITH_A_BODY)
    if any(each["in"] == "path" for each in parameters):
        found.update(_WITH_NAMES)
    if any(each["name"].endswith("_id") for each in parameters):
        found.add(_WITH_A_NAME_ASKED_FOR)
    if parameters:
        found.add(422)
    return found
