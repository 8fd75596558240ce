"""The watch over bundles new at their stage: tells SQL what this worker saw, and returns from one that fails.

Every worker tells and looks; SQL lets one of them act (`service.journal.returns`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from models.errors import AmrsError, Unavailable
from service.background import repeating
from service.clock import Clock
from service.journal.bundles import serving_bundles
from service.journal.journal import Journal
from service.journal.measurements import AddMeasurements
from service.journal.returns import ReturnBounds, ReturnBundle, reason_to_return
from service.live.tally import Tally
from service.telemetry.model_metrics import ModelMetrics

LOOK_SECONDS: Final = 2.0

_log = structlog.get_logger("amrs.live")


class Watch:
    """One worker's part in the watch."""

    def __init__(
        self,
        journal: Journal,
        tally: Tally,
        bounds: ReturnBounds,
        metrics: ModelMetrics,
        clock: Clock,
        wake: asyncio.Event,
    ) -> None:
        self._journal = journal
        self._tally = tally
        self._bounds = bounds
        self._metrics = metrics
        self._clock = clock
        self._wake = wake

    async def look(self) -> None:
        """Tell SQL what was seen, and return from every bundle that crosses a bound.

        Raises:
            Unavailable: SQL does not answer; what was seen is told the next time.
        """
        await self.tell()
        for version in await self._crossing():
            await self._return(version)

    async def tell(self) -> None:
        """Add what was seen to what all workers saw.

        Raises:
            Unavailable: SQL did not commit in time; if it does so after all, what was seen counts twice.
        """
        seen = self._tally.take()
        if not seen:
            return
        try:
            await self._journal.administer(AddMeasurements(measured=seen, at=self._clock()))
        except Unavailable:
            self._tally.add_all(seen)
            raise

    async def _crossing(self) -> list[str]:
        at, bounds = self._clock(), self._bounds
        if not bounds.window_seconds:
            return []
        return await self._journal.read(
            lambda sql: [
                record.version
                for role, record in serving_bundles(sql).items()
                if role in ("live", "canary") and reason_to_return(sql, record, bounds, at=at)
            ]
        )

    async def _return(self, version: str) -> None:
        act = ReturnBundle(version=version, bounds=self._bounds, at=self._clock())
        try:
            answering = await self._journal.administer(act)
        except Unavailable:
            raise
        except AmrsError as problem:
            self._metrics.return_problems.inc()
            _log.error(
                "a bundle crosses a bound and cannot be returned from", version=version, reason=str(problem)
            )
            return
        if answering is not None:
            self._metrics.returns.inc()
            self._wake.set()
            _log.error("returned from a bundle that crossed a bound", version=version, answering=answering.version)


@asynccontextmanager
async def open_watch(
    journal: Journal, bounds: ReturnBounds, metrics: ModelMetrics, clock: Clock, wake: asyncio.Event
) -> AsyncIterator[Tally]:
    """Give the tally of what this worker sees, watched in the background; `wake` is set after a return."""
    tally = Tally()
    watch = Watch(journal, tally, bounds, metrics, clock, wake)
    try:
        async with repeating("watch bundles", watch.look, seconds=LOOK_SECONDS):
            yield tally
    finally:
        with suppress(Unavailable):
            await watch.tell()
