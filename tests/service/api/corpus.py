"""Bad requests by the thousand, drawn from a seed: every writing route's lawful body, spoilt in one way or in two.

Nothing is stored: the same seed draws the same requests. A spoilt body may still be lawful (an optional field
dropped, an id changed); what answers it is then a success, and no less to be expected.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from urllib.parse import quote

JSON = "application/json"


@dataclass(frozen=True)
class Sent:
    """One request."""

    operation: str
    """Method and template, as the document has them."""
    method: str
    path: str
    body: bytes
    content_type: str | None = JSON
    spoilt: str = ""
    """In which ways."""


@dataclass(frozen=True)
class Lawful:
    """A writing route: how it is asked, lawfully."""

    method: str
    template: str
    names: dict[str, str]
    body: dict[str, Any]


REPORT = {"valence": 0.35, "arousal": 0.8}
AT = "2026-11-20T21:10:00+01:00"
_LISTENER = "/v1/listeners/{listener_id}"
_EVENTS = [
    {"type": "feedback", "event_id": "e-1", "recommendation_id": "r", "played_seconds": 181.0, "rating": 1},
    {"type": "mode", "event_id": "e-2", "session_id": "s-1", "mode": "sleep", "occurred_at": AT},
    {"type": "end", "event_id": "e-3", "session_id": "s-1", "report": REPORT, "occurred_at": AT},
]


def lawful(recommendation_id: str) -> list[Lawful]:
    """Return every writing route that has a body; of listener `l-1`, who has session `s-1` and this song."""
    mine = {"listener_id": "l-1", "session_id": "s-1"}
    other = {"listener_id": "l-2"}
    given = {"listener_id": "l-1", "recommendation_id": recommendation_id}
    song = {
        "title": "A song",
        "artist": "Somebody",
        "duration_seconds": 214.0,
        "tags": ["piano", "slow"],
        "embeddings": {"tiny": [0.5] * 8},
    }
    begin = {
        "session_id": "s-9",
        "mode": "calm",
        "report": REPORT,
        "population": "clinical",
        "context": {"local_time": AT},
    }
    played = {"event_id": "e-1", "played_seconds": 181.0, "engagement": 0.9, "rating": 1, "occurred_at": AT}
    ended = {"event_id": "e-2", "report": REPORT, "occurred_at": AT}
    asked = {"request_id": "r-1", "count": 2, "exclude": ["song-9", "song-8"]}
    return [
        Lawful("POST", f"{_LISTENER}/sessions", other, begin),
        Lawful("POST", f"{_LISTENER}/sessions/{{session_id}}/recommendations", mine, asked),
        Lawful("POST", f"{_LISTENER}/recommendations/{{recommendation_id}}/feedback", given, played),
        Lawful("POST", f"{_LISTENER}/sessions/{{session_id}}/mode", mine, {"event_id": "e-3", "mode": "sleep"}),
        Lawful("POST", f"{_LISTENER}/sessions/{{session_id}}/end", {**other, "session_id": "s-9"}, ended),
        Lawful("POST", f"{_LISTENER}/events", other, {"events": _EVENTS}),
        Lawful("PUT", f"{_LISTENER}/consent", other, {"event_id": "e-4", "consent": True}),
        Lawful("PUT", "/v1/songs/{song_id}", {"song_id": "song-new"}, song),
        Lawful("PUT", "/v1/models/canary/listeners/{listener_id}", other, {"clinical": True}),
        Lawful("POST", "/v1/models/{version}/stage", {"version": "no-such"}, {"stage": "shadow"}),
    ]


def corpus(count: int, *, seed: int, recommendation_id: str) -> Iterator[Sent]:
    """Yield so many bad requests, route after route, each spoilt in a way drawn from the seed."""
    rng = Random(seed)
    routes = lawful(recommendation_id)
    for number in range(count):
        route = routes[number % len(routes)]
        body = deepcopy(route.body)
        names = dict(route.names)
        for name in ("session_id", "request_id", "event_id"):
            if name in body:
                body[name] = f"{body[name]}-{number}"
        ways = rng.sample(list(_SHAPES), rng.choice((0, 1, 1, 1, 2)))
        for way in ways:
            body = _SHAPES[way](rng, body)
        if not ways or rng.random() < 0.05:
            ways.append("names in the path")
            name = rng.choice(sorted(names))
            names[name] = rng.choice(_NAMES)
        path = route.template
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", quote(value, safe="", errors="surrogatepass"))
        sent = Sent(f"{route.method} {route.template}", route.method, path, _written(body))
        if rng.random() < 0.3:
            way = rng.choice(list(_BYTES))
            sent = _BYTES[way](rng, sent)
            ways.append(way)
        yield replace(sent, spoilt=", ".join(ways))


class Raw(str):
    """A token that no writer of JSON would write."""


_NAMES = (
    *(
        "..",
        ".",
        "%",
        "a/b",
        "/",
        "\x00",
        " ",
        "\n",
        "l-1\x00",
        "é",
        "\U0001f3b5",
        "\ud800",
        "null",
        "%2e%2e",
        "*",
    ),
    *("' OR 1=1 --", "a" * 129, "a" * 4000, "{listener_id}", "<b>", "\\", "?", "#", "l-1;x=1", "\u202e", "０"),
)
_VALUES = (
    *(
        None,
        True,
        False,
        "",
        "x",
        0,
        -1,
        2,
        1.5,
        -0.0,
        1e308,
        5e-324,
        1.0000001,
        2**31,
        2**63,
        -(2**63) - 1,
        2**64,
    ),
    *([], {}, [None], [[]], {"": {}}, "0.5", "true", "null", "\x00", "1970-01-01", "9999-12-31T23:59:60Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-11-20T21:10:00", "\U0001f3b5" * 200),
    *(Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw("1e999"), Raw("-1e999"), Raw("9" * 400), Raw("9" * 5000)),
    *(Raw("01"), Raw("1."), Raw(".5"), Raw("+1"), Raw("0x10"), Raw("1_000"), Raw("undefined"), Raw("'x'")),
    *(Raw('"\\ud800"'), Raw('"\\udc00\\ud800"'), Raw('"\\x41"'), Raw('"\n"'), Raw("[1,]"), Raw("{,}"), Raw("//")),
    *(Raw("[" * 60 + "]" * 60), Raw("[" * 3000 + "]" * 3000), Raw('{"a":' * 900 + "1" + "}" * 900)),
)
_FIELDS = ("", "__proto__", "Report", "report ", "sessionId", "\x00", "é", "id", "constructor", "a" * 5000, "type")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a body."""
    found: list[tuple[Any, Any]] = []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        found += [(value, key), *_places(inner)]
    return found


def _objects(value: Any) -> list[dict[str, Any]]:
    return [value, *(inner[key] for inner, key in _places(value) if isinstance(inner[key], dict))]


def _other_value(rng: Random, body: Any) -> Any:
    if places := _places(body):
        container, key = rng.choice(places)
        container[key] = deepcopy(rng.choice(_VALUES))
    return body


def _other_name(rng: Random, body: Any) -> Any:
    ids = [(held, key) for held, key in _places(body) if isinstance(held[key], str)]
    if ids:
        container, key = rng.choice(ids)
        container[key] = rng.choice(_NAMES)
    return body


def _dropped(rng: Random, body: Any) -> Any:
    if places := _places(body):
        container, key = rng.choice(places)
        del container[key]
    return body


def _unknown(rng: Random, body: Any) -> Any:
    if isinstance(body, dict):
        rng.choice(_objects(body))[rng.choice(_FIELDS)] = deepcopy(rng.choice(_VALUES))
    return body


def _twice(rng: Random, body: Any) -> Any:
    if isinstance(body, dict) and body:
        held = rng.choice([each for each in _objects(body) if each] or [body])
        key = rng.choice(list(held))
        held[Raw(json.dumps(key) + ":" + _text(held[key]) + "," + json.dumps(key))] = held[key]
        del held[key]
    return body


def _many(rng: Random, body: Any) -> Any:
    lists = [(held, key) for held, key in _places(body) if isinstance(held[key], list) and held[key]]
    if lists:
        container, key = rng.choice(lists)
        container[key] = [deepcopy(container[key][0]) for _ in range(rng.choice((2, 65, 501, 1001)))]
    return body


def _moved(rng: Random, body: Any) -> Any:
    return rng.choice([[body], {"body": body}, json.dumps(body, default=str), None, 1, "", True, [], {}])


_SHAPES: dict[str, Callable[[Random, Any], Any]] = {
    "another value": _other_value,
    "another value again": _other_value,
    "another name": _other_name,
    "a field dropped": _dropped,
    "a field unknown": _unknown,
    "a key twice": _twice,
    "too many": _many,
    "another whole": _moved,
}


def _cut(rng: Random, sent: Sent) -> Sent:
    return replace(sent, body=sent.body[: rng.randrange(len(sent.body) + 1)])


def _flipped(rng: Random, sent: Sent) -> Sent:
    body = bytearray(sent.body)
    for _ in range(rng.randint(1, 3)):
        if body:
            body[rng.randrange(len(body))] = rng.randrange(256)
    return replace(sent, body=bytes(body))


def _inserted(rng: Random, sent: Sent) -> Sent:
    place = rng.randrange(len(sent.body) + 1)
    extra = rng.choice(
        (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"}", b"{}", b"\xef\xbb\xbf", b",", b"\xf5")
    )
    return replace(sent, body=sent.body[:place] + extra + sent.body[place:])


def _other_type(rng: Random, sent: Sent) -> Sent:
    types = (None, "", "text/plain", "application/json; charset=latin-1", "application/x-www-form-urlencoded")
    more = ("multipart/form-data; boundary=x", "application/jsonx", "application/problem+json", "*/*", "a" * 500)
    return replace(sent, content_type=rng.choice((*types, *more)))


def _other_encoding(rng: Random, sent: Sent) -> Sent:
    text = sent.body.decode(errors="replace")
    return replace(sent, body=text.encode(rng.choice(("utf-16", "utf-32", "utf-7", "utf-8-sig")), "replace"))


def _padded(rng: Random, sent: Sent) -> Sent:
    return replace(sent, body=sent.body + b" " * rng.choice((1, 1000, 256 * 1024, 2 * 1024 * 1024)))


_BYTES: dict[str, Callable[[Random, Sent], Sent]] = {
    "cut off": _cut,
    "bytes flipped": _flipped,
    "bytes inserted": _inserted,
    "another type": _other_type,
    "another encoding": _other_encoding,
    "padded": _padded,
}


def _text(value: Any) -> str:
    """Return a value as JSON, its raw tokens as they are."""
    match value:
        case Raw():
            return str(value)
        case dict():
            return "{" + ",".join(_member(key, inner) for key, inner in value.items()) + "}"
        case list():
            return "[" + ",".join(_text(inner) for inner in value) + "]"
    return json.dumps(value)


def _member(key: str, value: Any) -> str:
    return f"{key if isinstance(key, Raw) else json.dumps(key)}:{_text(value)}"


def _written(body: Any) -> bytes:
    return _text(body).encode("utf-8", "surrogatepass")
