"""Following SQL: which bundle is live and which songs there are, noticed within seconds by every worker.

Two counters in SQL rise with every change; each worker looks at them once a second and does in the background
what they call for. What goes wrong leaves everything as it was, is logged, and is tried again when SQL changes
again, or after a while.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import structlog

from models.catalogue import Catalogue
from models.errors import AmrsError, BundleError, Unavailable
from models.repository import Repository
from service.background import repeating
from service.journal.bundles import BundleRecord, live_bundle
from service.journal.journal import Journal
from service.journal.revisions import Revisions, read_revisions
from service.journal.songs import read_catalogue
from service.live.live import Live
from service.telemetry.metrics import Metrics

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 30.0
"""How long a change that could not be followed is left alone."""

_log = structlog.get_logger("amrs.live")


class Follower:
    """Brings one worker's `Live` to where SQL says it should be."""

    def __init__(self, repository: Repository, journal: Journal, live: Live, metrics: Metrics) -> None:
        self._repository = repository
        self._journal = journal
        self._live = live
        self._metrics = metrics
        self._followed: Revisions | None = None
        self._retry_at = 0.0

    async def look(self) -> None:
        """Follow whatever has changed since the last look.

        Raises:
            Unavailable: SQL does not answer.
        """
        found = await self._journal.read(read_revisions)
        if found == self._followed and monotonic() < self._retry_at:
            return
        try:
            await self._follow()
            self._retry_at = float("inf")
        except Unavailable:
            raise
        except AmrsError as problem:
            _log.error("the live bundle stays as it was", reason=str(problem))
            self._retry_at = monotonic() + RETRY_SECONDS
        self._followed = found

    async def _follow(self) -> None:
        wanted = await self._journal.read(live_bundle)
        if wanted is None:
            return
        current = self._live.loaded.current
        catalogue = await self._journal.read(read_catalogue)
        if current is not None and current.bundle.version == wanted.version:
            await asyncio.to_thread(self._live.renew, catalogue)
        else:
            with self._metrics.swap():
                await self._swap(wanted, catalogue)
            self._announce(wanted.version, None if current is None else current.bundle.version)

    async def _swap(self, wanted: BundleRecord, catalogue: Catalogue) -> None:
        bundle = await asyncio.to_thread(self._repository.open, wanted.version)
        if bundle.digest != wanted.digest:
            raise BundleError(f"bundle {wanted.version} is not the one that was promoted: its digest differs")
        await asyncio.to_thread(self._live.swap, bundle, catalogue)

    def _announce(self, version: str, before: str | None) -> None:
        if before is not None:
            self._metrics.bundle.labels(before).set(0)
        self._metrics.bundle.labels(version).set(1)
        _log.info("bundle is live", version=version, before=before)


@asynccontextmanager
async def open_live(repository: Repository, journal: Journal, metrics: Metrics) -> AsyncIterator[Live]:
    """Give what is live, brought up to date first and kept so in the background."""
    live = Live(on_run=lambda graph, seconds: metrics.onnx_seconds[graph].observe(seconds))
    follower = Follower(repository, journal, live, metrics)

    await follower.look()
    async with repeating("follow SQL", follower.look, seconds=LOOK_SECONDS):
        yield live
