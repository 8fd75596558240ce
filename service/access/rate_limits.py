"""Rate limits: how often each key may call, decided in the worker and settled between workers in Redis.

A key has a bucket: it fills by `rate` tokens a second up to `burst`, and each request takes one. Every worker
keeps a copy and decides by it, so that no request waits for Redis; what was taken is settled a few times a second,
in one script per busy key, and the copy becomes what all workers together have left. Between two settlements
workers may give out more than there is; the shared bucket then goes below nothing and the surplus is paid back, so
that over time a key gets its rate and no more, however many workers there are.

Fails open: without Redis each worker goes on with its own copy, which is counted; a key may then have the rate
once per worker.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any, Final, NamedTuple

from service.access.caller import Caller
from service.background import repeating
from service.memory.reach import NO_ANSWER, open_redis

SETTLE_SECONDS: Final = 0.25
_FORGET_AFTER_SECONDS: Final = 600.0

_SETTLE: Final = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local rate, burst, taken = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = burst
if kept[1] then
  level = math.min(burst, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * rate)
end
level = level - taken
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil((burst - level) / rate) + 1)
return tostring(level)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a key may call."""

    per_second: float
    burst: float
    """The most requests at once after a rest."""


class Quota(NamedTuple):
    """What a key has left after a request: what the answer's headers tell."""

    limit: int
    remaining: int
    reset_seconds: int
    """Until the bucket is full again."""
    retry_after_seconds: int
    """Until there is one request left; 0: this one was granted."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float
    taken: int = 0
    """Since the last settlement."""


class RateLimits:
    """The buckets of one worker; open them with `open_rate_limits`."""

    def __init__(self, rate: Rate, *, now: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._now = now
        self._buckets: dict[str, _Bucket] = {}

    def take(self, caller: Caller) -> Quota | None:
        """Take one request from the caller's bucket, if there is one left; None for a caller without a limit."""
        if not caller.is_limited:
            return None
        now = self._now()
        bucket = self._buckets.get(caller.name)
        if bucket is None:
            bucket = self._buckets[caller.name] = _Bucket(self._rate.burst, now)
        self._fill(bucket, now)
        wait = 0
        if bucket.level < 1:
            wait = max(1, ceil((1 - bucket.level) / self._rate.per_second))
        else:
            bucket.level -= 1
            bucket.taken += 1
        missing = self._rate.burst - bucket.level
        full = ceil(missing / self._rate.per_second)
        return Quota(int(self._rate.burst), max(0, int(bucket.level)), full, wait)

    async def settle(self, share: Callable[[str, int], Any]) -> None:
        """Tell the other workers what was taken here, and learn what all of them have left.

        Args:
            share: takes so many tokens from the shared bucket of a name; returns what is left.

        Raises:
            RedisError, OSError, TimeoutError, RuntimeError: they cannot be told now; it is tried again next time.
        """
        now = self._now()
        for name, bucket in list(self._buckets.items()):
            if not bucket.taken:
                if now - bucket.at > _FORGET_AFTER_SECONDS:
                    del self._buckets[name]
                continue
            taken = bucket.taken
            left = float(await share(name, taken))
            bucket.taken -= taken
            bucket.level, bucket.at = left - bucket.taken, self._now()

    def _fill(self, bucket: _Bucket, now: float) -> None:
        bucket.level = min(self._rate.burst, bucket.level + (now - bucket.at) * self._rate.per_second)
        bucket.at = now


@asynccontextmanager
async def open_rate_limits(
    redis_url: str, *, prefix: str, rate: Rate, timeout_seconds: float, on_error: Callable[[], object]
) -> AsyncIterator[RateLimits]:
    """Give the limits of this worker, settled with the others' in the background; Redis need not answer."""
    limits = RateLimits(rate)
    async with open_redis(redis_url, timeout_seconds=timeout_seconds) as redis:
        script = redis.register_script(_SETTLE)

        async def share(name: str, taken: int) -> Any:
            key = f"{prefix}rate:{{{name.replace(' ', '-')}}}"
            return await script(keys=[key], args=[rate.per_second, rate.burst, taken])

        async def settle() -> None:
            try:
                await limits.settle(share)
            except NO_ANSWER:
                on_error()

        async with repeating("settle rate limits", settle, seconds=SETTLE_SECONDS):
            yield limits
