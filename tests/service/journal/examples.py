"""Small true things to write down: one listener's commands with everything but the point at hand filled in."""

from typing import Any

from sqlalchemy import Engine

from models.affect import Affect
from models.listening import Mode
from service.clock import SECOND, Instant
from service.journal.command import Command, Written
from service.journal.feedback import RecordFeedback
from service.journal.recommendations import Chosen, RecordRecommendations
from service.journal.sessions import ChangeMode, EndSession, StartSession
from service.journal.settle import settle
from service.listener import ListenerKey
from service.recommendation_id import RecommendationToken

LISTENER = ListenerKey("default", "l-1")
NOON: Instant = 1_790_000_000 * SECOND
MINUTE = 60 * SECOND
IDLE_LIMIT = 3600.0


def start(
    session_id: str = "s-1", *, listener: ListenerKey = LISTENER, at: Instant = NOON, **changed: Any
) -> StartSession:
    """A session's start, calm and without a report."""
    given: dict[str, Any] = {
        "mode": Mode.CALM,
        "report": None,
        "population": None,
        "context": {},
        "check_context": lambda: None,
        "idle_limit_seconds": IDLE_LIMIT,
    }
    return StartSession(listener=listener, at=at, session_id=session_id, **(given | changed))


def recommend(
    *songs: str,
    expected_sequence: int,
    listener: ListenerKey = LISTENER,
    session_id: str = "s-1",
    request_id: str = "r-1",
    first: int = 0,
    at: Instant = NOON,
    reply: bytes = b"{}",
) -> RecordRecommendations:
    """Songs of 200 seconds, offered at the positions from `first` on."""
    return RecordRecommendations(
        listener=listener,
        at=at,
        session_id=session_id,
        request_id=request_id,
        request=(len(songs), ()),
        expected_sequence=expected_sequence,
        mode=Mode.CALM,
        bundle="bundle-1",
        chosen=tuple(
            Chosen(
                position=position,
                song_id=song_id,
                artist_key=7,
                duration_seconds=200.0,
                decision=f"why {song_id}".encode(),
            )
            for position, song_id in enumerate(songs, first)
        ),
        refusal=None,
        reply=reply,
        idle_limit_seconds=IDLE_LIMIT,
    )


def token(
    song_id: str = "song-1", *, position: int = 0, session_id: str = "s-1", offered_at: Instant = NOON
) -> RecommendationToken:
    """What the id of a recommendation says."""
    return RecommendationToken(
        session_id=session_id, position=position, song_id=song_id, bundle="bundle-1", offered_at=offered_at
    )


def feed_back(
    event_id: str = "e-1",
    *,
    listener: ListenerKey = LISTENER,
    at: Instant = NOON + MINUTE,
    about: RecommendationToken | None = None,
    **changed: Any,
) -> RecordFeedback:
    """Feedback on the first song: half of it heard."""
    given: dict[str, Any] = {
        "played_seconds": None,
        "engagement": 0.5,
        "rating": None,
        "occurred_at": None,
        "idle_limit_seconds": IDLE_LIMIT,
    }
    return RecordFeedback(listener=listener, at=at, token=about or token(), event_id=event_id, **(given | changed))


def change_mode(
    mode: Mode,
    *,
    event_id: str,
    session_id: str = "s-1",
    at: Instant = NOON,
    occurred_at: Instant | None = None,
) -> ChangeMode:
    """A change of mode."""
    return ChangeMode(
        listener=LISTENER,
        at=at,
        session_id=session_id,
        event_id=event_id,
        mode=mode,
        occurred_at=occurred_at,
        idle_limit_seconds=IDLE_LIMIT,
    )


def end(
    session_id: str = "s-1",
    *,
    event_id: str = "end-1",
    at: Instant = NOON + 2 * MINUTE,
    report: Affect | None = None,
    occurred_at: Instant | None = None,
) -> EndSession:
    """A session's end by the app."""
    return EndSession(
        listener=LISTENER,
        at=at,
        session_id=session_id,
        event_id=event_id,
        report=report,
        occurred_at=occurred_at,
        idle_limit_seconds=IDLE_LIMIT,
    )


def write(engine: Engine, command: Command[Any]) -> Written[Any]:
    """Commit one command; raise its refusal."""
    with engine.begin() as sql:
        (outcome,) = settle(sql, [command])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
