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


async def test_an_outage_does_not_end_the_repetition():
    attempts = 0
    recovered = asyncio.Event()

    async def act() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise Unavailable("SQL does not answer")
        recovered.set()

    async with repeating("try", act, seconds=0.001):
        await asyncio.wait_for(recovered.wait(), timeout=10)


async def test_an_unexpected_error_does_not_end_the_repetition_either():
    attempts = 0
    recovered = asyncio.Event()

    async def act() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise OSError("a file of the bundle cannot be read")
        recovered.set()

    async with repeating("try", act, seconds=0.001):
        await asyncio.wait_for(recovered.wait(), timeout=10)
