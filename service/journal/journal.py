"""The journal's door: a command goes in, and is answered when it is committed.

Fails: with `Unavailable`, and then nothing was acknowledged; the same command may be sent again for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.errors import Unavailable
from service.background import deliver
from service.journal.command import Administration, Command, Written
from service.journal.engine import open_readers, open_writer, scrub_file
from service.journal.migrate import require_latest
from service.journal.settle import Outcome
from service.journal.watch import JournalWatch, Unwatched, kind_of
from service.journal.writer import (
    AdministrationWork,
    CommandWork,
    GroupCommitWriter,
    SeriesWork,
    Settled,
    Waiting,
    Work,
)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """How the journal writes and reads."""

    batch_limit: int = 64
    """The most commands in one transaction."""
    waiting_limit: int = 2048
    """While so many writes are waiting, more are refused at once."""
    reader_count: int = 4
    """Threads, and connections, for reads."""
    write_timeout_seconds: float = 5.0
    """How long a write waits for its commit; it may be committed later still, and a retry then finds it."""
    read_timeout_seconds: float = 5.0
    """How long a question waits for its answer: a database that has stopped says nothing, not even no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLoad:
    """How much is under way in one process, and how much may be."""

    waiting: int
    waiting_limit: int
    reading: int
    reading_limit: int


class Journal:
    """The system of record as one process sees it; open it with `open_journal`."""

    def __init__(self, database_url: str, config: JournalConfig, watch: JournalWatch) -> None:
        self.database_url = database_url
        self._config = config
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._waiting_count = 0
        self._readers = open_readers(database_url, connections=config.reader_count)
        self._pool = ThreadPoolExecutor(config.reader_count, "journal-reader")
        self._engine = open_writer(database_url)
        self._writer = GroupCommitWriter(
            self._engine,
            batch_limit=config.batch_limit,
            on_settled=lambda settled: self._loop.call_soon_threadsafe(self._answer, settled),
            watch=watch,
        )

    async def write(self, command: Command[Answer]) -> Written[Answer]:
        """Return what a command gave, once it is committed.

        Raises:
            NotFound, Conflict, StaleMemory, DataError: it is refused, and nothing of it was written.
            Unavailable: it could not be committed, or not in time; the same command may be sent again.
        """
        written: Written[Answer] = await self._settled(CommandWork(command))
        return written

    async def write_all(self, commands: Sequence[Command[Any]]) -> list[Outcome]:
        """Run commands one after another in one transaction; return for each what it gave or its refusal.

        Raises:
            Unavailable: none of them was committed.
        """
        outcomes: list[Outcome] = await self._settled(SeriesWork(tuple(commands)))
        return outcomes

    async def administer(self, act: Administration[Answer]) -> Answer:
        """Return what an act on songs or bundles gave, once it is committed in a transaction of its own.

        Raises:
            AmrsError: it is refused, and nothing of it was written.
            Unavailable: it could not be committed, or not in time.
        """
        answer: Answer = await self._settled(AdministrationWork(act))
        return answer

    async def read(self, question: Callable[[Connection], Answer]) -> Answer:
        """Return the answer to a question put to one moment of the database.

        Raises:
            Unavailable: the database does not answer.
        """
        seconds = self._config.read_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._loop.run_in_executor(self._pool, self._ask, question)
        except TimeoutError:
            self._watch.failed("timeout")
            raise Unavailable(f"the journal did not answer within {seconds:g} s") from None

    @property
    def load(self) -> JournalLoad:
        """How much is under way just now."""
        return JournalLoad(
            waiting=self._waiting_count,
            waiting_limit=self._config.waiting_limit,
            reading=self._readers.pool.checkedout(),  # type: ignore[attr-defined]
            reading_limit=self._config.reader_count,
        )

    @property
    def is_writing(self) -> bool:
        """Whether the writer's thread is alive: without it nothing is ever committed again."""
        return self._writer.is_alive

    async def scrub(self) -> None:
        """Leave no bytes behind of rows that were deleted, where the database is a file of ours (SQLite's).

        What readers still look at is left until the next time; PostgreSQL's own vacuum needs no help.
        """
        await self._loop.run_in_executor(self._pool, scrub_file, self._readers)

    def close(self) -> None:
        """Settle what is waiting, then let go of every connection; blocks meanwhile."""
        self._writer.close()
        self._pool.shutdown()
        self._engine.dispose()
        self._readers.dispose()

    async def _settled(self, work: Work) -> Any:
        """Return the outcome of work, or raise it."""
        if not self.is_writing:
            raise Unavailable("the journal's writer has died")
        if self._waiting_count >= self._config.waiting_limit:
            self._watch.failed("queue_full")
            raise Unavailable(f"{self._waiting_count} writes are waiting already")
        outcome: asyncio.Future[Any] = self._loop.create_future()
        self._waiting_count += 1
        self._writer.submit(Waiting(work, outcome))
        seconds = self._config.write_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await outcome
        except TimeoutError:
            self._watch.failed("timeout")
            raise Unavailable(f"the journal did not commit within {seconds:g} s") from None

    def _answer(self, settled: Settled) -> None:
        self._waiting_count -= len(settled)
        deliver(settled)

    def _ask(self, question: Callable[[Connection], Answer]) -> Answer:
        began = perf_counter()
        try:
            with self._readers.begin() as sql:
                return question(sql)
        except (OperationalError, InterfaceError, PoolTimeout) as problem:
            self._watch.failed(kind_of(problem))
            raise Unavailable(f"the journal cannot be read now: {problem}") from problem
        finally:
            self._watch.read(perf_counter() - began)


@asynccontextmanager
async def open_journal(
    database_url: str, *, config: JournalConfig | None = None, watch: JournalWatch | None = None
) -> AsyncIterator[Journal]:
    """Open the journal of a database that has the latest schema; what is waiting at the end is still written.

    Raises:
        ConfigError: the database has another schema, or is none the service speaks to.
        Unavailable: it does not answer.
    """
    journal = Journal(database_url, config or JournalConfig(), watch or Unwatched())
    try:
        await journal.read(require_latest)
        yield journal
    finally:
        await asyncio.to_thread(journal.close)
