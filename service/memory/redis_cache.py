"""States in Redis: one key per listener, one round trip to read it and one to change it.

The value is a string: 16 digits of the sequence it has reached, then frames, each a length (4 bytes) and a
packed body; the first frame is a state, the others are the events that followed. A small event is appended
where the whole state would have to be read and written. Two scripts keep the order: a state is stored unless a
later one is there; an event is appended only to what is just before it, and what is older is dropped.
The key ends in `{…}`, a keyed digest of app and listener: a cluster keeps a listener's keys together, and nobody
who looks at Redis reads a name.

Fails open: an error or a slow answer is a miss. After one, Redis is left alone for a moment, so that an outage
does not cost every request a timeout.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic, perf_counter
from typing import Any, Final, TypeVar

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout

from models.errors import Unavailable
from service.journal.events import Event
from service.listener import ListenerKey
from service.memory.cache import CacheWatch, Unwatched
from service.memory.reach import NO_ANSWER, AnyRedis, connections_of, open_redis
from service.memory.state import ListenerState, apply

_DIGITS: Final = 16
_LENGTH: Final = 4
_ERASED_SECONDS: Final = 60

_STORE: Final = """
local kept = redis.call('GETRANGE', KEYS[1], 0, 15)
if kept == '' or tonumber(kept) <= tonumber(string.sub(ARGV[1], 1, 16)) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
"""
_APPEND: Final = """
local kept = redis.call('GETRANGE', KEYS[1], 0, 15)
if kept == '' then return end
local gap = tonumber(ARGV[1]) - tonumber(kept)
if gap == 1 then
  redis.call('SETRANGE', KEYS[1], 0, ARGV[1])
  redis.call('APPEND', KEYS[1], ARGV[2])
elseif gap > 1 then
  redis.call('DEL', KEYS[1])
end
"""

Reply = TypeVar("Reply")

_encode = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(ListenerState).decode
_decode_event: Callable[[bytes], Event] = msgspec.msgpack.Decoder(Event).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisCacheConfig:
    """How memory uses Redis."""

    prefix: str
    """What every key begins with."""
    timeout_seconds: float = 0.25
    """How long one round trip may take."""
    rest_seconds: float = 1.0
    """How long Redis is left alone after a failure."""
    keep_seconds: int = 30 * 24 * 3600
    """How long the state of a listener who does not come back is kept."""
    secret: bytes = b""
    """What hides listeners' names in the keys; the same in every worker."""


class RedisCache:
    """A `Cache` in Redis; open it with `open_redis_cache`."""

    def __init__(self, redis: AnyRedis, config: RedisCacheConfig, watch: CacheWatch) -> None:
        self._redis = redis
        self._config = config
        self._watch = watch
        self._resting_until = -1.0
        self._store = redis.register_script(_STORE)
        self._append = redis.register_script(_APPEND)

    @property
    def is_degraded(self) -> bool:
        return monotonic() < self._resting_until

    async def recall(self, listener: ListenerKey) -> ListenerState | None:
        packed = await self._attempt("read", self._redis.get, self._key(listener))
        return unpack(packed) if isinstance(packed, bytes) else None

    async def remember(self, listener: ListenerKey, state: ListenerState) -> None:
        value = _sequence(state.sequence) + _frame(_encode(state))
        await self._run(self._store, listener, value, self._config.keep_seconds)

    async def follow(self, listener: ListenerKey, event: Event) -> None:
        await self._run(self._append, listener, _sequence(event.sequence), _frame(_encode(event)))

    async def forget(self, listener: ListenerKey) -> None:
        await self._attempt("write", self._redis.unlink, self._key(listener))

    async def erase(self, listener: ListenerKey, sequence: int) -> None:
        """Leave nothing but a sequence, without a state, for as long as a write under way might take to follow."""
        arguments: list[bytes | int] = [_sequence(sequence), _ERASED_SECONDS]
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                await self._store([self._key(listener)], arguments)
        except NO_ANSWER as problem:
            self._fail("write", problem)
            raise Unavailable("memory does not answer: what it holds of the listener is not erased yet") from None

    async def _run(self, script: Any, listener: ListenerKey, *arguments: bytes | int) -> None:
        await self._attempt("write", script, [self._key(listener)], list(arguments))

    async def _attempt(self, kind: str, call: Callable[..., Awaitable[Reply]], *arguments: Any) -> Reply | None:
        if self.is_degraded:
            self._watch.done_without()
            return None
        began = perf_counter()
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                return await call(*arguments)
        except NO_ANSWER as problem:
            self._fail(kind, problem)
            return None
        finally:
            self._watch.called(kind, perf_counter() - began)

    async def answers(self) -> bool:
        """Whether Redis answers, asked now and without a rest; this is no request's business and is not told."""
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                return bool(await self._redis.ping())
        except NO_ANSWER:
            return False

    @property
    def connections(self) -> dict[str, int]:
        """How many connections this process holds: `idle` and `used`."""
        return connections_of(self._redis)

    def _fail(self, kind: str, problem: Exception) -> None:
        self._resting_until = monotonic() + self._config.rest_seconds
        self._watch.failed(kind, _kind_of(problem))
        self._watch.done_without()

    def _key(self, listener: ListenerKey) -> str:
        names = b"".join(len(name).to_bytes(2, "big") + name.encode() for name in listener)
        return (
            f"{self._config.prefix}state:{{{blake2b(names, key=self._config.secret, digest_size=16).hexdigest()}}}"
        )


def unpack(packed: bytes) -> ListenerState | None:
    """Return the state that the frames add up to; None if they do not add up: another version wrote them."""
    try:
        state: ListenerState | None = None
        place = _DIGITS
        while place < len(packed):
            start = place + _LENGTH
            place = start + int.from_bytes(packed[place:start], "big")
            body = packed[start:place]
            state = _decode_state(body) if state is None else apply(state, _decode_event(body))
            if state is None:
                return None
    except msgspec.MsgspecError:
        return None
    return state


@asynccontextmanager
async def open_redis_cache(
    redis_url: str, config: RedisCacheConfig, *, watch: CacheWatch | None = None
) -> AsyncIterator[RedisCache]:
    """Open memory in a Redis, or a cluster; it need not answer yet, nor always."""
    async with open_redis(redis_url, timeout_seconds=config.timeout_seconds) as redis:
        yield RedisCache(redis, config, watch or Unwatched())


def _kind_of(problem: Exception) -> str:
    if isinstance(problem, (TimeoutError, RedisTimeout)):
        return "timeout"
    return "connection" if isinstance(problem, (OSError, RuntimeError, RedisConnectionError)) else "refused"


def _sequence(sequence: int) -> bytes:
    return b"%016d" % sequence


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(_LENGTH, "big") + body
