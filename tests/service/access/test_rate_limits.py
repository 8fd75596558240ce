"""A key gets its rate over time and no more, however many workers there are; no request waits for it."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Refused

from service.access.caller import EVERY_SCOPE, Caller
from service.access.keyring import ANYBODY
from service.access.rate_limits import Rate, RateLimits, open_rate_limits

pytestmark = pytest.mark.anyio

RATE = Rate(per_second=2.0, burst=5.0)
KEY = Caller(app_id="clinic", scopes=EVERY_SCOPE, name="key abc")
OTHER = Caller(app_id="clinic", scopes=EVERY_SCOPE, name="key xyz")


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def granted(limits: RateLimits, caller: Caller = KEY, *, asked: int = 50) -> int:
    """How many of so many requests are let through."""
    quotas = [limits.take(caller) for _ in range(asked)]
    return sum(quota is not None and not quota.retry_after_seconds for quota in quotas)


def test_a_burst_then_the_rate():
    clock = Clock()
    limits = RateLimits(RATE, now=clock)

    assert granted(limits) == 5
    clock.seconds += 1
    assert granted(limits) == 2
    clock.seconds += 1000
    assert granted(limits) == 5


def test_says_what_is_left_and_when_to_come_again():
    limits = RateLimits(RATE, now=Clock())

    first = limits.take(KEY)
    granted(limits)
    refused = limits.take(KEY)

    assert first == (5, 4, 1, 0)
    assert refused == (5, 0, 3, 1)


def test_one_key_does_not_use_up_anothers():
    limits = RateLimits(RATE, now=Clock())
    granted(limits)

    assert granted(limits, OTHER) == 5


def test_without_keys_there_is_no_limit():
    assert RateLimits(RATE).take(ANYBODY) is None


async def test_workers_pay_back_what_they_gave_out_beyond_the_shared_bucket():
    """Three workers grant five each before they know of each other: the bucket is ten below nothing."""
    clock, level = Clock(), RATE.burst
    workers = [RateLimits(RATE, now=clock) for _ in range(3)]

    async def share(_: str, taken: int) -> float:
        nonlocal level
        level -= taken
        return level

    assert [granted(worker) for worker in workers] == [5, 5, 5]
    for worker in workers:
        await worker.settle(share)
    clock.seconds += 5.4
    assert granted(workers[2]) == 0
    clock.seconds += 0.2
    assert granted(workers[2]) == 1


async def test_without_redis_each_worker_goes_on_alone_and_tells_later():
    limits = RateLimits(RATE, now=Clock())
    told: list[int] = []

    async def refuse(_: str, taken: int) -> float:
        raise Refused

    async def share(_: str, taken: int) -> float:
        told.append(taken)
        return 0.0

    granted(limits)
    with pytest.raises(Refused):
        await limits.settle(refuse)
    await limits.settle(share)
    await limits.settle(share)

    assert told == [5]


async def test_two_workers_share_one_bucket_in_redis(redis_url, redis_prefix):
    slow = Rate(per_second=0.01, burst=8.0)
    errors: list[str] = []
    options = {"prefix": redis_prefix, "rate": slow, "timeout_seconds": 1.0}
    async with (
        open_rate_limits(redis_url, on_error=lambda: errors.append("no"), **options) as one,
        open_rate_limits(redis_url, on_error=lambda: errors.append("no"), **options) as two,
    ):
        assert granted(one, asked=6) == 6
        granted(two, asked=1)
        async with asyncio.timeout(10):
            while (quota := two.take(KEY)) is not None and not quota.retry_after_seconds:
                await asyncio.sleep(0.3)
        async with Redis.from_url(redis_url) as redis:
            keys = [key async for key in redis.scan_iter(f"{redis_prefix}rate:*")]
            assert len(keys) == 1
            assert await redis.ttl(keys[0]) > 0

    assert errors == []
