"""A command: one thing to be written, checked and refused as a whole.

A command of a listener runs in a *turn*: the listener's row is locked, its receipt and session are at hand.
It decides by raising or by naming the rows to write; nothing it named is written if it raises, and what it
named is written after every command of the batch has decided. So a refusal leaves nothing half-written, and
the rows of many commands go to SQL together.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import randbits
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec
from sqlalchemy import Connection, Insert, Update
from sqlalchemy.sql.dml import Delete

from models.listening import Population
from service.clock import Instant
from service.errors import UnknownListener, UnknownSession
from service.journal.events import Event
from service.listener import ListenerKey

Statement = Insert | Update | Delete
"""What a command may write with: a module constant, so that the rows of many commands gather under it."""

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


def fresh_number(at: Instant) -> int:
    """Return a number for a new listener: time above, chance below, so that new rows fall side by side."""
    return ((at >> 10) & ((1 << 42) - 1)) << 21 | randbits(21)


class ReceiptKey(NamedTuple):
    """The client's name for a write: `session`, `request` or `event`, and the id within it."""

    kind: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Written(Generic[Answer]):
    """What a write gave."""

    answer: Answer
    event: Event | None
    """What changed, for memory; None if nothing did."""
    duplicate: bool = False
    """Whether the same write had been acknowledged before; `answer` is then the first one."""


class ListenerRow(NamedTuple):
    """The locked row of a listener."""

    listener_number: int
    population: str
    sequence: int
    active_at: Instant


class SessionRow(NamedTuple):
    """What is read of a session before a command decides."""

    listener_number: int
    session_number: int
    session_id: str
    mode: str
    started_at: Instant
    ended_at: Instant | None
    end_reason: str | None


class OfferKey(NamedTuple):
    """Which recommendation of its session a command is about: a song, and when it was offered."""

    song_id: str
    offered_at: Instant


class OfferRow(NamedTuple):
    """A recommendation on record beside one of its feedback events; without any, the event's columns are None."""

    position: int
    mode: str
    duration_seconds: float | None
    artist_key: int
    event_id: str | None
    occurred_at: Instant | None
    played_seconds: float | None
    engagement: float | None
    rating: int | None


class ReceiptRow(NamedTuple):
    """The receipt of a write that was acknowledged before."""

    listener_number: int
    kind: str
    client_id: str
    digest: bytes
    answer: bytes


@dataclass(slots=True, eq=False)
class Turn:
    """One command's turn in the transaction."""

    sql: Connection
    """For reads; what is to be written goes through `write`."""
    key: ListenerKey
    known: ListenerRow | None
    session_row: SessionRow | None
    """The row of the session the command names, if there is one."""
    offer_rows: list[OfferRow]
    """The recommendation the command names, once per feedback event; empty if it is not on record."""
    fresh_number: int
    """The number of the listener, should this write be the first."""
    at: Instant
    withdrawn: frozenset[str] = frozenset()
    """Which of the songs the batch is about to offer are withdrawn."""
    first_sequence: int = 1
    """The sequence of the write that makes a listener: later than anything of one who was erased."""
    consent: bool = False
    """Whether a new listener consents to training."""
    population: str = Population.UNSPECIFIED.label
    """The listener's population after this write."""
    active_at: Instant = 0
    """When the listener was last active in the open session, after this write."""
    rows: list[tuple[Statement, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.known is not None:
            self.population, self.active_at = self.known.population, self.known.active_at

    @property
    def listener(self) -> ListenerRow:
        """The listener.

        Raises:
            UnknownListener: there is none.
        """
        if self.known is None:
            raise UnknownListener(f"listener {self.key.listener_id!r} does not exist")
        return self.known

    @property
    def sequence(self) -> int:
        """The number this write will have."""
        return self.known.sequence + 1 if self.known else self.first_sequence

    @property
    def number(self) -> int:
        """The listener's number, known or new."""
        return self.known.listener_number if self.known else self.fresh_number

    def session(self, session_id: str) -> SessionRow:
        """Return the session's row.

        Raises:
            UnknownSession: the listener has no such session.
        """
        if self.session_row is None:
            raise UnknownSession(f"session {session_id!r} does not exist")
        return self.session_row

    def be_active(self) -> None:
        """Say that the listener is active now; a clock that was put back takes no activity away."""
        self.active_at = max(self.active_at, self.at)

    def write(self, statement: Statement, row: dict[str, Any]) -> None:
        """Name one row to be written with a statement."""
        self.rows.append((statement, row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(ABC, Generic[Answer]):
    """One write of one listener, in the name of an id the client chose (or of none)."""

    listener: ListenerKey
    at: Instant
    """The service's time at arrival."""

    answer_type: ClassVar[Any]
    """What `run` answers, as msgspec can read it back from a receipt."""

    @property
    @abstractmethod
    def receipt(self) -> ReceiptKey | None:
        """The client's name for this write; None for a write that is idempotent by its nature."""

    @property
    @abstractmethod
    def body(self) -> tuple[Any, ...]:
        """What the client asked for, a word for it first: equal for equal requests, whatever the time.

        Receipts are kept for ever, so what is packed here for a request must never change.
        """

    @property
    def session_id(self) -> str | None:
        """The session the command names, if any: its row is read beforehand."""
        return None

    @property
    def offer(self) -> OfferKey | None:
        """The recommendation the command names, if any: it is read beforehand."""
        return None

    @property
    def songs(self) -> tuple[str, ...]:
        """The songs the command is about to offer, if any: none of them is withdrawn before it has ended."""
        return ()

    @abstractmethod
    def run(self, turn: Turn) -> tuple[Answer, Event | None]:
        """Check, name the rows to write, and return the answer and what changed.

        Raises:
            NotFound, Conflict, StaleMemory, DataError: the write is refused.
        """

    @property
    def digest(self) -> bytes:
        """The digest of the body."""
        return sha256(msgspec.msgpack.encode(self.body, order="sorted")).digest()


@runtime_checkable
class Administration(Protocol[Answer_co]):
    """A write that is no listener's: the songs, the bundles. It has a transaction of its own."""

    def __call__(self, sql: Connection) -> Answer_co:
        """Check, write, and return the answer."""
