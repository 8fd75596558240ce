"""Following SQL's bundles: which one is live, and which are before it, in canary and in shadow.

A bundle is taken up in the background, the old ones serving until it has been verified, warmed and tried out; then
all that is held is replaced in one assignment. What cannot be taken up leaves everything as it was, is logged,
counted and told to SQL for operators to see, and is tried again after a while or when SQL changes.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from secrets import token_hex
from socket import gethostname
from time import monotonic
from typing import Final

import structlog

from models.catalogue import Catalogue
from models.errors import AmrsError
from service.clock import Clock
from service.errors import CatalogueGap
from service.journal.bundles import BundleRecord, serving_bundles
from service.journal.journal import Journal
from service.journal.replicas import Failure, ForgetReplica, ReplicaRecord, TellReplica
from service.journal.revisions import read_revisions
from service.live.engine import Engine
from service.live.follow_songs import SongFollower
from service.live.live import Live, Loaded
from service.live.load import BundleNotLoaded, Loader
from service.telemetry.metrics import Metrics

RETRY_SECONDS: Final = 30.0
"""How long a bundle that could not be taken up is left alone."""
TELL_SECONDS: Final = 10.0
"""How often a worker says what it holds, when nothing changes."""
_REASON_LENGTH: Final = 500

_log = structlog.get_logger("amrs.live")


class BundleFollower:
    """Brings the bundles that one worker holds to where SQL says they should be."""

    def __init__(
        self,
        loader: Loader,
        journal: Journal,
        live: Live,
        songs: SongFollower,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._loader = loader
        self._journal = journal
        self._live = live
        self._songs = songs
        self._metrics = metrics
        self._clock = clock
        self._followed: int | None = None
        self._retry_at = 0.0
        self._tell_at = 0.0
        self._failures: dict[str, Failure] = {}
        self._started_at = clock()
        self.replica = f"{gethostname()[:64]}-{os.getpid()}-{token_hex(3)}"
        """The worker's name, as operators see it."""
        self.wake = asyncio.Event()
        """Set to have SQL looked at now."""

    async def look(self) -> None:
        """Follow whatever has changed since the last look.

        Raises:
            Unavailable: SQL does not answer.
        """
        found = (await self._journal.read(read_revisions)).bundles
        if found != self._followed or monotonic() >= self._retry_at:
            await self._follow(await self._journal.read(serving_bundles))
            self._followed = found
            self._retry_at = monotonic() + RETRY_SECONDS if self._failures else float("inf")
            self._tell_at = 0.0
        if monotonic() >= self._tell_at:
            await self._tell()
            self._tell_at = monotonic() + TELL_SECONDS

    async def leave(self) -> None:
        """Say that this worker is gone."""
        with suppress(AmrsError):
            await self._journal.administer(ForgetReplica(replica=self.replica))

    async def _follow(self, wanted: dict[str, BundleRecord]) -> None:
        self._failures = {}
        await self._hold(wanted)
        for role, record in wanted.items():
            if record.version not in self._live.loaded.by_version:
                await self._take_up(role, record, wanted)

    async def _take_up(self, role: str, record: BundleRecord, wanted: dict[str, BundleRecord]) -> None:
        """Load a bundle and hold it in its role; what cannot be is put down as a failure."""
        try:
            with self._metrics.swap(role):
                engine = await asyncio.to_thread(self._loader.load, record, await self._catalogue())
                with self._loader.step(record.version, "swap"):
                    await self._hold(wanted, engine)
                    if record.version not in self._live.loaded.by_version:
                        raise CatalogueGap("an active song that came meanwhile has no embedding in its space")
        except BundleNotLoaded as problem:
            self._failures[record.version] = Failure(problem.step, problem.reason[:_REASON_LENGTH], self._clock())
            _log.error(
                "bundle not taken up; what answered before goes on",
                version=record.version,
                role=role,
                step=problem.step,
                reason=problem.reason,
            )

    async def _hold(self, wanted: dict[str, BundleRecord], fresh: Engine | None = None) -> None:
        before = self._live.loaded.current
        await asyncio.to_thread(self._live.hold, arranged(self._live.loaded, wanted, fresh))
        after = self._live.loaded.current
        if after is not None and (before is None or before.bundle.version != after.bundle.version):
            self._announce(after.bundle.version, None if before is None else before.bundle.version)

    def _announce(self, version: str, before: str | None) -> None:
        if before is not None:
            self._metrics.bundle.labels(before).set(0)
            self._metrics.models.swaps.inc()
        self._metrics.bundle.labels(version).set(1)
        _log.info("bundle is live", version=version, before=before)

    async def _catalogue(self) -> Catalogue:
        await self._songs.look()  # whoever promoted the bundle may have seen songs that this worker has not
        return self._live.catalogue

    async def _tell(self) -> None:
        loaded = self._live.loaded
        roles = {
            "live": loaded.current,
            "previous": loaded.previous,
            "canary": loaded.canary,
            "shadow": loaded.shadow,
        }
        record = ReplicaRecord(
            replica=self.replica,
            started_at=self._started_at,
            seen_at=self._clock(),
            holding={role: engine.bundle.version for role, engine in roles.items() if engine is not None},
            failures=self._failures,
        )
        await self._journal.administer(TellReplica(record=record))


def arranged(held: Loaded, wanted: Mapping[str, BundleRecord], fresh: Engine | None = None) -> Loaded:
    """Return the engines at hand in the roles that SQL wants them in; the others are let go.

    While the live bundle is not at hand, the one that answers goes on; where none answers, the one before does.
    """
    engines = held.by_version | ({} if fresh is None else {fresh.bundle.version: fresh})
    roles = {role: engines.get(record.version) for role, record in wanted.items()}
    return Loaded(
        current=roles.get("live") or held.current or roles.get("previous"),
        previous=roles.get("previous"),
        canary=roles.get("canary"),
        shadow=roles.get("shadow"),
        since={record.version: record.staged_at for record in wanted.values()},
    )
