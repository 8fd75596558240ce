"""Shadow: a bundle that is shown what was asked after the answer is on record, and whose own answer nobody gets.

A thread of its own compares, one request at a time, and rests as long as it worked, so that it takes half a core
at most. Whatever comes while its queue is full is dropped and counted: no request waits for it. Its errors are
counted too, and harm nobody.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np
import structlog

from models.affect import SIGNALS
from service.journal.measurements import Measured, Subject
from service.live.engine import Engine
from service.live.live import Live
from service.live.tally import Tally
from service.recommend.answering import Inquiry
from service.recommend.differences import (
    DROPPED,
    ERROR,
    OVERLAP,
    RUNGS,
    SAME_SONG,
    apart_measure,
    differences,
    predicted_differences,
    rung_measure,
)
from service.recommend.encode import encode
from service.recommend.predict import predict
from service.recommend.recommend import Recommended, recommend_all
from service.telemetry.model_metrics import ModelMetrics

QUEUE_LIMIT: Final = 64
"""Requests that may wait for the shadow; more are dropped."""
_POLL_SECONDS: Final = 0.5
"""How often an idle shadow looks whether it is to stop."""

_log = structlog.get_logger("amrs.shadow")


class Sample(NamedTuple):
    """An inquiry that was answered, and the answer."""

    inquiry: Inquiry
    given: Recommended


class Shadow:
    """Shows requests to the bundle in shadow, if one is held."""

    def __init__(self, live: Live, tally: Tally, metrics: ModelMetrics) -> None:
        self._live = live
        self._tally = tally
        self._metrics = metrics
        self._queue: Queue[Sample] = Queue(QUEUE_LIMIT)
        self._closing = Event()
        self._thread = Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def show(self, inquiry: Inquiry, given: Recommended) -> None:
        """Hand over what was asked and given; returns at once, whether or not it can be looked at."""
        loaded = self._live.loaded
        if loaded.shadow is None:
            return
        try:
            self._queue.put_nowait(Sample(inquiry, given))
        except Full:
            self._metrics.shadow_dropped.inc()
            self._note(loaded.shadow, {DROPPED: 1.0})

    def close(self) -> None:
        """Stop; what is waiting is let go. Blocks until the request at hand is done."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                sample = self._queue.get(timeout=_POLL_SECONDS)
            except Empty:
                continue
            engine = self._live.loaded.shadow
            if engine is None:
                continue
            begun = perf_counter()
            self._compare(engine, sample)
            self._closing.wait(perf_counter() - begun)

    def _compare(self, engine: Engine, sample: Sample) -> None:
        try:
            found = compared(engine, sample)
        except Exception as problem:  # noqa: BLE001  a bundle that nobody hears may fail as it likes
            _log.warning("the shadow bundle failed", version=engine.bundle.version, reason=type(problem).__name__)
            self._metrics.errors.labels("shadow").inc()
            self._note(engine, {ERROR: 1.0})
            return
        finally:
            self._metrics.requests.labels("shadow").inc()
        self._note(engine, {ERROR: 0.0} | found)
        self._metrics.shadow_compared.inc()
        self._metrics.shadow_agreed.inc(found[SAME_SONG])
        self._metrics.shadow_overlap.observe(found[OVERLAP])
        for difference in RUNGS:
            self._metrics.shadow_rungs.labels(difference).inc(found[rung_measure(difference)])
        for signal in SIGNALS:
            if apart_measure(signal) in found:
                self._metrics.shadow_difference.labels(signal).observe(found[apart_measure(signal)])

    def _note(self, engine: Engine, found: dict[str, float]) -> None:
        version = engine.bundle.version
        since = self._live.loaded.since.get(version)
        if since is not None:
            self._tally.add_all(
                {Subject(version, since, name): Measured(1, total) for name, total in found.items()}
            )


def compared(engine: Engine, sample: Sample) -> dict[str, float]:
    """Return what a bundle would have made of a request, beside what was made of it, by measure."""
    question = sample.inquiry.read_by(engine)
    (answer,) = recommend_all(engine, [replace(question, count=1)])
    found = differences(sample.given, answer)
    if sample.given.songs:
        first = sample.given.songs[0].decision
        rows = engine.catalogue.rows(np.array([[first.song]]))
        theirs = predict(engine, encode(engine, [question.view.listening]).state, rows)[0, :, 0]
        found |= predicted_differences(first.trials[-1].candidates.predicted[0, :, first.place], theirs)
    return found


@asynccontextmanager
async def open_shadow(live: Live, tally: Tally, metrics: ModelMetrics) -> AsyncIterator[Shadow]:
    """Give the shadow; at the end its thread has stopped."""
    shadow = Shadow(live, tally, metrics)
    try:
        yield shadow
    finally:
        await asyncio.to_thread(shadow.close)
