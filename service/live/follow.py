"""Following SQL: which bundles there are to hold and which songs, noticed within seconds by every worker.

Two counters in SQL rise with every change; each worker looks at them once a second and does in the background
what they call for. What goes wrong leaves everything as it was, is logged, and is tried again when SQL changes
again, or after a while. Bundles and songs are followed side by side, so that a song withdrawn while a bundle is
being loaded is withdrawn at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Final

import structlog

from models.errors import AmrsError, Unavailable
from service.background import repeating
from service.clock import Clock
from service.journal.journal import Journal
from service.journal.revisions import read_revisions
from service.journal.songs import read_catalogue
from service.live.bundles import BundleFollower
from service.live.live import Live
from service.live.load import Loader
from service.telemetry.metrics import Metrics

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 30.0
"""How long a change that could not be followed is left alone."""

_log = structlog.get_logger("amrs.live")


class SongFollower:
    """Brings one worker's songs to where SQL says they should be."""

    def __init__(self, journal: Journal, live: Live) -> None:
        self._journal = journal
        self._live = live
        self._followed: int | None = None
        self._retry_at = 0.0

    async def look(self) -> None:
        """Follow whatever has changed since the last look.

        Raises:
            Unavailable: SQL does not answer.
        """
        found = (await self._journal.read(read_revisions)).songs
        if found == self._followed and monotonic() < self._retry_at:
            return
        try:
            catalogue = await self._journal.read(read_catalogue)
            await asyncio.to_thread(self._live.renew, catalogue)
            self._retry_at = float("inf")
        except Unavailable:
            raise
        except AmrsError as problem:
            _log.error("the songs stay as they were", reason=str(problem))
            self._retry_at = monotonic() + RETRY_SECONDS
        self._followed = found


@asynccontextmanager
async def open_live(
    loader: Loader, journal: Journal, metrics: Metrics, clock: Clock
) -> AsyncIterator[tuple[Live, BundleFollower]]:
    """Give what is live, brought up to date first and kept so in the background, and who follows the bundles."""
    live = Live()
    bundles = BundleFollower(loader, journal, live, metrics, clock)
    songs = SongFollower(journal, live)

    await bundles.look()
    await songs.look()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bundles.leave)
        await stack.enter_async_context(
            repeating("follow bundles", bundles.look, seconds=LOOK_SECONDS, wake=bundles.wake)
        )
        await stack.enter_async_context(repeating("follow songs", songs.look, seconds=LOOK_SECONDS))
        yield live, bundles
