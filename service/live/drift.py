"""The drift watch: one worker at a time reads the sessions that have ended; every worker tells what came of it.

It reads on from where the last one left off, a batch at a time, in the background, and never what was read before.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
import structlog

from models.calibration import Calibration
from models.errors import BundleError
from models.listening import NO_SONG
from models.repository import Repository
from service.background import repeating
from service.clock import Clock
from service.drift import WINDOW_DAYS, figures, observed
from service.errors import Conflict
from service.journal.drift import BATCH, DUTY, AddDrift, ended_sessions
from service.journal.duties import TakeDuty
from service.journal.journal import Journal
from service.journal.measurements import DAY, FIELD, read_measurements
from service.live.live import Live
from service.telemetry.model_metrics import ModelMetrics

LOOK_SECONDS: Final = 5.0
DUTY_SECONDS: Final = 120.0
"""How long a worker that fell silent keeps others from the duty."""
BATCHES: Final = 20
"""The most batches read in one look."""

_UNKNOWN: Final = float("nan")

_log = structlog.get_logger("amrs.drift")


class DriftWatch:
    """One worker's part in the watch."""

    def __init__(
        self,
        journal: Journal,
        live: Live,
        repository: Repository,
        metrics: ModelMetrics,
        clock: Clock,
        replica: str,
    ) -> None:
        self._journal = journal
        self._live = live
        self._repository = repository
        self._metrics = metrics
        self._clock = clock
        self._replica = replica
        self._calibrations: dict[str, Calibration | None] = {}
        self._told: set[str] = set()

    async def look(self) -> None:
        """Read what has ended since the last look, if that is this worker's duty, and tell how things stand.

        Raises:
            Unavailable: SQL does not answer.
        """
        for _ in range(BATCHES):
            if not await self._read_on():
                break
        await self._tell()

    async def _read_on(self) -> bool:
        """Read one batch; return whether there may be more."""
        at = self._clock()
        duty = TakeDuty(duty=DUTY, holder=self._replica, at=at, seconds=DUTY_SECONDS)
        begun = await self._journal.administer(duty)
        if begun is None:
            return False
        after = max(begun, at - WINDOW_DAYS * DAY)
        ended, done_to = await self._journal.read(lambda sql: ended_sessions(sql, after=after, at=at))
        if done_to <= begun:
            return False
        seen = await asyncio.to_thread(observed, ended, self._calibration_of, self._distance_of)
        try:
            await self._journal.administer(AddDrift(measured=seen, begun=begun, done_to=done_to, at=at))
        except Conflict:
            return False
        return len(ended) == BATCH

    async def _tell(self) -> None:
        current = self._live.loaded.current
        if current is None:
            return
        first = self._clock() - WINDOW_DAYS * DAY
        bundle = current.bundle
        measured = await self._journal.read(
            lambda sql: read_measurements(sql, bundle.version, since=FIELD, from_day=first)
        )
        found = figures(measured, bundle.reference, level=bundle.calibration.level)
        self._told |= found.keys()
        for name in self._told:  # what another bundle showed must not stand as this one's
            figure = found.get(name)
            reference = None if figure is None else figure.reference
            self._metrics.drift.labels(name).set(_UNKNOWN if figure is None else figure.value)
            self._metrics.drift_reference.labels(name).set(_UNKNOWN if reference is None else reference)

    def _calibration_of(self, version: str) -> Calibration | None:
        if version not in self._calibrations:
            engine = self._live.loaded.by_version.get(version)
            try:
                bundle = self._repository.open(version) if engine is None else engine.bundle
                self._calibrations[version] = bundle.calibration
            except BundleError as problem:
                _log.warning("intervals of a bundle are not known", version=version, reason=str(problem))
                self._calibrations[version] = None
        return self._calibrations[version]

    def _distance_of(self, version: str, song_key: int) -> float | None:
        engine = self._live.loaded.by_version.get(version)
        if engine is None:
            return None
        row = int(engine.catalogue.rows(np.array([song_key]))[0])
        return None if row == NO_SONG else float(engine.vectors.support_distance[row])


@asynccontextmanager
async def watching_drift(watch: DriftWatch) -> AsyncIterator[None]:
    """Watch in the background until the block ends."""
    async with repeating("watch drift", watch.look, seconds=LOOK_SECONDS):
        yield
