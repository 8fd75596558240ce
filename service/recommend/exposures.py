"""Exposures: what each mode's listeners were given lately, as snapshots that are renewed now and then.

The coverage floor reads them, and the coverage metric. A snapshot a few seconds old is as good as a fresh one;
where SQL does not answer, the last one stays.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import numpy as np

from models.errors import Unavailable
from models.exposure import ExposureSnapshot, empty_snapshot
from models.listening import Mode, Population
from service.background import repeating
from service.journal.exposures import read_exposure
from service.journal.journal import Journal
from service.live.engine import Engine
from service.live.live import Live
from service.telemetry.metrics import Metrics

WINDOW: Final = 5000
"""The exposures of a mode that count: its latest ones."""
RENEWAL_SECONDS: Final = 10.0


class Exposures:
    """One snapshot per mode."""

    def __init__(self) -> None:
        self._snapshots: dict[Mode, ExposureSnapshot] = {mode: empty_snapshot(0) for mode in Mode}

    def of(self, mode: Mode) -> ExposureSnapshot:
        """Return the latest snapshot of a mode."""
        return self._snapshots[mode]

    async def renew(self, journal: Journal, live: Live, metrics: Metrics) -> None:
        """Take new snapshots over the live catalogue.

        Raises:
            Unavailable: SQL does not answer.
        """
        current = live.loaded.current
        song_count = int(np.count_nonzero(~current.catalogue.withdrawn)) if current else 0
        for mode in Mode:
            ask = partial(read_exposure, mode=mode, last=WINDOW, catalogue_size=song_count)
            snapshot = await journal.read(ask)
            self._snapshots[mode] = snapshot
            metrics.coverage.labels(mode.label).set(snapshot.coverage)
            metrics.coverage_floor.labels(mode.label).set(_floor(current, mode))


def _floor(engine: Engine | None, mode: Mode) -> float:
    """Return the highest coverage floor that the bundle sets for a mode, over the populations; 0: none."""
    if engine is None:
        return 0.0
    limits = engine.bundle.guardrails.limits_for
    return max(limits(population, mode).coverage_floor for population in Population)


@asynccontextmanager
async def open_exposures(journal: Journal, live: Live, metrics: Metrics) -> AsyncIterator[Exposures]:
    """Give the exposures, renewed in the background."""
    exposures = Exposures()

    async def renew() -> None:
        await exposures.renew(journal, live, metrics)

    with suppress(Unavailable):
        await renew()
    async with repeating("renew exposures", renew, seconds=RENEWAL_SECONDS):
        yield exposures
