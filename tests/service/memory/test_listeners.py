"""After an acknowledged write nothing recorded rests on an older state, wherever memory dies on the way.

A scripted evening is played by an app that sends a request again until it is acknowledged. Memory crashes the
worker at every one of its calls in turn, before and after the call took effect, or loses everything there.
What is on record in the end is what it would be without any crash.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest

from models.affect import Affect
from models.context import NO_CONTEXT
from models.listening import Mode, song_key
from service.errors import StaleMemory
from service.journal.command import Written
from service.journal.events import Event
from service.journal.history import HistoryPage, read_history
from service.journal.journal import Journal, open_journal
from service.listener import ListenerKey
from service.memory import state
from service.memory.cache import Cache, NoCache
from service.memory.listeners import Listeners
from service.memory.rebuild import rebuild
from service.memory.redis_cache import RedisCacheConfig, open_redis_cache
from service.memory.state import ListenerState
from service.recommend.remember import view_of
from tests.service.journal.examples import (
    LISTENER,
    MINUTE,
    NOON,
    change_mode,
    end,
    feed_back,
    recommend,
    start,
    token,
)

pytestmark = pytest.mark.anyio


class Crash(Exception):
    """The worker dies."""


class Mortal:
    """A cache whose worker dies at one of its calls: before it takes effect, or after."""

    is_degraded = False

    def __init__(self, cache: Cache, *, last_call: int, effective: bool) -> None:
        self.cache = cache
        self.calls_left = last_call
        self.effective = effective

    async def answers(self) -> bool:
        return await self.cache.answers()

    async def recall(self, listener: ListenerKey) -> ListenerState | None:
        return await self._call(lambda: self.cache.recall(listener))

    async def remember(self, listener: ListenerKey, state: ListenerState) -> None:
        await self._call(lambda: self.cache.remember(listener, state))

    async def follow(self, listener: ListenerKey, event: Event) -> None:
        await self._call(lambda: self.cache.follow(listener, event))

    async def forget(self, listener: ListenerKey) -> None:
        await self._call(lambda: self.cache.forget(listener))

    async def erase(self, listener: ListenerKey, sequence: int) -> None:
        await self._call(lambda: self.cache.erase(listener, sequence))

    async def _call(self, act: Callable[[], Awaitable[Any]]) -> Any:
        self.calls_left -= 1
        if self.calls_left == 0 and not self.effective:
            raise Crash
        result = await act()
        if self.calls_left == 0:
            raise Crash
        return result


class Forgetful(Mortal):
    """A cache that is flushed at one of its calls; nobody dies."""

    async def _call(self, act: Callable[[], Awaitable[Any]]) -> Any:
        self.calls_left -= 1
        if self.calls_left == 0:
            await self.cache.forget(LISTENER)
        return await act()


async def next_song(listeners: Listeners, request: int) -> str:
    """Give a song whose name tells the state it was chosen from; as the road does it."""
    state = await listeners.state(LISTENER)
    while True:
        plays = [play for session in state.sessions for play in session.plays]
        heard = "-".join(f"{play.engagement}" for play in plays)
        song = f"after:{len(state.offers)}:{heard}:{state.open and state.open.mode}"
        command = recommend(
            song,
            expected_sequence=state.sequence,
            request_id=f"r-{request}",
            first=state.open.next_position if state.open else 0,
            at=NOON + request,
            reply=song.encode(),
        )
        try:
            written = await listeners.write_from(state, command)
        except StaleMemory:
            state = await listeners.rebuilt(LISTENER)
        else:
            return written.answer.decode()


async def evening(listeners: Listeners) -> None:
    """One session of six songs; whatever crashes is sent again."""

    async def until_acknowledged(send: Callable[[], Awaitable[object]]) -> object:
        while True:
            try:
                return await send()
            except Crash:
                continue

    await until_acknowledged(lambda: listeners.write(start()))
    for n in range(6):
        song = await until_acknowledged(lambda n=n: next_song(listeners, n))
        about = token(str(song), position=n, offered_at=NOON + n)
        told = feed_back(f"e-{n}", about=about, engagement=n / 10, at=NOON + MINUTE + n)
        if n % 3 != 2:
            await until_acknowledged(lambda told=told: listeners.write(told))
        if n == 3:
            await until_acknowledged(lambda: listeners.write(change_mode(Mode.SLEEP, event_id="m-1")))
    await until_acknowledged(lambda: listeners.write(end(report=Affect(0.7, 0.2))))


async def on_record(journal: Journal) -> tuple[HistoryPage, ListenerState]:
    return (
        await journal.read(lambda sql: read_history(sql, LISTENER, limit=100)),
        await journal.read(lambda sql: rebuild(sql, LISTENER)),
    )


CALLS = 24
"""A few more than an evening makes."""


@pytest.mark.parametrize("calls", [range(1, 13), range(13, CALLS + 1)], ids=["early", "late"])
@pytest.mark.parametrize(
    "make",
    [
        lambda cache, n: Mortal(cache, last_call=n, effective=False),
        lambda cache, n: Mortal(cache, last_call=n, effective=True),
        lambda cache, n: Forgetful(cache, last_call=n, effective=True),
    ],
    ids=["dies before the call takes effect", "dies after it took effect", "loses everything"],
)
async def test_a_crash_at_any_call_leaves_the_same_record(
    sqlite_copy: Callable[[str], str],
    redis_url: str,
    redis_prefix: str,
    make: Callable[[Cache, int], Cache],
    calls: range,
) -> None:
    async with open_journal(sqlite_copy("without")) as journal:
        await evening(Listeners(journal, NoCache()))
        expected = await on_record(journal)

    for n in calls:
        async with AsyncExitStack() as stack:
            journal = await stack.enter_async_context(open_journal(sqlite_copy(f"crash-{n}")))
            config = RedisCacheConfig(prefix=f"{redis_prefix}{n}:")
            redis = await stack.enter_async_context(open_redis_cache(redis_url, config))
            await evening(Listeners(journal, make(redis, n)))
            assert await on_record(journal) == expected
            remembered = await redis.recall(LISTENER)
            assert remembered is None or remembered.sequence <= expected[1].sequence
            if remembered is not None and remembered.sequence == expected[1].sequence:
                assert remembered == expected[1]


async def test_without_a_crash_memory_holds_what_sql_would_rebuild(
    database_url: str, redis_url: str, redis_prefix: str
) -> None:
    async with (
        open_journal(database_url) as journal,
        open_redis_cache(redis_url, RedisCacheConfig(prefix=redis_prefix)) as redis,
    ):
        await evening(Listeners(journal, redis))
        assert await redis.recall(LISTENER) == (await on_record(journal))[1]


async def test_a_state_that_memory_lost_is_read_from_sql_and_remembered(
    database_url: str, redis_url: str, redis_prefix: str
) -> None:
    async with (
        open_journal(database_url) as journal,
        open_redis_cache(redis_url, RedisCacheConfig(prefix=redis_prefix)) as redis,
    ):
        listeners = Listeners(journal, redis)
        await listeners.write(start())
        await redis.forget(LISTENER)
        state = await listeners.state(LISTENER)

        assert state.open is not None
        assert await redis.recall(LISTENER) == state


async def test_a_series_of_events_makes_memory_forget(
    database_url: str, redis_url: str, redis_prefix: str
) -> None:
    async with (
        open_journal(database_url) as journal,
        open_redis_cache(redis_url, RedisCacheConfig(prefix=redis_prefix)) as redis,
    ):
        listeners = Listeners(journal, redis)
        outcomes = await listeners.write_all(LISTENER, [start(), end()])

        assert all(isinstance(outcome, Written) for outcome in outcomes)
        assert await redis.recall(LISTENER) is None


async def test_idle_sessions_are_written_down_as_ended(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        listeners = Listeners(journal, NoCache())
        await listeners.write(start())
        later = NOON + 120 * MINUTE
        counts = [await listeners.end_idle_sessions(at=later, idle_limit_seconds=3600.0) for _ in range(2)]

        assert counts == [1, 0]
        assert (await listeners.state(LISTENER)).open is None


async def test_known_safe_songs_rest_on_the_whole_history_of_which_memory_holds_the_newest_part(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """song-1 was disliked before all that memory holds, and heard out twice since; song-2 was heard out twice."""
    monkeypatch.setattr(state, "PLAYS", 4)
    heard = [("song-1", 0), *[("song-1", None), ("song-2", None)] * 2]
    async with open_journal(database_url) as journal:
        listeners = Listeners(journal, NoCache())
        await listeners.write(start())
        for place, (song, rating) in enumerate(heard):
            at = NOON + place * MINUTE
            await listeners.write(
                recommend(song, expected_sequence=1 + 2 * place, request_id=f"r-{place}", first=place, at=at)
            )
            about = token(song, position=place, offered_at=at)
            await listeners.write(feed_back(f"e-{place}", about=about, engagement=1.0, rating=rating, at=at))

        remembered = await listeners.state(LISTENER)
        safe = await listeners.known_safe(LISTENER)

    assert not remembered.is_whole
    opened = remembered.open
    assert opened is not None
    assert not len(view_of(remembered, opened, NO_CONTEXT).known_safe())  # memory cannot tell, and says none
    np.testing.assert_array_equal(safe, [song_key("song-2")])
    np.testing.assert_array_equal(view_of(remembered, opened, NO_CONTEXT, safe).known_safe(), safe)
