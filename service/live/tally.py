"""The tally: what this worker saw of bundles since it last told SQL; safe to add to from any thread."""

from threading import Lock

from service.clock import Instant
from service.journal.measurements import Measured, Subject


class Tally:
    """Sums by bundle, stage and measure."""

    def __init__(self) -> None:
        self._seen: dict[Subject, Measured] = {}
        self._turn = Lock()

    def add(self, bundle: str, since: Instant, measure: str, total: float, *, count: int = 1) -> None:
        """Count `count` more observations that come to `total`."""
        self.add_all({Subject(bundle, since, measure): Measured(count, total)})

    def add_all(self, seen: dict[Subject, Measured]) -> None:
        """Count many observations."""
        with self._turn:
            for subject, found in seen.items():
                self._seen[subject] = self._seen.get(subject, Measured()).plus(found)

    def take(self) -> dict[Subject, Measured]:
        """Return what was seen, and begin anew."""
        with self._turn:
            seen, self._seen = self._seen, {}
            return seen
