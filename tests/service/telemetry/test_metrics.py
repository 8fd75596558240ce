"""Metrics tell what may happen before it happens, for every worker, and forget only the present of the dead."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from models.errors import AmrsError, BundleError, Unavailable
from models.guardrails import Rule, Rung
from service.telemetry.metrics import MULTIPROCESS_FOLDER, Metrics
from service.telemetry.storage import CacheNumbers, JournalNumbers

WORKER = """
from service.telemetry.metrics import Metrics
metrics = Metrics()
metrics.workers.set(1)
metrics.ready.set(READY)
metrics.up.labels("redis").set(READY)
metrics.coverage.labels("calm").set(0.5)
metrics.vetoed["blocked"].inc()
if STAYS:
    print(metrics.expose().decode())
"""


def told_by(metrics: Metrics) -> dict[str, float]:
    lines = metrics.expose().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_what_has_not_happened_yet_is_told_at_zero():
    """So that the first veto, failure or silence is an increase that an alert can see."""
    told = told_by(Metrics())

    for rule in Rule:
        assert told[f'amrs_vetoes_total{{rule="{rule.label}"}}'] == 0
    for rung in Rung:
        assert (f'amrs_fallbacks_total{{rung="{rung.value}"}}' in told) == (rung is not Rung.POLICY)
    assert told['amrs_app_requests_total{outcome="failed"}'] == 0
    assert told['amrs_bundle_errors_total{role="canary"}'] == 0
    assert told['amrs_bundle_load_failures_total{step="verify"}'] == 0
    assert told['amrs_sql_errors_total{kind="disk_full"}'] == 0
    assert told['amrs_redis_errors_total{call="read",kind="timeout"}'] == 0
    assert told['amrs_swap_seconds_count{outcome="refused",role="live"}'] == 0
    assert told['amrs_degraded_total{dependency="redis"}'] == 0


def test_storage_is_told_by_call_and_by_kind_of_failure():
    metrics = Metrics()
    journal, cache = JournalNumbers(metrics), CacheNumbers(metrics)

    journal.committed(8, 0.004)
    journal.waited(0.002)
    journal.failed("lock")
    cache.called("read", 0.001)
    cache.failed("read", "timeout")
    cache.done_without()

    told = told_by(metrics)
    assert told["amrs_journal_commit_size_sum"] == 8
    assert told['amrs_sql_seconds_count{call="commit"}'] == 1
    assert told["amrs_journal_wait_seconds_sum"] == 0.002
    assert told['amrs_sql_errors_total{kind="lock"}'] == 1
    assert told['amrs_redis_seconds_sum{call="read"}'] == 0.001
    assert told['amrs_redis_errors_total{call="read",kind="timeout"}'] == 1
    assert told['amrs_degraded_total{dependency="redis"}'] == 1


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        (None, {"swapped": 1, "refused": 0}),
        (BundleError("altered"), {"swapped": 0, "refused": 1}),
        (Unavailable("SQL does not answer"), {"swapped": 0, "refused": 0}),
    ],
)
def test_a_swap_is_told_by_role_and_by_what_became_of_the_bundle(fault, counted):
    """While SQL does not answer nothing became of it."""
    metrics = Metrics()

    with suppress(AmrsError), metrics.swap("shadow"):
        if fault is not None:
            raise fault

    told = told_by(metrics)
    for outcome, count in counted.items():
        assert told[f'amrs_swap_seconds_count{{outcome="{outcome}",role="shadow"}}'] == count
        assert told[f'amrs_swap_seconds_count{{outcome="{outcome}",role="live"}}'] == 0


def test_a_worker_that_died_leaves_its_counts_and_takes_its_present_with_it(tmp_path):
    """A worker that was not ready when it died must not make its replica look unready for ever."""

    def worker(*, ready: int, stays: bool) -> str:
        script = WORKER.replace("READY", str(ready)).replace("STAYS", str(stays))
        environment = os.environ | {MULTIPROCESS_FOLDER: str(tmp_path)}
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        return run.stdout

    worker(ready=0, stays=False)
    told = worker(ready=1, stays=True).splitlines()

    assert "amrs_workers 1.0" in told
    assert "amrs_ready 1.0" in told
    assert 'amrs_up{part="redis"} 1.0' in told
    assert 'amrs_vetoes_total{rule="blocked"} 2.0' in told
    assert 'amrs_coverage_ratio{mode="calm"} 0.5' in told
