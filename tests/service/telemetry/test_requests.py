"""Every request is named, counted by its template and logged without what it was about."""

import asyncio
import json
import logging

import httpx
import pytest
import structlog
from fastapi import FastAPI, Response

from service.api.problems import tell_problems
from service.telemetry.logs import configure_logs
from service.telemetry.metrics import Metrics
from service.telemetry.requests import RequestTelemetry


def small_app() -> tuple[FastAPI, Metrics]:
    """An app with one route that answers, one that breaks, and a probe that is not well."""
    app, metrics = FastAPI(), Metrics()

    @app.get("/things/{thing_id}")
    async def thing(thing_id: str) -> str:
        return thing_id

    @app.get("/broken/{thing_id}")
    async def broken(thing_id: str) -> str:
        raise RuntimeError(f"a secret about {thing_id}")

    @app.get("/readyz")
    async def ready(response: Response) -> None:
        response.status_code = 503

    tell_problems(app)
    app.add_middleware(RequestTelemetry, metrics=metrics)
    return app, metrics


def get(app: FastAPI, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def test_gives_the_callers_request_id_back():
    app, _ = small_app()

    assert get(app, "/things/a", {"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("strange", ["", "two words", "x" * 129, "<script>"])
def test_makes_a_request_id_where_the_callers_is_not_sane(strange):
    app, _ = small_app()

    made = get(app, "/things/a", {"x-request-id": strange}).headers["x-request-id"]

    assert made != strange
    assert len(made) == 32


def test_counts_by_template_method_and_status():
    app, metrics = small_app()
    for path in ("/things/a", "/things/b", "/nowhere"):
        get(app, path)

    told = metrics.expose().decode()

    assert 'amrs_http_requests_total{method="GET",route="/things/{thing_id}",status="200"} 2.0' in told
    assert 'amrs_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in told


def test_counts_which_requests_of_apps_failed():
    """Those that the service failed: neither a caller's own fault nor a probe that is not well."""
    app, metrics = small_app()
    for path in ("/things/a", "/nowhere", "/broken/b", "/readyz"):
        get(app, path)

    told = metrics.expose().decode()

    assert 'amrs_app_requests_total{outcome="answered"} 2.0' in told
    assert 'amrs_app_requests_total{outcome="failed"} 1.0' in told


def test_answers_the_unexpected_as_a_problem_that_tells_nothing():
    app, metrics = small_app()

    answer = get(app, "/broken/b", {"x-request-id": "mine-2"})

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine-2"
    assert "secret" not in answer.text
    assert 'route="/broken/{thing_id}",status="500"} 1.0' in metrics.expose().decode()


@pytest.fixture
def logs_configured():
    """Logs as in production; the root logger gets its own handlers back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure_logs()
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_one_json_line_without_the_path(logs_configured, capsys):
    app, _ = small_app()

    get(app, "/things/listener-7", {"x-request-id": "mine-3"})

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["request_id"] == "mine-3"
    assert line["route"] == "/things/{thing_id}"
    assert "listener-7" not in json.dumps(line)


def test_tells_a_path_that_is_not_there_as_a_problem():
    app, _ = small_app()

    answer = get(app, "/nowhere")

    assert answer.json()["type"] == "urn:amrs:problem:not-found"
