"""Work in the background: what a running service repeats, and what another thread does for those who wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from models.errors import Unavailable

_log = structlog.get_logger("amrs.background")


@asynccontextmanager
async def repeating(
    name: str, act: Callable[[], Awaitable[object]], *, seconds: float, wake: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Repeat an act every so many seconds, beginning after as many, until the block ends; sooner when woken.

    An act that meets an outage, or an error that nobody expected, is logged and tried again in its turn: a worker
    that stopped following SQL in silence would answer for ever from what was.
    """

    async def for_ever() -> None:
        while True:
            await _pause(seconds, wake)
            try:
                await act()
            except Unavailable as problem:
                _log.warning("not done now", task=name, reason=str(problem))
            except Exception:  # noqa: BLE001  see above
                _log.exception("not done now", task=name)

    task = asyncio.create_task(for_ever(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def deliver(outcomes: Iterable[tuple[asyncio.Future[Any], Any]]) -> None:
    """Give those who wait on another thread's work what became of it: a value, or an error to be raised."""
    for future, outcome in outcomes:
        if future.done():
            continue  # nobody waits any more
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


async def _pause(seconds: float, wake: asyncio.Event | None) -> None:
    if wake is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
    wake.clear()
