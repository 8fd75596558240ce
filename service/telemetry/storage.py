"""What the stores tell, as metrics: the journal's commits and failures, memory's round trips."""

from service.telemetry.metrics import Metrics


class JournalNumbers:
    """A `JournalWatch` that counts."""

    def __init__(self, metrics: Metrics) -> None:
        self._reads, self._commits = metrics.sql_seconds["read"], metrics.sql_seconds["commit"]
        self._errors = metrics.sql_errors
        self._sizes, self._waits = metrics.commit_size, metrics.commit_wait_seconds

    def committed(self, size: int, seconds: float) -> None:
        self._sizes.observe(size)
        self._commits.observe(seconds)

    def waited(self, seconds: float) -> None:
        self._waits.observe(seconds)

    def read(self, seconds: float) -> None:
        self._reads.observe(seconds)

    def failed(self, kind: str) -> None:
        self._errors[kind].inc()


class CacheNumbers:
    """A `CacheWatch` that counts."""

    def __init__(self, metrics: Metrics) -> None:
        self._calls, self._errors = metrics.redis_seconds, metrics.redis_errors
        self._done_without = metrics.done_without["redis"]

    def called(self, call: str, seconds: float) -> None:
        self._calls[call].observe(seconds)

    def failed(self, call: str, kind: str) -> None:
        self._errors.labels(call, kind).inc()

    def done_without(self) -> None:
        self._done_without.inc()
