"""Sessions: one is open per listener at most, ended by the app, by the next one, or by an idle limit.

The idle limit is a rule about the clock, not a timer: a session in which nothing happened for the limit has
ended, at that moment, whether or not anybody has written it down yet. An end that the app reports after such
an end still brings its report; only a second end by the app is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from models.affect import Affect
from models.listening import Mode, Population
from service.clock import SECOND, Instant
from service.errors import SessionEnded as SessionHasEnded
from service.journal.command import Command, ListenerRow, ReceiptKey, SessionRow, Turn
from service.journal.events import Event, ModeChanged, Report, SessionEnded, SessionStarted
from service.journal.tables import listeners, mode_changes, sessions
from service.listener import ListenerKey


class StartedAnswer(msgspec.Struct, frozen=True):
    """The answer to a session's start."""

    session_id: str
    mode: str
    started_at: Instant


class ModeAnswer(msgspec.Struct, frozen=True):
    """The answer to a change of mode: the mode now in force."""

    session_id: str
    mode: str


class EndedAnswer(msgspec.Struct, frozen=True):
    """The answer to a session's end."""

    session_id: str
    ended_at: Instant


def has_ended(ended_at: Instant | None, active_at: Instant, *, at: Instant, idle_limit_seconds: float) -> bool:
    """Whether a session has ended by `at`: written down as ended, or idle for the limit."""
    return ended_at is not None or at >= idle_end(active_at, idle_limit_seconds)


def idle_end(active_at: Instant, idle_limit_seconds: float) -> Instant:
    """Return when a session ends of idleness if nothing happens after `active_at`."""
    return active_at + int(idle_limit_seconds * SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSession(Command[StartedAnswer]):
    """Begin a session; the listener is created with the first one, and an open session ends first."""

    session_id: str
    mode: Mode
    report: Affect | None
    population: Population | None
    """None: as it was, or unspecified for a new listener."""
    context: Mapping[str, str | float]
    """The situation as it came over the wire; a time keeps its offset."""
    check_context: Callable[[], object]
    """Raises where the live bundle knows no such situation. Asked of a new session alone: one begun under another
    bundle is still the same when its start is sent again."""
    idle_limit_seconds: float

    answer_type = StartedAnswer

    @property
    def receipt(self) -> ReceiptKey:
        return ReceiptKey("session", self.session_id)

    @property
    def body(self) -> tuple[Any, ...]:
        population = self.population and self.population.label
        return "start", self.session_id, self.mode.label, _pair(self.report), population, dict(self.context)

    def run(self, turn: Turn) -> tuple[StartedAnswer, Event]:
        self.check_context()
        if turn.known is not None:
            self._end_the_open_one(turn, turn.known)
        if self.population is not None:
            turn.population = self.population.label
        turn.be_active()
        before = _pair(self.report)
        valence, arousal = before or (None, None)
        turn.write(
            _INSERT_SESSION,
            {
                "listener_number": turn.number,
                "session_number": turn.sequence,
                "session_id": self.session_id,
                "mode": self.mode.label,
                "started_at": self.at,
                "before_valence": valence,
                "before_arousal": arousal,
                "context": dict(self.context),
            },
        )
        event = SessionStarted(
            sequence=turn.sequence,
            active_at=turn.active_at,
            session_id=self.session_id,
            mode=self.mode,
            started_at=self.at,
            before=before,
            context=dict(self.context),
            population=Population[turn.population.upper()],
        )
        return StartedAnswer(self.session_id, self.mode.label, self.at), event

    def _end_the_open_one(self, turn: Turn, listener: ListenerRow) -> None:
        opened = turn.sql.execute(_OPEN_SESSION, {"listener": listener.listener_number}).first()
        if opened is None:
            return
        idle = idle_end(listener.active_at, self.idle_limit_seconds)
        now = max(self.at, opened.started_at)  # the clock may have been put back meanwhile
        ended_at, reason = (idle, "idle") if now >= idle else (now, "superseded")
        turn.write(_CLOSE, _closing(listener.listener_number, opened.session_number, ended_at, reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMode(Command[ModeAnswer]):
    """Ask for another mode in an open session; of several changes, the one that occurred last is in force."""

    session_id: str
    event_id: str
    mode: Mode
    occurred_at: Instant | None
    idle_limit_seconds: float

    answer_type = ModeAnswer

    @property
    def receipt(self) -> ReceiptKey:
        return ReceiptKey("event", self.event_id)

    @property
    def body(self) -> tuple[Any, ...]:
        return "mode", self.session_id, self.mode.label, self.occurred_at

    def run(self, turn: Turn) -> tuple[ModeAnswer, Event]:
        session = open_session(turn, self.session_id, idle_limit_seconds=self.idle_limit_seconds)
        occurred_at = min(self.occurred_at or self.at, self.at)
        keys = {"listener": turn.number, "session": session.session_number}
        last = turn.sql.execute(_LAST_MODE, keys).first()
        is_last = last is None or (occurred_at, self.event_id) > (last.occurred_at, last.event_id)
        mode = self.mode if last is None or is_last else Mode[last.mode.upper()]
        turn.be_active()
        turn.write(
            _INSERT_MODE,
            {
                "listener_number": turn.number,
                "session_number": session.session_number,
                "event_id": self.event_id,
                "mode": self.mode.label,
                "occurred_at": occurred_at,
            },
        )
        event = ModeChanged(
            sequence=turn.sequence, active_at=turn.active_at, session_number=session.session_number, mode=mode
        )
        return ModeAnswer(self.session_id, mode.label), event


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession(Command[EndedAnswer]):
    """End a session, with the report if the listener gave one."""

    session_id: str
    event_id: str
    report: Affect | None
    occurred_at: Instant | None
    idle_limit_seconds: float

    answer_type = EndedAnswer

    @property
    def receipt(self) -> ReceiptKey:
        return ReceiptKey("event", self.event_id)

    @property
    def body(self) -> tuple[Any, ...]:
        return "end", self.session_id, _pair(self.report), self.occurred_at

    def run(self, turn: Turn) -> tuple[EndedAnswer, Event]:
        session = turn.session(self.session_id)
        if session.end_reason == "app":
            raise SessionHasEnded(f"session {self.session_id!r} has already ended")
        ended_at = max(min(self.occurred_at or self.at, self.at), session.started_at)
        earlier = session.ended_at or idle_end(turn.listener.active_at, self.idle_limit_seconds)
        ended_at = min(ended_at, earlier)
        after = _pair(self.report)
        turn.write(_CLOSE, _closing(turn.number, session.session_number, ended_at, "app", after))
        event = SessionEnded(
            sequence=turn.sequence,
            active_at=turn.active_at,
            session_number=session.session_number,
            after=after,
        )
        return EndedAnswer(self.session_id, ended_at), event


@dataclass(frozen=True, slots=True, kw_only=True)
class EndIdleSession(Command[bool]):
    """Write down that a session has ended of idleness; answers whether it had, and was not yet written down."""

    session_id: str
    idle_limit_seconds: float

    answer_type = bool

    @property
    def receipt(self) -> None:
        return None

    @property
    def body(self) -> tuple[Any, ...]:
        return ()

    def run(self, turn: Turn) -> tuple[bool, Event | None]:
        session = turn.session(self.session_id)
        idle = idle_end(turn.listener.active_at, self.idle_limit_seconds)
        if session.ended_at is not None or self.at < idle:
            return False, None
        turn.write(_CLOSE, _closing(turn.number, session.session_number, idle, "idle"))
        event = SessionEnded(
            sequence=turn.sequence,
            active_at=turn.active_at,
            session_number=session.session_number,
            after=None,
        )
        return True, event


def open_session(turn: Turn, session_id: str, *, idle_limit_seconds: float) -> SessionRow:
    """Return the row of a session that is open at the turn's time.

    Raises:
        UnknownListener, UnknownSession: there is none.
        SessionEnded: it has ended, or has been idle for the limit.
    """
    active_at = turn.listener.active_at
    session = turn.session(session_id)
    if has_ended(session.ended_at, active_at, at=turn.at, idle_limit_seconds=idle_limit_seconds):
        raise SessionHasEnded(f"session {session_id!r} has ended")
    return session


def idle_sessions(
    sql: Connection, *, at: Instant, idle_limit_seconds: float, limit: int = 100
) -> list[tuple[ListenerKey, str]]:
    """Return sessions that have ended of idleness by `at` and are not written down as ended, oldest first."""
    before = at - int(idle_limit_seconds * SECOND)
    rows = sql.execute(_IDLE, {"before": before, "count": limit})
    return [(ListenerKey(row.app_id, row.listener_id), row.session_id) for row in rows]


def _pair(report: Affect | None) -> Report | None:
    return (report.valence, report.arousal) if report is not None else None


def _closing(
    listener: int, session: int, ended_at: Instant, reason: str, after: Report | None = None
) -> dict[str, Any]:
    valence, arousal = after or (None, None)
    return {
        "listener": listener,
        "session": session,
        "ended_at": ended_at,
        "end_reason": reason,
        "after_valence": valence,
        "after_arousal": arousal,
    }


_OPEN_SESSION: Final = select(sessions.c.session_number, sessions.c.started_at).where(
    sessions.c.listener_number == bindparam("listener"), sessions.c.ended_at.is_(None)
)
_INSERT_SESSION: Final = insert(sessions)
_CLOSE: Final = (
    update(sessions)
    .where(
        sessions.c.listener_number == bindparam("listener"),
        sessions.c.session_number == bindparam("session"),
    )
    .values(
        ended_at=bindparam("ended_at"),
        end_reason=bindparam("end_reason"),
        after_valence=bindparam("after_valence"),
        after_arousal=bindparam("after_arousal"),
    )
)
_INSERT_MODE: Final = insert(mode_changes)
_LAST_MODE: Final = (
    select(mode_changes.c.mode, mode_changes.c.occurred_at, mode_changes.c.event_id)
    .where(
        mode_changes.c.listener_number == bindparam("listener"),
        mode_changes.c.session_number == bindparam("session"),
    )
    .order_by(mode_changes.c.occurred_at.desc(), mode_changes.c.event_id.desc())
    .limit(1)
)
_IDLE: Final = (
    select(listeners.c.app_id, listeners.c.listener_id, sessions.c.session_id)
    .join(sessions, sessions.c.listener_number == listeners.c.listener_number)
    .where(sessions.c.ended_at.is_(None), listeners.c.active_at <= bindparam("before"))
    .order_by(listeners.c.active_at)
    .limit(bindparam("count"))
)
