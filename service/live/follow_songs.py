"""Following the songs: every worker looks twice a second which songs SQL has changed, and takes over those alone.

Songs are followed while bundles are being opened, and while indexes are laid out anew: neither holds up a
withdrawal. A worker that starts reads the whole catalogue the same way, page by page.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog

from models.catalogue import Catalogue, empty_catalogue
from service.background import repeating
from service.journal.journal import Journal
from service.journal.revisions import read_revisions
from service.journal.songs import PAGE, count_songs, read_changes
from service.live.live import Live

LOOK_SECONDS: Final = 0.5
COMPACTION_LOOK_SECONDS: Final = 5.0

_log = structlog.get_logger("amrs.live")


class SongFollower:
    """Brings the catalogue of one worker's `Live` to where SQL has it."""

    def __init__(self, journal: Journal, live: Live, *, page: int = PAGE) -> None:
        """Look at nothing yet.

        Args:
            journal: what is followed.
            live: what follows.
            page: about how many songs are read at a time.
        """
        self._journal = journal
        self._page_size = page
        self._live = live
        self._turn = asyncio.Lock()
        self.wake = asyncio.Event()
        """Set to have SQL looked at now."""

    async def look(self) -> None:
        """Follow all that has changed since the last look.

        Raises:
            Unavailable: SQL does not answer.
        """
        async with self._turn:
            while True:
                found = (await self._journal.read(read_revisions)).songs
                held = self._live.catalogue.revision
                if found == held:
                    return
                if found < held:
                    _log.error("the songs in SQL went back: all are read again", held=held, found=found)
                if found < held or not len(self._live.catalogue):
                    catalogue = await self._whole()
                else:
                    catalogue = await self._page(self._live.catalogue)
                await asyncio.to_thread(self._take, catalogue)

    async def _whole(self) -> Catalogue:
        catalogue = empty_catalogue(room=await self._journal.read(count_songs))
        while True:
            before = catalogue
            catalogue = await self._page(before)
            if len(catalogue) == len(before):
                return catalogue

    async def _page(self, catalogue: Catalogue) -> Catalogue:
        """Return the catalogue that follows: its revision is the latest, if nothing else has changed."""
        changes = await self._journal.read(partial(read_changes, since=catalogue.revision, limit=self._page_size))
        return await asyncio.to_thread(catalogue.after, changes)

    def _take(self, catalogue: Catalogue) -> None:
        self._live.renew(catalogue)
        current = self._live.loaded.current
        if current is not None and current.gaps.size:
            _log.error("songs that the live bundle cannot read are left out", song_count=int(current.gaps.size))

    async def compact(self) -> None:
        """Lay out anew what is due."""
        if self._live.is_compaction_due:
            done = await asyncio.to_thread(self._live.compact)
            _log.info("songs laid out anew", done=done, song_count=len(self._live.catalogue))


@asynccontextmanager
async def following_songs(journal: Journal, live: Live) -> AsyncIterator[SongFollower]:
    """Give a follower that has caught up, and goes on in the background."""
    follower = SongFollower(journal, live)
    await follower.look()
    async with (
        repeating("follow songs", follower.look, seconds=LOOK_SECONDS, wake=follower.wake),
        repeating("lay out songs", follower.compact, seconds=COMPACTION_LOOK_SECONDS),
    ):
        yield follower
