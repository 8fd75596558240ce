"""A listener's state read from SQL: what memory holds when it has followed every write.

It stands beside the state that it must agree with; the journal knows nothing of memory.
"""

from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, func, select

from models.listening import Mode, Population
from service.journal.events import Offer, Play, report_of
from service.journal.outcomes import OF_PLAY
from service.journal.tables import blocks, listeners, mode_changes, plays, recommendations, sessions
from service.listener import ListenerKey
from service.memory.state import (
    OFFERS,
    PLAYS,
    SESSIONS,
    Blocks,
    ListenerState,
    OpenSession,
    Session,
    trim,
)


def rebuild(sql: Connection, listener: ListenerKey) -> ListenerState:
    """Return the listener's state as SQL has it; of a listener SQL does not know, the empty state.

    All reads must see one moment: the connection is in a REPEATABLE READ transaction, or is SQLite's.
    """
    names = {"app_id": listener.app_id, "listener_id": listener.listener_id}
    row = sql.execute(_LISTENER, names).first()
    if row is None:
        return ListenerState()
    number = {"listener": row.listener_number}
    session_rows = list(sql.execute(_SESSIONS, number))[::-1]
    return ListenerState(
        sequence=row.sequence,
        population=Population[row.population.upper()],
        active_at=row.active_at,
        sessions=trim(_history(sql, number, session_rows, _PLAYS)),
        open=_open(sql, number, session_rows),
        offers=tuple(Offer(*offer) for offer in sql.execute(_OFFERS, number).all()[::-1]),
        blocks=_blocks(sql, number),
    )


def whole_history(sql: Connection, listener: ListenerKey) -> ListenerState:
    """Return the listener's history, however long, and nothing else; for the rare question that needs it."""
    names = {"app_id": listener.app_id, "listener_id": listener.listener_id}
    row = sql.execute(_LISTENER, names).first()
    if row is None:
        return ListenerState()
    number = {"listener": row.listener_number}
    session_rows = list(sql.execute(_SESSIONS.limit(None), number))[::-1]
    history = _history(sql, number, session_rows, _PLAYS.limit(None))
    return ListenerState(sequence=row.sequence, sessions=history)


def _history(
    sql: Connection, number: dict[str, int], session_rows: list[Any], question: Select[Any]
) -> tuple[Session, ...]:
    rows = sql.execute(question, number).all()[::-1]
    plays_of = {
        session_number: tuple(
            Play(
                row.position,
                row.song_key,
                Mode[row.mode.upper()],
                row.engagement,
                row.rating,
                row.played_at,
            )
            for row in group
        )
        for session_number, group in groupby(rows, key=lambda row: row.session_number)
    }
    return tuple(
        Session(
            session_number=row.session_number,
            mode=Mode[row.mode.upper()],
            started_at=row.started_at,
            before=report_of(row.before_valence, row.before_arousal),
            after=report_of(row.after_valence, row.after_arousal),
            context=row.context,
            plays=plays_of.get(row.session_number, ()),
        )
        for row in session_rows
    )


def _open(sql: Connection, number: dict[str, int], session_rows: list[Any]) -> OpenSession | None:
    if not session_rows or session_rows[-1].ended_at is not None:
        return None
    row = session_rows[-1]
    keys = number | {"session": row.session_number}
    mode = sql.scalar(_MODE, keys) or row.mode
    highest = sql.scalar(_HIGHEST_POSITION, keys)
    return OpenSession(
        session_number=row.session_number,
        session_id=row.session_id,
        mode=Mode[mode.upper()],
        next_position=0 if highest is None else highest + 1,
    )


def _blocks(sql: Connection, number: dict[str, int]) -> Blocks:
    values: dict[str, list[str]] = {"song": [], "artist": [], "tag": []}
    for row in sql.execute(_BLOCKS, number):
        values[row.kind].append(row.value)
    return Blocks(*(tuple(sorted(values[kind])) for kind in ("song", "artist", "tag")))


_LISTENER: Final = select(
    listeners.c.listener_number, listeners.c.sequence, listeners.c.population, listeners.c.active_at
).where(listeners.c.app_id == bindparam("app_id"), listeners.c.listener_id == bindparam("listener_id"))
_SESSIONS: Final = (
    select(
        sessions.c.session_number,
        sessions.c.session_id,
        sessions.c.mode,
        sessions.c.started_at,
        sessions.c.ended_at,
        sessions.c.before_valence,
        sessions.c.before_arousal,
        sessions.c.after_valence,
        sessions.c.after_arousal,
        sessions.c.context,
    )
    .where(sessions.c.listener_number == bindparam("listener"))
    .order_by(sessions.c.session_number.desc())
    .limit(SESSIONS)
)
_PLAYS: Final = (
    select(
        plays.c.session_number,
        plays.c.position,
        plays.c.engagement,
        plays.c.rating,
        plays.c.played_at,
        recommendations.c.song_key,
        recommendations.c.mode,
    )
    .join(recommendations, OF_PLAY)
    .where(plays.c.listener_number == bindparam("listener"))
    .order_by(plays.c.session_number.desc(), plays.c.position.desc())
    .limit(PLAYS)
)
_OFFERS: Final = (
    select(recommendations.c.song_key, recommendations.c.artist_key, recommendations.c.offered_at)
    .where(recommendations.c.listener_number == bindparam("listener"))
    .order_by(recommendations.c.sequence.desc(), recommendations.c.ordinal.desc())
    .limit(OFFERS)
)
_BLOCKS: Final = select(blocks.c.kind, blocks.c.value).where(blocks.c.listener_number == bindparam("listener"))
_MODE: Final = (
    select(mode_changes.c.mode)
    .where(
        mode_changes.c.listener_number == bindparam("listener"),
        mode_changes.c.session_number == bindparam("session"),
    )
    .order_by(mode_changes.c.occurred_at.desc(), mode_changes.c.event_id.desc())
    .limit(1)
)
_HIGHEST_POSITION: Final = select(func.max(recommendations.c.position)).where(
    recommendations.c.listener_number == bindparam("listener"),
    recommendations.c.session_number == bindparam("session"),
)
