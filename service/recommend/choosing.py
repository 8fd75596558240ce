"""Choosing: one thread answers whoever waits, together.

While it computes, the next ones gather, so that the busier the service, the more listeners share a run of the
networks; a lone inquiry waits for nobody. The networks let the interpreter go while they run, and the event loop
reads and answers meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Final

from models.errors import Unavailable
from service.background import deliver
from service.recommend.answering import Answered, Answering, Inquiry
from service.telemetry.metrics import Metrics

BATCH_LIMIT: Final = 16
"""The most inquiries answered together: beyond, the last would wait longer than sharing saves."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """An inquiry, and where its answer goes."""

    inquiry: Inquiry
    answer: asyncio.Future[Answered]
    since: float = field(default_factory=perf_counter)


class Choosing:
    """The one thread that chooses; open it with `open_choosing`."""

    def __init__(self, answering: Answering, metrics: Metrics) -> None:
        self._answering = answering
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._incoming: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="choosing", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs: without it no song is ever chosen again."""
        return self._thread.is_alive()

    async def choose(self, inquiry: Inquiry) -> Answered:
        """Return the answer to one inquiry.

        Raises:
            Unavailable: no bundle is live, or the thread has died.
            ModelsFailed: the live bundle's models raised something.
        """
        if not self.is_alive:
            raise Unavailable("the thread that chooses songs has died")
        answer: asyncio.Future[Answered] = self._loop.create_future()
        self._incoming.put(_Waiting(inquiry, answer))
        return await answer

    def close(self) -> None:
        """Answer what waits, then stop; blocks meanwhile."""
        self._incoming.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            began = perf_counter()
            self._metrics.chosen_together.observe(len(batch))
            for each in batch:
                self._metrics.choosing_wait_seconds.observe(began - each.since)
            try:
                outcomes = self._answering.ask([each.inquiry for each in batch])
            except Exception as fault:  # noqa: BLE001  those who wait raise it; the thread must go on
                outcomes = [fault] * len(batch)
            answered = [(each.answer, outcome) for each, outcome in zip(batch, outcomes, strict=True)]
            self._loop.call_soon_threadsafe(deliver, answered)

    def _next(self) -> list[_Waiting] | None:
        """Wait for an inquiry, and return it with those that wait as well; None at the end."""
        first = self._incoming.get()
        batch = [] if first is None else [first]
        while first is not None and len(batch) < BATCH_LIMIT:
            try:
                another = self._incoming.get_nowait()
            except Empty:
                break
            if another is None:
                self._incoming.put(None)  # once these are answered
                break
            batch.append(another)
        return batch or None


@asynccontextmanager
async def open_choosing(answering: Answering, metrics: Metrics) -> AsyncIterator[Choosing]:
    """Give the thread that chooses; at the end it has answered what waited."""
    choosing = Choosing(answering, metrics)
    try:
        yield choosing
    finally:
        await asyncio.to_thread(choosing.close)
