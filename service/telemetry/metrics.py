"""Metrics: plain names, base units, labels from small closed sets; never a song, a listener or a report.

With several workers each process writes its numbers into files below `PROMETHEUS_MULTIPROC_DIR` (which
`amrs serve` sets before the workers are born) and any of them can answer for all. Counters and histograms are
summed; statistics of the population, which every worker knows alike, are told once, by whoever knew last.

A request pays for what it counts while it holds the interpreter: what it touches is bound to its labels once
(`Bound`), and what can be looked at now and then is sampled (`vitals`). Every label of a closed set is told from
the start, at zero, so that the first veto or the first failure is an increase and not a new series.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from models.errors import Unavailable
from models.guardrails import Rule, Rung
from models.listening import Mode
from service.telemetry.model_metrics import ModelMetrics

MULTIPROCESS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

OUTCOMES: Final = ("answered", "failed")
"""Of a request, as the error budget counts it."""
STEPS: Final = ("remember", "encode", "match", "predict", "guard", "record")
"""The steps of the road that are timed; choosing is a part of `guard`."""
GRAPHS: Final = ("world", "head", "policy")
PARTS: Final = ("bundle", "journal", "redis", "choosing", "writer")
"""What a worker needs, or would rather have, to answer; the last two are its own threads."""
SQL_CALLS: Final = ("read", "commit")
SQL_FAILURES: Final = ("unreachable", "pool", "lock", "timeout", "disk_full", "queue_full", "other")
REDIS_CALLS: Final = ("read", "write")
REDIS_FAILURES: Final = ("timeout", "connection", "refused")
ROLES: Final = ("live", "previous", "canary", "shadow")
"""In which a worker holds a bundle."""
SWAPS: Final = ("swapped", "refused")
DEPENDENCIES: Final = ("redis", "intervals", "rate_limits")
"""What a request may have to go on without."""

_CALL_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SWAP_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BATCH_BUCKETS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)

Metric = TypeVar("Metric", bound=MetricWrapperBase)


class Bound(dict[str, Metric], Generic[Metric]):
    """A metric of one label, by its values, each bound once; the known ones are told from the start."""

    def __init__(self, metric: Metric, known: Iterable[str] = ()) -> None:
        super().__init__((value, metric.labels(value)) for value in known)
        self._metric = metric

    def __missing__(self, value: str) -> Metric:
        child = self[value] = self._metric.labels(value)
        return child


class Metrics:
    """Every metric of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.in_flight = 0
        """Requests under way in this process; sampled into a gauge."""
        self._requests()
        self._road()
        self._storage()
        self._bundles()
        self.models = ModelMetrics(self._registry)
        self._process()

    def _requests(self) -> None:
        self.of_apps = Bound(
            self._counter(
                "amrs_app_requests", "Requests answered, without probes and scrapes; failed: 5xx", "outcome"
            ),
            OUTCOMES,
        )
        self.requests = self._counter(
            "amrs_http_requests", "Requests answered, by route template, method and status", "route method status"
        )
        self.request_seconds = self._histogram(
            "amrs_http_request_seconds",
            "From the request's first byte to the answer's last",
            "route method",
            _REQUEST_BUCKETS,
        )
        self.requests_in_flight = self._gauge(
            "amrs_http_requests_in_flight", "Requests under way, sampled", mode="livesum"
        )

    def _road(self) -> None:
        modes = [mode.label for mode in Mode]
        self.chosen_together = self._histogram(
            "amrs_choosing_size", "Requests whose songs were chosen together", buckets=_BATCH_BUCKETS
        )
        self.choosing_wait_seconds = self._histogram(
            "amrs_choosing_wait_seconds",
            "From asking for a song to the begin of its choosing",
            buckets=_CALL_BUCKETS,
        )
        self.road_seconds = self._histogram(
            "amrs_road_seconds",
            "Each step of the road, as a request goes through it",
            "step",
            _CALL_BUCKETS,
        )
        self.steps = Bound(self.road_seconds, STEPS)
        self.onnx_seconds = Bound(
            self._histogram("amrs_onnx_seconds", "One run of a graph of the bundle", "graph", _CALL_BUCKETS),
            GRAPHS,
        )
        self.recommendations = self._counter("amrs_recommendations", "Songs recommended, by mode", "mode")
        self.recommended = Bound(self.recommendations, modes)
        self.candidates = self._counter("amrs_candidates", "Songs judged by the guardrails")
        self.vetoes = self._counter("amrs_vetoes", "Candidates forbidden, by guardrail rule", "rule")
        self.vetoed = Bound(self.vetoes, [rule.label for rule in Rule])
        self.fallbacks = self._counter(
            "amrs_fallbacks", "Choices made below the policy's own rung; silence is one", "rung"
        )
        self.fallen_back = Bound(self.fallbacks, [rung.value for rung in Rung if rung is not Rung.POLICY])
        self.recomputed = self._counter(
            "amrs_recommendations_recomputed",
            "Choices thrown away because memory, or the catalogue at hand, was behind SQL",
        )
        self.degraded = self._counter(
            "amrs_degraded",
            "Calls of a dependency done without, and requests with intervals beyond the calibrated steps",
            "dependency",
        )
        self.done_without = Bound(self.degraded, DEPENDENCIES)
        self.coverage = self._gauge(
            "amrs_coverage_ratio", "Share of the catalogue in the mode's last exposures", "mode", mode="mostrecent"
        )
        self.coverage_floor = self._gauge(
            "amrs_coverage_floor_ratio",
            "The highest coverage floor that the live bundle sets for the mode; 0: none",
            "mode",
            mode="mostrecent",
        )

    def _storage(self) -> None:
        self.sql_seconds = Bound(
            self._histogram("amrs_sql_seconds", "One read, or one group commit", "call", _CALL_BUCKETS), SQL_CALLS
        )
        self.sql_errors = Bound(
            self._counter("amrs_sql_errors", "What failed between the journal and its database", "kind"),
            SQL_FAILURES,
        )
        self.commit_size = self._histogram(
            "amrs_journal_commit_size", "Writes in one group commit", buckets=_BATCH_BUCKETS
        )
        self.commit_wait_seconds = self._histogram(
            "amrs_journal_wait_seconds",
            "From handing a write in to the begin of its group commit",
            buckets=_CALL_BUCKETS,
        )
        self.waiting = self._gauge(
            "amrs_journal_waiting", "Writes that are not committed yet, sampled", mode="livesum"
        )
        self.waiting_limit = self._gauge(
            "amrs_journal_waiting_limit", "Writes that may wait before more are refused", mode="livesum"
        )
        self.sql_connections = self._gauge(
            "amrs_sql_connections_in_use", "Connections of the readers' pool in use, sampled", mode="livesum"
        )
        self.sql_connection_limit = self._gauge(
            "amrs_sql_connections_limit", "Connections that the readers' pool may hold", mode="livesum"
        )
        self.redis_seconds = Bound(
            self._histogram("amrs_redis_seconds", "One round trip to Redis", "call", _CALL_BUCKETS), REDIS_CALLS
        )
        self.redis_errors = self._counter("amrs_redis_errors", "Failed round trips to Redis", "call kind")
        for call in REDIS_CALLS:
            for kind in REDIS_FAILURES:
                self.redis_errors.labels(call, kind)
        self.redis_connections = self._gauge(
            "amrs_redis_connections", "Connections to Redis, sampled", "state", mode="livesum"
        )

    def _bundles(self) -> None:
        self.bundle = self._gauge(
            "amrs_bundle_info",
            "1 for the bundle that is live, 0 for those that were",
            "version",
            mode="mostrecent",
        )
        self.swap_seconds = self._histogram(
            "amrs_swap_seconds",
            "From seeing that SQL wants another bundle in a role to its holding it, or to its refusal",
            "role outcome",
            _SWAP_BUCKETS,
        )
        for role in ROLES:
            for outcome in SWAPS:
                self.swap_seconds.labels(role, outcome)

    def _process(self) -> None:
        self.up = self._gauge(
            "amrs_up", "1 while a part is at hand of every worker, by the last look", "part", mode="livemin"
        )
        self.ready = self._gauge("amrs_ready", "1 while every worker can serve, by the last look", mode="livemin")
        self.workers = self._gauge("amrs_workers", "Processes that answer", mode="livesum")
        self.started = self._gauge(
            "amrs_worker_started_timestamp_seconds", "When the latest worker started, Unix time", mode="livemax"
        )
        self.memory = self._gauge(
            "amrs_memory_resident_bytes",
            "Memory that the workers hold, shared pages in each",
            mode="livesum",
        )
        self.loop_lag = self._gauge(
            "amrs_loop_lag_seconds", "How late the event loop woke at the last look, of the latest", mode="livemax"
        )
        self.disk_free = self._gauge("amrs_disk_free_bytes", "Free space where bundles lie", mode="mostrecent")
        self.disk_size = self._gauge("amrs_disk_size_bytes", "All space where bundles lie", mode="mostrecent")

    @contextmanager
    def swap(self, role: str) -> Iterator[None]:
        """Time a swap in a role, and say whether it came about; where SQL did not answer, neither is told."""
        began = perf_counter()
        try:
            yield
        except Unavailable:
            raise
        except Exception:
            self.swap_seconds.labels(role, "refused").observe(perf_counter() - began)
            raise
        self.swap_seconds.labels(role, "swapped").observe(perf_counter() - began)

    def expose(self) -> bytes:
        """Return the numbers of all workers in Prometheus' text format."""
        if MULTIPROCESS_FOLDER not in os.environ:
            return generate_latest(self._registry)
        _forget_the_dead(Path(os.environ[MULTIPROCESS_FOLDER]))
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)

    def _counter(self, name: str, told: str, labels: str = "") -> Counter:
        return Counter(name, told, labels.split(), registry=self._registry)

    def _gauge(self, name: str, told: str, labels: str = "", *, mode: Any) -> Gauge:
        return Gauge(name, told, labels.split(), registry=self._registry, multiprocess_mode=mode)

    def _histogram(self, name: str, told: str, labels: str = "", buckets: tuple[float, ...] = ()) -> Histogram:
        return Histogram(name, told, labels.split(), buckets=buckets, registry=self._registry)


def _forget_the_dead(folder: Path) -> None:
    """Drop the present-tense numbers of workers that died and were replaced; what they counted stays."""
    for number in {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}:
        if not Path("/proc", number).exists():
            mark_process_dead(int(number))  # type: ignore[no-untyped-call]
