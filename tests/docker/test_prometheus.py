"""Every alert fires when it should and only then, is explained, and asks for numbers that are told."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docker" / "prometheus" / "rules" / "amrs.yml"
ALERT_TESTS = sorted(Path(__file__).parent.glob("*.test.yml"))
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"]: rule for group in GROUPS for rule in group["rules"] if "record" in rule}
OF_PROXY = {
    "haproxy_backend_active_servers",
    "haproxy_frontend_http_requests_total",
    "haproxy_frontend_http_responses_total",
    "haproxy_server_http_responses_total",
}
"""Told by the proxy: tests/system/test_topology.py reads them from a running one."""
OF_MACHINE = {f"node_filesystem_{name}" for name in ("avail_bytes", "readonly", "size_bytes")}
"""Told by node exporter."""
OF_OTHERS = {"up"} | OF_PROXY | OF_MACHINE

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="there is no promtool on this machine: apt install prometheus"
)


def told() -> set[str]:
    """Every series the service tells, by name."""
    metrics = Metrics()
    metrics.requests.labels("/", "GET", 200)
    metrics.request_seconds.labels("/", "GET")
    metrics.bundle.labels("v")
    metrics.redis_connections.labels("idle")
    for labelled in (metrics.coverage, metrics.coverage_floor):
        labelled.labels("calm")
    metrics.up.labels("redis")
    models = metrics.models
    for labelled in (models.load_seconds, models.load_failures, models.requests, models.errors):
        labelled.labels("any")
    for labelled in (models.shadow_rungs, models.shadow_difference, models.drift, models.drift_reference):
        labelled.labels("any")
    lines = metrics.expose().decode().splitlines()
    return {re.split(r"[{ ]", line, maxsplit=1)[0] for line in lines if not line.startswith("#")}


def asked(expression: str) -> set[str]:
    """Every series an expression asks for, by name."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:amrs|haproxy|machine|node)[_:][a-z0-9_:]+", bare)) | (
        {"up"} if re.search(r"(?<![\w:])up\{", bare) else set()
    )


@needs_promtool
@pytest.mark.parametrize("tests", ALERT_TESTS, ids=lambda path: path.name.partition(".")[0])
def test_alerts_fire_when_they_should_and_not_when_they_should_not(tests):
    run = subprocess.run(["promtool", "test", "rules", str(tests)], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
def test_rules_and_configuration_are_read_by_prometheus(tmp_path):
    shutil.copytree(RULES.parent.parent, tmp_path / "prometheus")
    configuration = tmp_path / "prometheus" / "prometheus.yml"
    (tmp_path / "key").write_text("a key")
    configuration.write_text(configuration.read_text().replace("/tmp/metrics_key", str(tmp_path / "key")))

    run = subprocess.run(["promtool", "check", "config", str(configuration)], capture_output=True, check=False)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_seen_to_fire(alert):
    fired = [
        check
        for path in ALERT_TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for check in test["promql_expr_test"]
        if f'"{alert}"' in check["expr"] and check["exp_samples"]
    ]

    assert fired


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_where_it_is_explained(alert):
    rule = ALERTS[alert]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / page).read_text())

    assert rule["labels"]["severity"] in ("page", "ticket", "none")
    assert (rule["labels"]["severity"] == "none") == (alert == "Watchdog")
    assert anchor == alert.lower()
    assert alert in headings


def test_the_runbook_explains_no_alert_that_is_not_there():
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    explained = runbook.partition("\n## Alerts\n")[2]

    assert set(re.findall(r"(?m)^### (\w+)$", explained)) == ALERTS.keys()


@pytest.mark.parametrize(
    "rule", [*ALERTS.values(), *RECORDED.values()], ids=lambda rule: next(iter(rule.values()))
)
def test_a_rule_asks_for_numbers_that_are_told(rule):
    names = asked(rule["expr"])

    assert names or rule["expr"] == "vector(1)"
    assert names <= told() | RECORDED.keys() | OF_OTHERS
