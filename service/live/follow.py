"""Following SQL: which bundles there are to hold and which songs, noticed within seconds by every worker.

Counters in SQL rise with every change; each worker looks at them in the background, at once where PostgreSQL gives
notice, and does what they call for.
What goes wrong leaves everything as it was, is logged, and is tried again. Bundles and songs are followed side by
side, so that a song withdrawn while a bundle is being loaded is withdrawn at once.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from service.background import repeating
from service.clock import Clock
from service.journal.journal import Journal
from service.journal.notices import hearing
from service.live.bundles import BundleFollower
from service.live.follow_songs import following_songs
from service.live.live import Live
from service.live.load import Loader
from service.telemetry.metrics import Metrics

LOOK_SECONDS: Final = 1.0


@asynccontextmanager
async def open_live(
    loader: Loader, journal: Journal, metrics: Metrics, clock: Clock
) -> AsyncIterator[tuple[Live, BundleFollower]]:
    """Give what is live, brought up to date first and kept so in the background, and who follows the bundles."""
    live = Live()
    async with AsyncExitStack() as stack:
        songs = await stack.enter_async_context(following_songs(journal, live))
        bundles = BundleFollower(loader, journal, live, songs, metrics, clock)
        await bundles.look()
        stack.push_async_callback(bundles.leave)
        await stack.enter_async_context(
            repeating("follow bundles", bundles.look, seconds=LOOK_SECONDS, wake=bundles.wake)
        )
        wake = {"songs": songs.wake, "bundles": bundles.wake}
        await stack.enter_async_context(hearing(journal.database_url, wake))
        yield live, bundles
