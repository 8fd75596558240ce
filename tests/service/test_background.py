"""Background work is done again and again, outlives an outage, and ends with the block that asked for it."""

import asyncio

import pytest

from models.errors import Unavailable
from service.background import repeating

pytestmark = pytest.mark.anyio


async def test_an_act_is_repeated_until_the_block_ends():
    done = asyncio.Semaphore(0)

    async def act() -> None:
        done.release()

    async with repeating("count", act, seconds=0.001):
        for _ in range(3):
            await asyncio.wait_for(done.acquire(), timeout=10)

    while not done.locked():
        await done.acquire()
    await asyncio.sleep(0.01)
    assert done.locked()


@pytest.mark.parametrize(
    "problem",
    [Unavailable("SQL does not answer"), OSError("a file of the bundle cannot be read")],
    ids=["an outage", "an error nobody expected"],
)
async def test_a_failure_does_not_end_the_repetition(problem: Exception):
    attempts = 0
    recovered = asyncio.Event()

    async def act() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise problem
        recovered.set()

    async with repeating("try", act, seconds=0.001):
        await asyncio.wait_for(recovered.wait(), timeout=10)
