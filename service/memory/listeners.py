"""Listeners as the road sees them: their state at hand, their writes followed.

SQL commits first, memory follows. Between the two anything may fail: memory then holds an older state, and
whatever is chosen from it is refused by SQL as stale, rebuilt, and chosen again.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from jaxtyping import Int
from numpy import ndarray

from models.context import NO_CONTEXT
from models.known_safe import known_safe_songs
from service.clock import Instant
from service.errors import NotFound
from service.journal.command import Command, Written
from service.journal.erasure import EraseListener
from service.journal.journal import Journal
from service.journal.sessions import EndIdleSession, idle_sessions
from service.journal.settle import Outcome
from service.listener import ListenerKey
from service.memory.cache import Cache
from service.memory.listening import to_listening
from service.memory.rebuild import rebuild, whole_history
from service.memory.state import ListenerState, apply

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Listeners:
    """The journal and its memory, together."""

    journal: Journal
    cache: Cache

    async def state(self, listener: ListenerKey) -> ListenerState:
        """Return the listener's state from memory, or from SQL where memory has none.

        It may be older than SQL: only `RecordRecommendations` can tell. Answer nothing from it that was not
        recorded against its sequence.

        Raises:
            Unavailable: memory has none, and SQL does not answer.
        """
        return await self.cache.recall(listener) or await self.rebuilt(listener)

    async def rebuilt(self, listener: ListenerKey) -> ListenerState:
        """Return the listener's state as SQL has it now, and remember it.

        Raises:
            Unavailable: SQL does not answer.
        """
        state = await self.journal.read(lambda sql: rebuild(sql, listener))
        if state.known:
            await self.cache.remember(listener, state)
        return state

    async def known_safe(self, listener: ListenerKey) -> Int[ndarray, " n"]:
        """Return the keys of the listener's known-safe songs by their whole history, of which memory holds a part.

        Raises:
            Unavailable: SQL does not answer.
        """
        history = await self.journal.read(lambda sql: whole_history(sql, listener))
        return known_safe_songs(to_listening(history, NO_CONTEXT), 0)

    async def write(self, command: Command[Answer]) -> Written[Answer]:
        """Commit a command, then let memory follow; as `Journal.write` otherwise."""
        written = await self.journal.write(command)
        if written.event is not None:
            await self.cache.follow(command.listener, written.event)
        return written

    async def write_from(self, state: ListenerState, command: Command[Answer]) -> Written[Answer]:
        """Commit a command that rests on a state at hand; memory gets the state after it, whole.

        Raises:
            StaleMemory: as `Journal.write` otherwise; take `rebuilt`, and decide again.
        """
        written = await self.journal.write(command)
        if written.event is not None:
            after = apply(state, written.event)
            if after is None:
                await self.cache.forget(command.listener)
            else:
                await self.cache.remember(command.listener, after)
        return written

    async def end_idle_sessions(self, *, at: Instant, idle_limit_seconds: float) -> int:
        """Write down which sessions have ended of idleness by `at`, some of them at a time; return how many."""
        idle = await self.journal.read(
            lambda sql: idle_sessions(sql, at=at, idle_limit_seconds=idle_limit_seconds)
        )
        ended = 0
        for listener, session_id in idle:
            command = EndIdleSession(
                listener=listener, at=at, session_id=session_id, idle_limit_seconds=idle_limit_seconds
            )
            with suppress(NotFound):  # erased since
                ended += (await self.write(command)).answer
        return ended

    async def erase(self, listener: ListenerKey, *, at: Instant, actor: str) -> None:
        """Erase a listener from SQL and from memory; nothing happens where there is none.

        Raises:
            Unavailable: not everything is known to be erased; the same may be asked again.
        """
        written = await self.journal.write(EraseListener(listener=listener, at=at, actor=actor))
        await self.journal.scrub()
        await self.cache.erase(listener, written.answer)

    async def write_all(self, listener: ListenerKey, commands: Sequence[Command[Any]]) -> list[Outcome]:
        """Commit one listener's commands one after another; memory forgets, and is rebuilt when needed."""
        outcomes = await self.journal.write_all(commands)
        await self.cache.forget(listener)
        return outcomes
