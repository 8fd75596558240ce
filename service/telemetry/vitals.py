"""Vitals: what is looked at now and then instead of being counted with every request.

Pools and queues, the process's memory, the loop's delay, the disk, and whether each part is at hand: a worker
without traffic says so too.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import disk_usage
from time import perf_counter, time
from typing import Final

import structlog

from service.background import repeating
from service.journal.journal import Journal
from service.memory.redis_cache import RedisCache
from service.readiness import Readiness
from service.telemetry.metrics import PARTS, Metrics

_log = structlog.get_logger("amrs.vitals")

LOOK_SECONDS: Final = 5.0
_NAP_SECONDS: Final = 0.01
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Vitals:
    """One worker's looks at itself, told as metrics."""

    def __init__(
        self, metrics: Metrics, *, journal: Journal, cache: RedisCache, readiness: Readiness, home: Path
    ) -> None:
        self._metrics = metrics
        self._journal, self._cache, self._readiness, self._home = journal, cache, readiness, home
        metrics.workers.set(1)
        metrics.started.set(time())

    async def look(self) -> None:
        """Tell how everything is now."""
        began = perf_counter()
        await asyncio.sleep(_NAP_SECONDS)
        self._metrics.loop_lag.set(max(0.0, perf_counter() - began - _NAP_SECONDS))
        self._tell_load()
        self._tell_machine()
        health = await self._readiness.look()
        down = {"bundle" if name == "models" else name for name in health.missing}
        if not await self._cache.answers():
            down.add("redis")
        for part in PARTS:
            self._metrics.up.labels(part).set(part not in down)
        self._metrics.ready.set(health.ready)

    def _tell_load(self) -> None:
        metrics, load = self._metrics, self._journal.load
        metrics.requests_in_flight.set(metrics.in_flight)
        metrics.waiting.set(load.waiting)
        metrics.waiting_limit.set(load.waiting_limit)
        metrics.sql_connections.set(load.reading)
        metrics.sql_connection_limit.set(load.reading_limit)
        for state, count in self._cache.connections.items():
            metrics.redis_connections.labels(state).set(count)

    def _tell_machine(self) -> None:
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
        self._metrics.memory.set(resident_pages * _PAGE_BYTES)
        disk = disk_usage(written_below(self._home))
        self._metrics.disk_free.set(disk.free)
        self._metrics.disk_size.set(disk.total)


def written_below(home: Path) -> Path:
    """Return the folder whose disk may fill: the bundles', which may lie elsewhere than a home kept in memory."""
    bundles = home / "bundles"
    return bundles if bundles.exists() else home


@asynccontextmanager
async def open_vitals(vitals: Vitals) -> AsyncIterator[None]:
    """Look once, and again in the background; nothing that goes wrong with a look keeps a worker from serving."""
    try:
        await vitals.look()
    except Exception:  # noqa: BLE001  see above
        _log.exception("not done now", task="look at vitals")
    async with repeating("look at vitals", vitals.look, seconds=LOOK_SECONDS):
        yield
