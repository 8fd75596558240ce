"""HTTP version 1's error table: what is wrong with a request decides its status, and the words name the place."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.service.server import Listener

SESSIONS = "/v1/listeners/l-1/sessions"
SOUND = b'{"session_id": "s-2"}'


@dataclass(frozen=True)
class Case:
    """A request, and how it is answered."""

    status: int
    name: str
    path: str
    body: Any = None
    """Bytes as they are, or a value as JSON."""
    content_type: str | None = "application/json"
    method: str = "POST"
    errors: tuple[tuple[str, str], ...] = ()
    """Place and message of each error in a field."""

    def send(self, client: httpx.Client) -> httpx.Response:
        headers = {"content-type": self.content_type} if self.content_type else {}
        if isinstance(self.body, bytes):
            return client.request(self.method, self.path, content=self.body, headers=headers)
        return client.request(self.method, self.path, json=self.body)


def malformed(body: bytes) -> Case:
    return Case(400, "malformed-body", SESSIONS, body)


def invalid(body: Any, *errors: tuple[str, str], path: str = SESSIONS) -> Case:
    return Case(422, "invalid", path, body, errors=errors)


RECOMMENDATIONS = f"{SESSIONS}/s-1/recommendations"
END = f"{SESSIONS}/s-1/end"
MODE = f"{SESSIONS}/s-1/mode"
EVENTS = "/v1/listeners/l-1/events"

TOLD = {"type": "feedback", "event_id": "e-1", "recommendation_id": "r"}

TABLE = {
    "a field of an offline event": invalid(
        {"events": [TOLD | {"rating": 7}]},
        ("events.0.rating", "expected 1 (like) or 0 (dislike), got 7"),
        path=EVENTS,
    ),
    "an offline event that says nothing": invalid(
        {"events": [TOLD]},
        ("events.0", "expected played_seconds, engagement or rating, got none of them"),
        path=EVENTS,
    ),
    "not JSON": malformed(b"session"),
    "nothing at all": malformed(b""),
    "cut off": malformed(b'{"session_id": "s-2"'),
    "NaN": malformed(b'{"session_id": "s-2", "report": {"valence": NaN, "arousal": 0.5}}'),
    "Infinity": malformed(b'{"session_id": "s-2", "report": {"valence": Infinity, "arousal": 0.5}}'),
    "a key twice": malformed(b'{"session_id": "s-2", "session_id": "s-3"}'),
    "a key twice, deep inside": malformed(b'{"session_id": "s-2", "report": {"valence": 0, "valence": 1}}'),
    "not UTF-8": malformed(b'{"session_id": "s-\xff"}'),
    "half a surrogate pair": malformed(b'{"session_id": "s-2", "context": {"a": "\\ud800"}}'),
    "nested without end": malformed(b"[" * 50_000),
    "a form": Case(415, "wrong-content-type", SESSIONS, SOUND, "application/x-www-form-urlencoded"),
    "no content type": Case(415, "wrong-content-type", SESSIONS, SOUND, None),
    "another charset": Case(415, "wrong-content-type", SESSIONS, SOUND, "application/json; charset=latin-1"),
    "a list": invalid([], ("", "expected an object, got []")),
    "no session id": invalid({}, ("session_id", "expected a value, got none")),
    "an unknown field": invalid(
        {"session_id": "s-2", "moode": "calm"}, ("moode", "expected no field of this name")
    ),
    "a malformed id": invalid(
        {"session_id": "s 2"},
        ("session_id", 'expected an id of 1 to 128 characters from A–Z a–z 0–9 . _ : -, got "s 2"'),
    ),
    "a report out of range": invalid(
        {"session_id": "s-2", "report": {"valence": 0.5, "arousal": 1.7}},
        ("report.arousal", "expected a number from 0 to 1, got 1.7"),
    ),
    "half a report": invalid(
        {"session_id": "s-2", "report": {"valence": 0.5}}, ("report.arousal", "expected a value, got none")
    ),
    "a number as text": invalid(
        {"session_id": "s-2", "report": {"valence": "0.5", "arousal": 0.5}},
        ("report.valence", 'expected a number from 0 to 1, got "0.5"'),
    ),
    "an unknown mode": invalid(
        {"session_id": "s-2", "mode": "party"},
        ("mode", 'expected one of energize, focus, calm, sleep, unspecified, got "party"'),
    ),
    "an undeclared context key": invalid(
        {"session_id": "s-2", "context": {"mood": 1}},
        ("context.mood", "expected one of the declared keys (local_time)"),
    ),
    "an undeclared context key without a value": invalid(
        {"session_id": "s-2", "context": {"mood": None}},
        ("context.mood", "expected one of the declared keys (local_time)"),
    ),
    "an undeclared context key with a colon and spaces": invalid(
        {"session_id": "s-2", "context": {"the mood: now ": 1}},
        ("context.the mood: now ", "expected one of the declared keys (local_time)"),
    ),
    "a context value its field cannot hold": invalid(
        {"session_id": "s-2", "context": {"local_time": "nine"}},
        ("context.local_time", "expected an RFC 3339 time with an offset, got 'nine'"),
    ),
    "a malformed listener id": invalid(
        {"session_id": "s-2"},
        ("listener_id", 'expected an id of 1 to 128 characters from A–Z a–z 0–9 . _ : -, got "l 1"'),
        path="/v1/listeners/l%201/sessions",
    ),
    "too many songs": invalid(
        {"request_id": "r-9", "count": 21},
        ("count", "expected a whole number from 1 to 20, got 21"),
        path=RECOMMENDATIONS,
    ),
    "feedback that says nothing": invalid(
        {"event_id": "e-9"},
        ("", "expected played_seconds, engagement or rating, got none of them"),
        path="/v1/listeners/l-1/recommendations/x/feedback",
    ),
    "an engagement of 1.7": invalid(
        {"event_id": "e-9", "engagement": 1.7},
        ("engagement", "expected a number from 0 to 1, got 1.7"),
        path="/v1/listeners/l-1/recommendations/x/feedback",
    ),
    "an event of no kind": invalid(
        {"events": [{"type": "nap", "event_id": "e-9"}]},
        path=EVENTS,
    ),
    "a body too long": Case(413, "body-too-large", SESSIONS, b" " * (256 * 1024) + SOUND),
    "events too long": Case(413, "body-too-large", EVENTS, b" " * (2 * 1024 * 1024) + b"{}"),
    "an unknown session": Case(404, "unknown-session", f"{SESSIONS}/s-9/end", {"event_id": "e-9"}),
    "an unknown session, asked for songs": Case(
        404, "unknown-session", f"{SESSIONS}/s-9/recommendations", {"request_id": "r-9"}
    ),
    "another listener's session": Case(
        404, "unknown-session", "/v1/listeners/l-2/sessions/s-1/end", {"event_id": "e-9"}
    ),
    "an unknown listener's session": Case(
        404, "unknown-session", "/v1/listeners/l-9/sessions/s-1/end", {"event_id": "e-9"}
    ),
    "an unknown listener's history": Case(404, "unknown-listener", "/v1/listeners/l-9/history", method="GET"),
    "an unknown recommendation": Case(
        404,
        "unknown-recommendation",
        "/v1/listeners/l-1/recommendations/x/feedback",
        {"event_id": "e-9", "engagement": 1},
    ),
    "an unknown recommendation, asked why": Case(
        404, "unknown-recommendation", "/v1/listeners/l-1/recommendations/x", method="GET"
    ),
    "an unknown song": Case(404, "unknown-song", "/v1/songs/song-999", method="GET"),
    "an unknown bundle": Case(404, "unknown-bundle", "/v1/models/none/stage", {"stage": "live"}),
    "an unknown path": Case(404, "not-found", "/v2/listeners", method="GET"),
    "another method": Case(405, "method-not-allowed", SESSIONS, method="PATCH"),
    "a session that ended": Case(409, "session-ended", f"{SESSIONS}/s-0/recommendations", {"request_id": "r-9"}),
    "an ended session's end": Case(409, "session-ended", f"{SESSIONS}/s-0/end", {"event_id": "e-9"}),
    "the same id with another body": Case(409, "id-conflict", SESSIONS, {"session_id": "s-1", "mode": "sleep"}),
}


@pytest.fixture(scope="module")
def client(shared_client):
    """A service where l-1 has an ended session, s-0, and an open one, s-1; and l-2 has one of their own."""
    ended = Listener(shared_client, session_id="s-0")
    assert ended.start().status_code == 201
    assert ended.end().status_code == 200
    assert Listener(shared_client, session_id="s-1").start(mode="calm").status_code == 201
    assert Listener(shared_client, "l-2", "s-22").start().status_code == 201
    return shared_client


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_answers_as_the_table_says(client, case):
    answer = case.send(client)

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (case.status, f"urn:amrs:problem:{case.name}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == case.status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    found = [(error["path"], error["message"]) for error in problem.get("errors", [])]
    assert set(case.errors) <= set(found)


def test_a_refused_request_leaves_nothing_behind(client):
    """After the whole table, session s-1 is open and untouched: its first song stands at position 0."""
    for case in TABLE.values():
        case.send(client)

    (song,) = Listener(client, session_id="s-1").ask(request_id="r-after").json()["recommendations"]

    assert song["position"] == 0
