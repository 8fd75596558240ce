"""A listener's history as pages, newest play first."""

import re
from typing import Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, select, tuple_

from models.errors import DataError
from service.clock import Instant
from service.errors import UnknownListener
from service.journal.events import Report, report_of
from service.journal.outcomes import OF_PLAY
from service.journal.tables import listeners, plays, recommendations, sessions, songs
from service.listener import ListenerKey

CURSOR_PATTERN: Final = r"^[0-9]{1,18}\.[0-9]{1,9}$"
"""A session's number and a position: as many digits as columns of these types hold."""


class HistorySession(msgspec.Struct, frozen=True, kw_only=True):
    """A session, and what the listener said at either end of it."""

    session_id: str
    mode: str
    started_at: Instant
    ended_at: Instant | None
    before: Report | None
    after: Report | None


class HistoryPlay(msgspec.Struct, frozen=True, kw_only=True):
    """One play; title and artist as the catalogue has them now."""

    session: HistorySession
    position: int
    song_id: str
    title: str | None
    artist: str | None
    mode: str
    bundle: str
    offered_at: Instant
    played_at: Instant
    engagement: float | None
    rating: int | None


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some plays, newest first, and the cursor of the page before them; None at the beginning."""

    plays: list[HistoryPlay]
    before: str | None


def read_history(sql: Connection, listener: ListenerKey, *, limit: int, before: str | None = None) -> HistoryPage:
    """Return a page of the listener's plays, those older than the cursor.

    Raises:
        UnknownListener: there is none.
        DataError: the cursor is not one a page gave.
    """
    names = {"app_id": listener.app_id, "listener_id": listener.listener_id}
    number = sql.scalar(_LISTENER, names)
    if number is None:
        raise UnknownListener(f"listener {listener.listener_id!r} does not exist")
    question = _PLAYS
    if before is not None:
        question = question.where(
            tuple_(plays.c.session_number, plays.c.position) < tuple_(*_parse_cursor(before))
        )
    rows = sql.execute(question.limit(limit + 1), {"listener": number}).all()
    known: dict[int, HistorySession] = {}
    page = []
    for row in rows[:limit]:
        if row.session_number not in known:
            known[row.session_number] = HistorySession(
                session_id=row.session_id,
                mode=row.session_mode,
                started_at=row.started_at,
                ended_at=row.ended_at,
                before=report_of(row.before_valence, row.before_arousal),
                after=report_of(row.after_valence, row.after_arousal),
            )
        page.append(
            HistoryPlay(
                session=known[row.session_number],
                position=row.position,
                song_id=row.song_id,
                title=row.title,
                artist=row.artist,
                mode=row.mode,
                bundle=row.bundle,
                offered_at=row.offered_at,
                played_at=row.played_at,
                engagement=row.engagement,
                rating=row.rating,
            )
        )
    more = len(rows) > limit
    return HistoryPage(
        plays=page,
        before=f"{rows[limit - 1].session_number}.{rows[limit - 1].position}" if more else None,
    )


def _parse_cursor(cursor: str) -> tuple[int, int]:
    if not re.fullmatch(CURSOR_PATTERN, cursor):
        raise DataError(f"before: expected the cursor a page of history gave, got {cursor!r}")
    session_number, _, position = cursor.partition(".")
    return int(session_number), int(position)


_LISTENER: Final = select(listeners.c.listener_number).where(
    listeners.c.app_id == bindparam("app_id"), listeners.c.listener_id == bindparam("listener_id")
)
_PLAYS: Final = (
    select(
        plays.c.session_number,
        plays.c.position,
        plays.c.played_at,
        plays.c.engagement,
        plays.c.rating,
        recommendations.c.song_id,
        recommendations.c.mode,
        recommendations.c.bundle,
        recommendations.c.offered_at,
        sessions.c.session_id,
        sessions.c.mode.label("session_mode"),
        sessions.c.started_at,
        sessions.c.ended_at,
        sessions.c.before_valence,
        sessions.c.before_arousal,
        sessions.c.after_valence,
        sessions.c.after_arousal,
        songs.c.title,
        songs.c.artist,
    )
    .join(recommendations, OF_PLAY)
    .join(
        sessions,
        and_(
            sessions.c.listener_number == plays.c.listener_number,
            sessions.c.session_number == plays.c.session_number,
        ),
    )
    .outerjoin(songs, songs.c.song_id == recommendations.c.song_id)
    .where(plays.c.listener_number == bindparam("listener"))
    .order_by(plays.c.session_number.desc(), plays.c.position.desc())
)
