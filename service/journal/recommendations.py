"""Recommendations: committed before they are answered, and only if they rest on what SQL knows now.

A song is chosen from a state of some sequence. It is recorded only while the listener's sequence in SQL is
still that one, so a choice never rests on a state older than an acknowledged write, whatever memory held, and
two requests of one listener cannot both choose from the same state. A song that was withdrawn meanwhile is not
recorded either (`service.journal.withdrawals`).
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, insert, select

from models.listening import Mode, song_key
from service.clock import SECOND, Instant
from service.errors import StaleCatalogue, StaleMemory, UnknownRecommendation
from service.journal.command import Command, ReceiptKey, Turn
from service.journal.events import Event, Offer, SongsOffered
from service.journal.outcomes import with_outcomes
from service.journal.sessions import idle_end, open_session
from service.journal.tables import decisions, listeners, plays, recommendations, sessions
from service.listener import ListenerKey
from service.recommendation_id import RecommendationToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One song about to be offered, and why."""

    position: int
    song_id: str
    artist_key: int
    """The key of the artist as the repetition rule counts it (`models.catalogue`)."""
    duration_seconds: float | None
    decision: bytes
    """The packed decision (`models.decision`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRecommendations(Command[bytes]):
    """Put a request's recommendations on record, with the answer it is about to get."""

    session_id: str
    request_id: str
    request: tuple[int, tuple[str, ...]]
    """What was asked for: how many songs, and which not."""
    expected_sequence: int
    """The sequence of the state the songs were chosen from."""
    mode: Mode
    """The mode the songs were chosen for."""
    bundle: str
    chosen: tuple[Chosen, ...]
    refusal: bytes | None
    """The packed decision that found no song, where fewer songs than asked for were allowed."""
    reply: bytes
    """The body of the answer: what the same request gets when it comes again."""
    idle_limit_seconds: float

    answer_type = bytes

    @property
    def receipt(self) -> ReceiptKey:
        return ReceiptKey("request", self.request_id)

    @property
    def body(self) -> tuple[Any, ...]:
        return "recommend", self.session_id, *self.request

    @property
    def songs(self) -> tuple[str, ...]:
        return tuple(chosen.song_id for chosen in self.chosen)

    def run(self, turn: Turn) -> tuple[bytes, Event]:
        session = open_session(turn, self.session_id, idle_limit_seconds=self.idle_limit_seconds)
        if turn.listener.sequence != self.expected_sequence:
            raise StaleMemory(
                f"the listener's state must be of write {turn.listener.sequence}; the songs were chosen from "
                f"write {self.expected_sequence}"
            )
        gone = turn.withdrawn.intersection(self.songs)
        if gone:
            raise StaleCatalogue(gone)
        turn.be_active()
        for ordinal, chosen in enumerate(self.chosen):
            turn.write(
                INSERT_RECOMMENDATION,
                {
                    "listener_number": turn.number,
                    "session_number": session.session_number,
                    "position": chosen.position,
                    "sequence": turn.sequence,
                    "ordinal": ordinal,
                    "song_id": chosen.song_id,
                    "song_key": song_key(chosen.song_id),
                    "artist_key": chosen.artist_key,
                    "duration_seconds": chosen.duration_seconds,
                    "mode": self.mode.label,
                    "bundle": self.bundle,
                    "offered_at": self.at,
                },
            )
        bodies = [chosen.decision for chosen in self.chosen]
        bodies += [] if self.refusal is None else [self.refusal]
        for ordinal, body in enumerate(bodies):
            turn.write(
                _INSERT_DECISION,
                {
                    "listener_number": turn.number,
                    "sequence": turn.sequence,
                    "ordinal": ordinal,
                    "decided_at": self.at,
                    "bundle": self.bundle,
                    "body": body,
                },
            )
        offers = tuple(Offer(song_key(chosen.song_id), chosen.artist_key, self.at) for chosen in self.chosen)
        positions = [chosen.position + 1 for chosen in self.chosen]
        event = SongsOffered(
            sequence=turn.sequence,
            active_at=turn.active_at,
            session_number=session.session_number,
            next_position=max(positions, default=0),
            offers=offers,
        )
        return self.reply, event


class RecordedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A recommendation as it is on record."""

    session_id: str
    position: int
    song_id: str
    mode: str
    bundle: str
    offered_at: Instant
    state: str
    """offered, played, skipped or expired."""
    decision: bytes | None
    """The packed decision; None for a recommendation that came to SQL with its feedback only."""


def read_decision(
    sql: Connection,
    listener: ListenerKey,
    token: RecommendationToken,
    *,
    at: Instant,
    idle_limit_seconds: float,
    expiry_seconds: float,
) -> RecordedDecision:
    """Return the recommendation a token names, its decision, and its state at `at`.

    Raises:
        UnknownRecommendation: it is not on record.
    """
    names = {
        "app_id": listener.app_id,
        "listener_id": listener.listener_id,
        "session_id": token.session_id,
        "song_id": token.song_id,
        "offered_at": token.offered_at,
    }
    row = sql.execute(_READ, names).first()
    if row is None:
        raise UnknownRecommendation("this recommendation does not exist")
    ended_at = row.ended_at or idle_end(row.active_at, idle_limit_seconds)
    state = play_state(row.engagement) if row.played_at is not None else "offered"
    if state == "offered" and at >= ended_at + int(expiry_seconds * SECOND):
        state = "expired"
    return RecordedDecision(
        session_id=token.session_id,
        position=row.position,
        song_id=row.song_id,
        mode=row.mode,
        bundle=row.bundle,
        offered_at=row.offered_at,
        state=state,
        decision=row.body,
    )


def play_state(engagement: float | None) -> str:
    """Return `skipped` if nothing of the song was heard, else `played`; unknown engagement counts as played."""
    return "skipped" if engagement == 0 else "played"


INSERT_RECOMMENDATION: Final = insert(recommendations)
_INSERT_DECISION: Final = insert(decisions)
_READ: Final = with_outcomes(
    select(
        recommendations.c.position,
        recommendations.c.song_id,
        recommendations.c.mode,
        recommendations.c.bundle,
        recommendations.c.offered_at,
        sessions.c.ended_at,
        listeners.c.active_at,
        plays.c.engagement,
        plays.c.played_at,
        decisions.c.body,
    )
    .select_from(listeners)
    .join(sessions, sessions.c.listener_number == listeners.c.listener_number)
    .join(
        recommendations,
        and_(
            recommendations.c.listener_number == sessions.c.listener_number,
            recommendations.c.session_number == sessions.c.session_number,
        ),
    )
    .where(
        listeners.c.app_id == bindparam("app_id"),
        listeners.c.listener_id == bindparam("listener_id"),
        sessions.c.session_id == bindparam("session_id"),
        recommendations.c.song_id == bindparam("song_id"),
        recommendations.c.offered_at == bindparam("offered_at"),
    )
)
