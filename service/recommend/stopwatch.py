"""A stopwatch that says when each step of the road was gone through, and how long each took in all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple


class Lap(NamedTuple):
    """A step that was gone through once: between two readings of `perf_counter`."""

    step: str
    began: float
    ended: float
    own: float
    """Seconds that were not spent in a step inside this one."""


class Stopwatch:
    """Laps by step; steps may lie inside one another, and each second is the innermost one's own."""

    def __init__(self) -> None:
        self.laps: list[Lap] = []
        self._inside = 0.0

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Count the time spent in the block for a step."""
        outer, self._inside = self._inside, 0.0
        began = perf_counter()
        try:
            yield
        finally:
            ended = perf_counter()
            self.laps.append(Lap(step, began, ended, ended - began - self._inside))
            self._inside = outer + ended - began


def seconds_of(laps: Sequence[Lap]) -> dict[str, float]:
    """Return the seconds of each step's own."""
    seconds: dict[str, float] = {}
    for lap in laps:
        seconds[lap.step] = seconds.get(lap.step, 0.0) + lap.own
    return seconds
