"""Feedback: events about one recommendation, merged into one play whatever their order of arrival.

Every event is kept. Of each value the play takes what the event that *occurred* last said (of two at the same
time, the one with the greater id); a value no event gave stays absent. A recommendation whose row never
reached SQL is taken from its signed token.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from models.catalogue import Song, artist_of
from models.errors import DataError
from models.listening import Mode, song_key
from service.clock import SECOND, Instant
from service.errors import UnknownRecommendation
from service.journal.command import Command, OfferKey, ReceiptKey, SessionRow, Turn
from service.journal.events import Event, Offer, Play, SongPlayed
from service.journal.recommendations import INSERT_RECOMMENDATION
from service.journal.sessions import has_ended
from service.journal.tables import feedback, plays, recommendations, songs
from service.recommendation_id import RecommendationToken


class FeedbackEvent(NamedTuple):
    """One event about one recommendation; absent values are None."""

    occurred_at: Instant
    event_id: str
    engagement: float | None
    rating: int | None
    heard_seconds: float
    """How long the song had been playing when the event occurred, as far as is known."""


class Merged(NamedTuple):
    """What all events of one recommendation say together."""

    engagement: float | None
    rating: int | None
    played_at: Instant
    """When the song began: before the first event that tells of listening, and never before the offer."""


def merge(events: Iterable[FeedbackEvent], *, offered_at: Instant) -> Merged:
    """Return what the events say together; their order does not matter."""
    engagement, rating, played_at = None, None, None
    for event in sorted(events):
        if event.engagement is not None:
            engagement = event.engagement
            if played_at is None:
                played_at = max(event.occurred_at - round(event.heard_seconds * SECOND), offered_at)
        if event.rating is not None:
            rating = event.rating
    return Merged(engagement, rating, offered_at if played_at is None else played_at)


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """The answer to feedback."""

    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFeedback(Command[FeedbackAnswer]):
    """Put feedback on one recommendation on record; the session may have ended long ago."""

    token: RecommendationToken
    event_id: str
    played_seconds: float | None
    engagement: float | None
    """In [0, 1]; given, it stands, and played seconds are only kept."""
    rating: int | None
    occurred_at: Instant | None
    """When it happened, by the listener's clock; None, or in the future: now."""
    idle_limit_seconds: float

    answer_type = FeedbackAnswer

    @property
    def receipt(self) -> ReceiptKey:
        return ReceiptKey("event", self.event_id)

    @property
    def body(self) -> tuple[Any, ...]:
        token = (self.token.session_id, self.token.position, self.token.song_id, self.token.offered_at)
        return "feedback", *token, self.played_seconds, self.engagement, self.rating, self.occurred_at

    @property
    def session_id(self) -> str:
        return self.token.session_id

    @property
    def offer(self) -> OfferKey:
        return OfferKey(self.token.song_id, self.token.offered_at)

    def run(self, turn: Turn) -> tuple[FeedbackAnswer, Event]:
        session = turn.session(self.token.session_id)
        recorded = self._recorded(turn)
        offered = recorded or self._late_offer(turn, session)
        occurred_at = min(self.occurred_at or self.at, self.at)
        engagement, heard = self._heard(offered.duration_seconds)
        fresh = FeedbackEvent(occurred_at, self.event_id, engagement, self.rating, heard)
        merged = merge([*offered.events, fresh], offered_at=self.token.offered_at)
        if not has_ended(
            session.ended_at,
            turn.listener.active_at,
            at=self.at,
            idle_limit_seconds=self.idle_limit_seconds,
        ):
            turn.be_active()
        self._write(turn, session, offered, fresh, merged)
        key = song_key(self.token.song_id)
        event = SongPlayed(
            sequence=turn.sequence,
            active_at=turn.active_at,
            session_number=session.session_number,
            play=Play(offered.position, key, Mode[offered.mode.upper()], *merged),
            late=None if recorded else Offer(key, offered.artist_key, self.token.offered_at),
        )
        return FeedbackAnswer(self.event_id), event

    def _write(
        self, turn: Turn, session: SessionRow, offered: "_Offered", fresh: FeedbackEvent, merged: Merged
    ) -> None:
        """Name the event's row, and the play's as it now is."""
        place = {
            "listener_number": turn.number,
            "session_number": session.session_number,
            "position": offered.position,
        }
        event = {
            "event_id": self.event_id,
            "sequence": turn.sequence,
            "occurred_at": fresh.occurred_at,
            "received_at": self.at,
            "played_seconds": self.played_seconds,
            "engagement": fresh.engagement,
            "rating": self.rating,
        }
        turn.write(_INSERT_FEEDBACK, place | event)
        if offered.events:
            turn.write(_UPDATE_PLAY, {f"at_{name}": value for name, value in place.items()} | merged._asdict())
        else:
            turn.write(_INSERT_PLAY, place | merged._asdict())

    def _heard(self, duration_seconds: float | None) -> tuple[float | None, float]:
        """Return the engagement, and the seconds heard as far as is known."""
        if self.engagement is not None:
            return self.engagement, self.played_seconds or self.engagement * (duration_seconds or 0.0)
        if self.played_seconds is None:
            return None, 0.0
        if duration_seconds is None:
            raise DataError(
                f"played_seconds: expected engagement in its place, for song {self.token.song_id!r} has no known "
                f"duration; got {self.played_seconds:g}"
            )
        return min(self.played_seconds / duration_seconds, 1.0), self.played_seconds

    def _recorded(self, turn: Turn) -> "_Offered | None":
        """Return the recommendation on record with its events so far."""
        if not turn.offer_rows:
            return None
        first = turn.offer_rows[0]
        events = [
            FeedbackEvent(
                row.occurred_at,
                row.event_id,
                row.engagement,
                row.rating,
                row.played_seconds or (row.engagement or 0.0) * (row.duration_seconds or 0.0),
            )
            for row in turn.offer_rows
            if row.event_id is not None and row.occurred_at is not None
        ]
        return _Offered(first.position, first.mode, first.duration_seconds, first.artist_key, events)

    def _late_offer(self, turn: Turn, session: SessionRow) -> "_Offered":
        """Write the row that never came to SQL, from its token; return it.

        Raises:
            UnknownRecommendation: it was offered before the session began: to a listener who was erased since.
        """
        if self.token.offered_at < session.started_at:
            raise UnknownRecommendation("this recommendation does not exist")
        taken = turn.sql.scalar(_HIGHEST_POSITION, {"listener": turn.number, "session": session.session_number})
        free = taken is None or self.token.position > taken
        position = self.token.position if free else taken + 1
        song = turn.sql.execute(_READ_SONG, {"song_id": self.token.song_id}).first()
        artist, duration = (song.artist, song.duration_seconds) if song else (None, None)
        artist_key = song_key(artist_of(Song(song_id=self.token.song_id, artist=artist)))
        turn.write(
            INSERT_RECOMMENDATION,
            {
                "listener_number": turn.number,
                "session_number": session.session_number,
                "position": position,
                "sequence": turn.sequence,
                "ordinal": 0,
                "song_id": self.token.song_id,
                "song_key": song_key(self.token.song_id),
                "artist_key": artist_key,
                "duration_seconds": duration,
                "mode": session.mode,
                "bundle": self.token.bundle,
                "offered_at": self.token.offered_at,
            },
        )
        return _Offered(position, session.mode, duration, artist_key, [])


class _Offered(NamedTuple):
    """The recommendation that feedback is about, and what was said of it so far."""

    position: int
    mode: str
    duration_seconds: float | None
    artist_key: int
    events: list[FeedbackEvent]


_INSERT_FEEDBACK: Final = insert(feedback)
_INSERT_PLAY: Final = insert(plays)
_UPDATE_PLAY: Final = (
    update(plays)
    .where(
        plays.c.listener_number == bindparam("at_listener_number"),
        plays.c.session_number == bindparam("at_session_number"),
        plays.c.position == bindparam("at_position"),
    )
    .values(engagement=bindparam("engagement"), rating=bindparam("rating"), played_at=bindparam("played_at"))
)
_HIGHEST_POSITION: Final = select(func.max(recommendations.c.position)).where(
    recommendations.c.listener_number == bindparam("listener"),
    recommendations.c.session_number == bindparam("session"),
)
_READ_SONG: Final = select(songs.c.artist, songs.c.duration_seconds).where(songs.c.song_id == bindparam("song_id"))
