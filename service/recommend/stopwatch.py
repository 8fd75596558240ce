"""A stopwatch that says how long each step of the road took, summed over the songs of one request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

OnLap = Callable[[str, float, float], object]
"""Told of each time a step was gone through: its name, and when it began and ended by `perf_counter`."""


class Stopwatch:
    """Seconds by step; steps may lie inside one another, and each second counts for the innermost."""

    def __init__(self, on_lap: OnLap | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._on_lap = on_lap
        self._inside = 0.0

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Count the time spent in the block for a step."""
        outer, self._inside = self._inside, 0.0
        start = perf_counter()
        try:
            yield
        finally:
            spent = perf_counter() - start
            self.seconds[step] = self.seconds.get(step, 0.0) + spent - self._inside
            self._inside = outer + spent
            if self._on_lap is not None:
                self._on_lap(step, start, start + spent)
