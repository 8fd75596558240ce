"""Metrics: plain names, base units, labels from small closed sets; never a song, a listener or a report.

With several workers each process writes its numbers into files below `PROMETHEUS_MULTIPROC_DIR` (which
`amrs serve` sets before the workers are born) and any of them can answer for all. Counters and histograms are
summed; statistics of the population, which every worker knows alike, are told once, by whoever knew last.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service.telemetry.model_metrics import ModelMetrics

MULTIPROCESS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

_STEP_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """Every metric of one app."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.models = ModelMetrics(registry)
        self.requests = Counter(
            "amrs_http_requests",
            "Requests answered, by route template, method and status",
            ("route", "method", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "amrs_http_request_seconds",
            "From the request's first byte to the answer's last",
            ("route", "method"),
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self.road_seconds = Histogram(
            "amrs_road_seconds",
            "Each step of the road to the next song",
            ("step",),
            buckets=_STEP_BUCKETS,
            registry=registry,
        )
        self.recommendations = Counter(
            "amrs_recommendations", "Songs recommended, by mode", ("mode",), registry=registry
        )
        self.vetoes = Counter(
            "amrs_vetoes", "Candidates forbidden, by guardrail rule", ("rule",), registry=registry
        )
        self.fallbacks = Counter(
            "amrs_fallbacks",
            "Choices made below the policy's own rung; silence is one",
            ("rung",),
            registry=registry,
        )
        self.recomputed = Counter(
            "amrs_recommendations_recomputed",
            "Choices thrown away because memory, or the catalogue at hand, was behind SQL",
            registry=registry,
        )
        self.degraded = Counter(
            "amrs_degraded",
            "Requests that went on without a dependency, or with intervals beyond the calibrated steps",
            ("dependency",),
            registry=registry,
        )
        self.coverage = Gauge(
            "amrs_coverage_ratio",
            "Share of the catalogue in the mode's last exposures",
            ("mode",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.bundle = Gauge(
            "amrs_bundle_info",
            "1 for the bundle that is live, 0 for those that were",
            ("version",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def expose(self) -> bytes:
        """Return the numbers of all workers in Prometheus' text format."""
        if MULTIPROCESS_FOLDER not in os.environ:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
