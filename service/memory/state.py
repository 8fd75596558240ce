"""A listener's state: what the next song is chosen from, as one value that follows SQL write by write.

The law: applying each committed event to the state before it gives the very state that `rebuild` reads from
SQL. An event that does not fit (another came between, or it touches what the state no longer holds) gives
None: forget the state, and rebuild it when it is next needed.

What is kept is a function of the whole history: the newest `SESSIONS` sessions; of those, each that has fewer
than `PLAYS` plays in the sessions after it; of their plays, the newest `PLAYS`; and the newest `OFFERS` offers.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from models.guardrails import OFFERS_KNOWN
from models.listening import Population
from service.clock import Instant
from service.journal.events import (
    BlockChanged,
    ConsentChanged,
    Event,
    ModeChanged,
    Offer,
    Play,
    Report,
    SessionEnded,
    SessionStarted,
    SongPlayed,
    SongsOffered,
)
from service.journal.sessions import has_ended

PLAYS: Final = 256
SESSIONS: Final = 128
OFFERS: Final = OFFERS_KNOWN


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One session of the history, and the plays of it that are kept, by position."""

    session_number: int
    mode: int
    started_at: Instant
    before: Report | None
    after: Report | None
    context: dict[str, str | float]
    plays: tuple[Play, ...] = ()


class OpenSession(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of the open session beyond its history, whose last session it is."""

    session_number: int
    session_id: str
    mode: int
    """The mode now in force."""
    next_position: int


class Blocks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the listener, a clinician or an operator has blocked, by the names they used; each sorted."""

    songs: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class ListenerState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One listener as of write `sequence`; of a listener not known yet, that is 0."""

    sequence: int = 0
    population: int = Population.UNSPECIFIED
    active_at: Instant = 0
    sessions: tuple[Session, ...] = ()
    """Oldest first."""
    open: OpenSession | None = None
    """The session not written down as ended; the clock may say otherwise: ask `open_at`."""
    offers: tuple[Offer, ...] = ()
    """The songs offered last, oldest first, answered or not."""
    blocks: Blocks = Blocks()

    @property
    def known(self) -> bool:
        """Whether SQL knows the listener."""
        return self.sequence > 0

    @property
    def is_whole(self) -> bool:
        """Whether the history is all there ever was: what was once disliked, say, may have been long ago."""
        plays = sum(len(session.plays) for session in self.sessions)
        return len(self.sessions) < SESSIONS and plays < PLAYS

    def open_at(self, at: Instant, *, idle_limit_seconds: float) -> OpenSession | None:
        """Return the session that is open at a time, if there is one."""
        if self.open is None or has_ended(None, self.active_at, at=at, idle_limit_seconds=idle_limit_seconds):
            return None
        return self.open


def apply(state: ListenerState, event: Event) -> ListenerState | None:
    """Return the state after a committed event; None if it does not follow from this state."""
    if event.sequence != state.sequence + 1:
        return None
    match event:
        case SessionStarted():
            return _start(state, event)
        case SongsOffered():
            return _offer(state, event)
        case SongPlayed():
            return _play(state, event)
        case ModeChanged():
            return _change_mode(state, event)
        case SessionEnded():
            return _end(state, event)
        case BlockChanged():
            return _block(state, event)
        case ConsentChanged():
            return replace(state, sequence=event.sequence, active_at=event.active_at)


def trim(sessions: tuple[Session, ...]) -> tuple[Session, ...]:
    """Return what is kept of a history: see the module's first lines."""
    kept: list[Session] = []
    room = PLAYS
    for session in reversed(sessions[-SESSIONS:]):
        if room <= 0:
            break
        if len(session.plays) > room:
            session = replace(session, plays=session.plays[-room:])
        room -= len(session.plays)
        kept.append(session)
    return tuple(reversed(kept))


def _start(state: ListenerState, event: SessionStarted) -> ListenerState:
    session = Session(event.sequence, event.mode, event.started_at, event.before, None, event.context)
    return replace(
        state,
        sequence=event.sequence,
        active_at=event.active_at,
        population=event.population,
        sessions=trim((*state.sessions, session)),
        open=OpenSession(event.sequence, event.session_id, event.mode, 0),
    )


def _offer(state: ListenerState, event: SongsOffered) -> ListenerState | None:
    if state.open is None or state.open.session_number != event.session_number:
        return None
    return replace(
        state,
        sequence=event.sequence,
        active_at=event.active_at,
        open=replace(state.open, next_position=max(state.open.next_position, event.next_position)),
        offers=(*state.offers, *event.offers)[-OFFERS:],
    )


def _play(state: ListenerState, event: SongPlayed) -> ListenerState | None:
    place = _place(state, event.session_number)
    if place is None:
        return None
    session = state.sessions[place]
    plays = _with(session.plays, event.play)
    opened = state.open
    if opened is not None and opened.session_number == event.session_number:
        opened = replace(opened, next_position=max(opened.next_position, event.play.position + 1))
    late = () if event.late is None else (event.late,)
    return replace(
        state,
        sequence=event.sequence,
        active_at=event.active_at,
        sessions=trim((*state.sessions[:place], replace(session, plays=plays), *state.sessions[place + 1 :])),
        open=opened,
        offers=(*state.offers, *late)[-OFFERS:],
    )


def _with(plays: tuple[Play, ...], play: Play) -> tuple[Play, ...]:
    """Return the plays of a session with one more, or with another in its place, by position."""
    if not plays or plays[-1].position < play.position:
        return (*plays, play)
    others = [each for each in plays if each.position != play.position]
    return tuple(sorted([*others, play], key=lambda each: each.position))


def _change_mode(state: ListenerState, event: ModeChanged) -> ListenerState | None:
    if state.open is None or state.open.session_number != event.session_number:
        return None
    return replace(
        state,
        sequence=event.sequence,
        active_at=event.active_at,
        open=replace(state.open, mode=event.mode),
    )


def _end(state: ListenerState, event: SessionEnded) -> ListenerState | None:
    place = _place(state, event.session_number)
    if place is None:
        return None
    session = replace(state.sessions[place], after=event.after)
    is_open = state.open is not None and state.open.session_number == event.session_number
    return replace(
        state,
        sequence=event.sequence,
        active_at=event.active_at,
        sessions=(*state.sessions[:place], session, *state.sessions[place + 1 :]),
        open=None if is_open else state.open,
    )


def _block(state: ListenerState, event: BlockChanged) -> ListenerState:
    name = {"song": "songs", "artist": "artists", "tag": "tags"}[event.kind]
    others = {value for value in getattr(state.blocks, name) if value != event.value}
    values = tuple(sorted(others | {event.value} if event.blocked else others))
    return replace(
        state,
        sequence=event.sequence,
        active_at=event.active_at,
        blocks=replace(state.blocks, **{name: values}),
    )


def _place(state: ListenerState, session_number: int) -> int | None:
    """Return where a session stands among those kept."""
    for place in range(len(state.sessions) - 1, -1, -1):
        if state.sessions[place].session_number == session_number:
            return place
    return None
