"""Group commit: one thread takes whatever is waiting, settles it in one transaction, and commits once.

While a commit is under way the next batch gathers, so that the busier the service, the fewer commits a write
costs. A batch holds one command per listener, in the listeners' order. What the database refuses is tried
again, each command alone, so that one bad command harms no other; if it cannot be reached, nobody waits twice.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from models.errors import AmrsError, Unavailable
from service.journal.command import Administration, Command
from service.journal.settle import settle
from service.journal.watch import JournalWatch, kind_of
from service.listener import ListenerKey


@dataclass(frozen=True, slots=True, eq=False)
class CommandWork:
    """One command; it may share a transaction with commands of other listeners."""

    command: Command[Any]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesWork:
    """Commands of one listener, one after another in one transaction."""

    commands: Sequence[Command[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class AdministrationWork:
    """An act on songs or bundles, in a transaction of its own."""

    act: Administration[Any]


Work = CommandWork | SeriesWork | AdministrationWork


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Work, and a token by which the one who waits knows its outcome again."""

    work: Work
    ticket: Any
    since: float = field(default_factory=perf_counter)


Settled = list[tuple[Any, Any]]
"""Tickets and their outcomes; an outcome is a value or an error, never raised here."""


class GroupCommitWriter:
    """The one thread that writes."""

    def __init__(
        self,
        engine: Engine,
        *,
        batch_limit: int,
        on_settled: Callable[[Settled], object],
        watch: JournalWatch,
    ) -> None:
        self._engine = engine
        self._batch_limit = batch_limit
        self._on_settled = on_settled
        self._watch = watch
        self._incoming: SimpleQueue[Waiting | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, waiting: Waiting) -> None:
        """Hand in work; its outcome comes through `on_settled`, in the writer's thread."""
        self._incoming.put(waiting)

    def close(self) -> None:
        """Settle what is waiting, then stop; nothing may be submitted any more."""
        self._incoming.put(None)
        self._thread.join()

    def _run(self) -> None:
        waiting: deque[Waiting] = deque()
        closing = False
        while True:
            if not waiting and not closing:
                waiting_or_end = self._incoming.get()
                closing = waiting_or_end is None
                if waiting_or_end is not None:
                    waiting.append(waiting_or_end)
            closing |= self._gather(waiting)
            if not waiting:
                return
            batch = take_batch(waiting, self._batch_limit)
            began = perf_counter()
            for one in batch:
                self._watch.waited(began - one.since)
            outcomes = self._commit([one.work for one in batch])
            self._on_settled([(one.ticket, outcome) for one, outcome in zip(batch, outcomes, strict=True)])

    def _gather(self, waiting: deque[Waiting]) -> bool:
        """Take all that has come in; return whether the end was among it."""
        closing = False
        while True:
            try:
                one = self._incoming.get_nowait()
            except Empty:
                return closing
            if one is None:
                closing = True
            else:
                waiting.append(one)

    def _commit(self, batch: list[Work]) -> list[Any]:
        """Return one outcome for each piece of work: in one transaction, or each alone if that fails."""
        began = perf_counter()
        try:
            outcomes = self._together(batch)
        except _Unreachable as problem:
            self._watch.failed(kind_of(problem.__cause__))
            return [Unavailable(str(problem)) for _ in batch]
        except Exception:  # noqa: BLE001  whatever it was, it must not harm the others, nor end the thread
            outcomes = self._each_alone(batch)
        self._watch.committed(len(batch), perf_counter() - began)
        return outcomes

    def _together(self, batch: list[Work]) -> list[Any]:
        match batch:
            case [SeriesWork(commands)]:
                with _transaction(self._engine) as sql:
                    return [[settle(sql, [command])[0] for command in commands]]
            case [AdministrationWork(act)]:
                try:
                    with _transaction(self._engine) as sql:
                        return [act(sql)]
                except AmrsError as refusal:
                    return [refusal]
            case _:
                commands = [work.command for work in batch if isinstance(work, CommandWork)]
                with _transaction(self._engine) as sql:
                    return list(settle(sql, commands))

    def _each_alone(self, batch: list[Work]) -> list[Any]:
        outcomes: list[Any] = []
        for place, work in enumerate(batch):
            try:
                match work:
                    case SeriesWork(commands):
                        outcomes.append([self._alone(CommandWork(command)) for command in commands])
                    case _:
                        outcomes.append(self._alone(work))
            except _Unreachable as problem:
                self._watch.failed(kind_of(problem.__cause__))
                return outcomes + [Unavailable(str(problem)) for _ in batch[place:]]
        return outcomes

    def _alone(self, work: Work) -> Any:
        try:
            return self._together([work])[0]
        except _Unreachable:
            raise
        except (OperationalError, InterfaceError) as problem:
            self._watch.failed(kind_of(problem))
            return Unavailable(f"the journal cannot commit now: {problem.orig}")
        except Exception as fault:  # noqa: BLE001  the one who waits raises it
            return fault


def take_batch(waiting: deque[Waiting], limit: int) -> list[Waiting]:
    """Take, from the front, work that may share a transaction: one command per listener, in their order.

    What is left keeps its order, and no command passes an earlier one of the same listener. Anything but
    single commands goes alone.
    """
    if not isinstance(waiting[0].work, CommandWork):
        return [waiting.popleft()]

    taken: dict[ListenerKey, Waiting] = {}
    passed: list[Waiting] = []
    while waiting and len(taken) < limit and isinstance(work := waiting[0].work, CommandWork):
        one = waiting.popleft()
        if work.command.listener in taken:
            passed.append(one)
        else:
            taken[work.command.listener] = one
    waiting.extendleft(reversed(passed))
    return [taken[listener] for listener in sorted(taken)]


class _Unreachable(Exception):
    """No transaction could be begun."""


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """Give a transaction that commits at the end.

    Raises:
        _Unreachable: there is no connection to be had, or another writer does not let go of SQLite's lock.
    """
    try:
        connection = engine.connect()
    except SQLAlchemyError as problem:
        raise _Unreachable(f"the journal cannot be reached: {problem}") from problem
    with connection:
        try:
            transaction = connection.begin()
        except SQLAlchemyError as problem:
            raise _Unreachable(f"the journal cannot be reached: {problem}") from problem
        with transaction:
            yield connection
