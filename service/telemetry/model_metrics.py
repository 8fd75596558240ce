"""Metrics of bundles in production: loading and swapping, what each role shows, shadow, returns and drift."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LOAD_STEPS: Final = ("verify", "warm", "trial", "swap")
ASKED_ROLES: Final = ("live", "canary", "shadow")
"""Roles in which a bundle's models are asked."""
_LOAD_BUCKETS: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_UNIT_BUCKETS: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


class ModelMetrics:
    """Counters are each worker's own; gauges tell what SQL knows of all, and are told once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.load_seconds = Histogram(
            "amrs_bundle_load_seconds",
            "Each step of taking a bundle up: verify, warm, trial, swap",
            ("step",),
            buckets=_LOAD_BUCKETS,
            registry=registry,
        )
        self.load_failures = Counter(
            "amrs_bundle_load_failures",
            "Bundles that could not be taken up, by the step that failed; what answered before goes on",
            ("step",),
            registry=registry,
        )
        for step in LOAD_STEPS:
            self.load_failures.labels(step)
        self.swaps = Counter(
            "amrs_bundle_swaps", "Times another bundle came to answer in a worker", registry=registry
        )
        self.requests = Counter(
            "amrs_bundle_requests", "Requests put to a bundle's models, by its role", ("role",), registry=registry
        )
        self.errors = Counter(
            "amrs_bundle_errors",
            "Requests in which a bundle's models failed, by its role",
            ("role",),
            registry=registry,
        )
        for role in ASKED_ROLES:
            self.requests.labels(role)
            self.errors.labels(role)
        self.returns = Counter(
            "amrs_automatic_returns",
            "Bundles taken from listeners without an operator; counted by the one worker that did it",
            registry=registry,
        )
        self.return_problems = Counter(
            "amrs_automatic_return_failures",
            "Times a bundle crossed a bound and there was nothing to go back to",
            registry=registry,
        )
        self.shadow_compared = Counter(
            "amrs_shadow_compared", "Requests that the shadow bundle was shown as well", registry=registry
        )
        self.shadow_dropped = Counter(
            "amrs_shadow_dropped", "Requests it was not shown: it was still busy", registry=registry
        )
        self.shadow_agreed = Counter(
            "amrs_shadow_agreed", "Requests to which it would have given the same song", registry=registry
        )
        self.shadow_rungs = Counter(
            "amrs_shadow_rungs",
            "Requests for which it stood on another rung: fell back or refused more, or less",
            ("difference",),
            registry=registry,
        )
        self.shadow_overlap = Histogram(
            "amrs_shadow_overlap_ratio",
            "Share of the first ten songs that both bundles put first",
            buckets=_UNIT_BUCKETS,
            registry=registry,
        )
        self.shadow_difference = Histogram(
            "amrs_shadow_difference",
            "Between the two bundles' predictions of the song that was given, without sign",
            ("signal",),
            buckets=_UNIT_BUCKETS,
            registry=registry,
        )
        self.drift = Gauge(
            "amrs_drift",
            "How the live bundle's predictions and songs fare in the field; see the page on operations",
            ("measure",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.drift_reference = Gauge(
            "amrs_drift_reference",
            "What the same was when the live bundle was trained and judged; absent where it does not say",
            ("measure",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
