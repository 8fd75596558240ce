"""What is kept is never older than what was kept before, and never half of anything; an outage is a miss."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from models.errors import Unavailable
from models.listening import Mode
from service.journal.events import BlockChanged, Event, ModeChanged, Offer, SessionStarted, SongsOffered
from service.listener import ListenerKey
from service.memory.cache import Cache, NoCache, Unwatched
from service.memory.redis_cache import RedisCache, RedisCacheConfig, open_redis_cache, unpack
from service.memory.state import ListenerState, apply
from tests.service.journal.examples import LISTENER, NOON

pytestmark = pytest.mark.anyio

EVENTS: list[Event] = [
    SessionStarted(
        sequence=1,
        active_at=NOON,
        session_id="s-1",
        mode=Mode.CALM,
        started_at=NOON,
        before=(0.25, 0.75),
        context={"local_time": "2026-11-20T21:10:00+01:00", "steps": 3.0},
        population=1,
    ),
    SongsOffered(
        sequence=2,
        active_at=NOON + 1,
        session_number=1,
        next_position=1,
        offers=(Offer(2**62, 5, NOON + 1),),
    ),
    ModeChanged(sequence=3, active_at=NOON + 2, session_number=1, mode=Mode.SLEEP),
    BlockChanged(sequence=4, active_at=NOON + 2, kind="artist", value="Ånn", blocked=True),
]


def state_after(count: int) -> ListenerState:
    state: ListenerState | None = ListenerState()
    for event in EVENTS[:count]:
        assert state is not None
        state = apply(state, event)
    assert state is not None
    return state


async def only_key(redis: Redis, prefix: str) -> bytes:
    (key,) = [key async for key in redis.scan_iter(f"{prefix}*")]
    return bytes(key)


class CachePromises:
    """What every cache keeps."""

    async def test_a_recalled_state_is_one_that_was_kept(self, cache: Cache) -> None:
        await cache.remember(LISTENER, state_after(2))
        assert await cache.recall(LISTENER) in (None, state_after(2))

    async def test_an_event_brings_the_state_forward_or_loses_it(self, cache: Cache) -> None:
        await cache.remember(LISTENER, state_after(1))
        for event in EVENTS[1:]:
            await cache.follow(LISTENER, event)
        assert await cache.recall(LISTENER) in (None, state_after(4))

    async def test_an_event_after_a_gap_leaves_no_older_state(self, cache: Cache) -> None:
        await cache.remember(LISTENER, state_after(1))
        await cache.follow(LISTENER, EVENTS[2])
        assert await cache.recall(LISTENER) is None

    async def test_an_event_for_nobody_makes_nothing_up(self, cache: Cache) -> None:
        await cache.follow(LISTENER, EVENTS[3])
        assert await cache.recall(LISTENER) is None

    async def test_an_older_state_does_not_take_the_place_of_a_later_one(self, cache: Cache) -> None:
        await cache.remember(LISTENER, state_after(3))
        await cache.remember(LISTENER, state_after(2))
        assert await cache.recall(LISTENER) in (None, state_after(3))

    async def test_an_event_already_followed_changes_nothing(self, cache: Cache) -> None:
        await cache.remember(LISTENER, state_after(3))
        await cache.follow(LISTENER, EVENTS[2])
        await cache.follow(LISTENER, EVENTS[1])
        assert await cache.recall(LISTENER) in (None, state_after(3))

    async def test_what_is_forgotten_is_gone(self, cache: Cache) -> None:
        await cache.remember(LISTENER, state_after(3))
        await cache.forget(LISTENER)
        assert await cache.recall(LISTENER) is None

    async def test_listeners_are_kept_apart(self, cache: Cache) -> None:
        await cache.remember(LISTENER, state_after(3))
        assert await cache.recall(ListenerKey("other", LISTENER.listener_id)) is None
        assert await cache.recall(ListenerKey("default", "l-2")) is None


class TestNoCache(CachePromises):
    @pytest.fixture
    def cache(self) -> Cache:
        return NoCache()


class TestRedisCache(CachePromises):
    @pytest.fixture
    async def cache(self, redis_url: str, redis_prefix: str) -> AsyncIterator[RedisCache]:
        async with open_redis_cache(redis_url, RedisCacheConfig(prefix=redis_prefix)) as cache:
            yield cache

    async def test_it_does_remember(self, cache: RedisCache) -> None:
        await cache.remember(LISTENER, state_after(1))
        for event in EVENTS[1:]:
            await cache.follow(LISTENER, event)
        assert await cache.recall(LISTENER) == state_after(4)
        assert not cache.is_degraded

    async def test_a_key_is_a_hash_tag_without_a_name_and_expires(
        self, cache: RedisCache, redis_url: str, redis_prefix: str
    ) -> None:
        await cache.remember(LISTENER, state_after(1))
        async with Redis.from_url(redis_url) as redis:
            key = await only_key(redis, redis_prefix)
            assert await redis.ttl(key) > 0
        assert re.fullmatch(rf"{redis_prefix}state:\{{[0-9a-f]{{32}}\}}", key.decode())

    async def test_names_that_read_alike_are_two_keys(
        self, cache: RedisCache, redis_url: str, redis_prefix: str
    ) -> None:
        await cache.remember(ListenerKey("a", "b:c"), state_after(1))
        await cache.remember(ListenerKey("a:b", "c"), state_after(2))
        assert await cache.recall(ListenerKey("a", "b:c")) == state_after(1)
        assert await cache.recall(ListenerKey("a:b", "c")) == state_after(2)

    async def test_after_an_erasure_nothing_that_comes_late_is_kept(self, cache: RedisCache) -> None:
        """There were four writes, the erasure was the fifth, and whoever comes after begins with the seventh."""
        await cache.remember(LISTENER, state_after(3))
        await cache.erase(LISTENER, 5)
        await cache.follow(LISTENER, EVENTS[3])
        await cache.remember(LISTENER, state_after(4))
        assert await cache.recall(LISTENER) is None
        await cache.follow(LISTENER, replace(EVENTS[0], sequence=7))
        assert await cache.recall(LISTENER) is None
        state = replace(state_after(1), sequence=7)
        await cache.remember(LISTENER, state)
        await cache.remember(LISTENER, state_after(4))
        assert await cache.recall(LISTENER) == state

    async def test_an_erasure_that_redis_did_not_hear_of_is_not_acknowledged(self) -> None:
        config = RedisCacheConfig(prefix="x", timeout_seconds=0.1)
        async with open_redis_cache("redis://127.0.0.1:1", config) as unreachable:
            with pytest.raises(Unavailable):
                await unreachable.erase(LISTENER, 5)

    async def test_foreign_bytes_are_a_miss(self, cache: RedisCache, redis_url: str, redis_prefix: str) -> None:
        await cache.remember(LISTENER, state_after(1))
        async with Redis.from_url(redis_url) as redis:
            await redis.set(await only_key(redis, redis_prefix), b"0000000000000003\x00\x00\x00\x02??")
        assert await cache.recall(LISTENER) is None

    async def test_foreign_bytes_give_way_to_the_state_of_their_own_sequence(
        self, cache: RedisCache, redis_url: str, redis_prefix: str
    ) -> None:
        await cache.remember(LISTENER, state_after(1))
        async with Redis.from_url(redis_url) as redis:
            await redis.set(await only_key(redis, redis_prefix), b"0000000000000003\x00\x00\x00\x02??")
        await cache.remember(LISTENER, state_after(3))
        assert await cache.recall(LISTENER) == state_after(3)

    async def test_many_writers_leave_the_latest_state(self, cache: RedisCache) -> None:
        states = [cache.remember(LISTENER, state_after(count)) for count in (3, 1, 4, 2, 4, 3)]
        await asyncio.gather(*states, *(cache.follow(LISTENER, event) for event in EVENTS))
        assert await cache.recall(LISTENER) == state_after(4)


class Errors(Unwatched):
    """Keeps what failed, and counts what was done without."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, str]] = []
        self.without = 0

    def failed(self, call: str, kind: str) -> None:
        self.errors.append((call, kind))

    def done_without(self) -> None:
        self.without += 1


async def test_an_outage_is_a_miss_that_a_counter_sees_and_costs_one_attempt() -> None:
    watch = Errors()
    config = RedisCacheConfig(prefix="", timeout_seconds=0.2, rest_seconds=60.0)
    async with open_redis_cache("redis://127.0.0.1:1", config, watch=watch) as cache:
        for _ in range(5):
            assert await cache.recall(LISTENER) is None
            await cache.remember(LISTENER, state_after(1))
            await cache.follow(LISTENER, EVENTS[1])
            await cache.forget(LISTENER)
        assert cache.is_degraded
    assert (watch.errors, watch.without) == ([("read", "connection")], 20)


async def test_a_server_that_does_not_answer_is_a_miss() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        config = RedisCacheConfig(prefix="", timeout_seconds=0.05)
        async with open_redis_cache(f"redis://127.0.0.1:{port}", config) as cache:
            assert await cache.recall(LISTENER) is None
            assert cache.is_degraded


async def test_it_comes_back_after_a_rest(redis_url: str, redis_prefix: str) -> None:
    config = RedisCacheConfig(prefix=redis_prefix, rest_seconds=0.05, timeout_seconds=1e-9)
    async with open_redis_cache(redis_url, config) as hasty:
        assert await hasty.recall(LISTENER) is None
        assert hasty.is_degraded
        await asyncio.sleep(0.06)
        assert not hasty.is_degraded


def test_frames_that_do_not_add_up_are_nothing() -> None:
    assert unpack(b"") is None
    assert unpack(b"0000000000000003") is None
