"""`amrs serve` as a process: it starts from an empty home, tells its numbers whole, and stops without a trace."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from time import monotonic, sleep

import httpx

from models.repository import Repository
from service.serve import as_environment
from service.settings import Settings
from tests.service.homes import home_settings
from tests.service.server import Listener

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A server process, and a client once it is ready."""
    with (settings.home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "amrs", "serve"],
            env=os.environ | as_environment(settings),
            cwd=ROOT,
            stderr=log,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=30) as client:
                until = monotonic() + 60
                while not answers(client):
                    assert server.poll() is None, (settings.home / "log").read_text()
                    assert monotonic() < until, (settings.home / "log").read_text()
                    sleep(0.05)
                yield server, client
        finally:
            server.terminate()
            server.wait(30)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_serves_from_an_empty_home_and_says_that_no_bundle_is_live(tmp_path):
    settings = Settings(home=tmp_path, port=free_port())

    with process(settings) as (server, client):
        ready = client.get("/readyz")
        refused = Listener(client).start()
        server.send_signal(signal.SIGTERM)
        server.wait(30)

    assert (ready.status_code, ready.json()["missing"]) == (503, ["bundle"])
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert not (tmp_path / "redis.sock").exists() or not redis_answers(tmp_path / "redis.sock")


def redis_answers(path: Path) -> bool:
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        with Redis(unix_socket_path=str(path)) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def test_two_workers_tell_one_truth(tmp_path, tiny_repository: Repository, furnished_sqlite: Path):
    """Whichever worker is asked: requests are summed over both, population statistics told once."""
    (tmp_path / "amrs.sqlite3").write_bytes(furnished_sqlite.read_bytes())
    settings = home_settings(
        tmp_path,
        tiny_repository,
        database_url=f"sqlite:///{tmp_path / 'amrs.sqlite3'}",
        port=free_port(),
        workers=2,
    )

    with process(settings) as (_, client):
        for place in range(12):
            with httpx.Client(base_url=client.base_url) as another:  # a connection each: both workers get some
                listener = Listener(another, f"l-{place}", f"s-{place}")
                assert listener.start().status_code == 201
                listener.cycle()
        told = client.get("/metrics").text

    route = 'route="/v1/listeners/{listener_id}/sessions",status="201"'
    assert f'amrs_http_requests_total{{method="POST",{route}}} 12.0' in told
    assert 'amrs_recommendations_total{mode="unspecified"} 12.0' in told
    assert told.count('amrs_coverage_ratio{mode="calm"}') == 1
    assert told.count(f'amrs_bundle_info{{version="{tiny_repository.versions()[-1]}"}} 1.0') == 1


def test_listening_elsewhere_without_keys_opens_to_nobody(tmp_path):
    settings = Settings(home=tmp_path, host="0.0.0.0", port=free_port())

    with process(settings) as (_, client):
        statuses = {path: client.get(path).status_code for path in ("/healthz", "/v1/models", "/metrics")}

    assert statuses == {"/healthz": 200, "/v1/models": 401, "/metrics": 401}


def operators_url(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.operator_port}"


def test_operators_have_a_port_of_their_own_where_it_is_set(tmp_path):
    settings = Settings(home=tmp_path, port=free_port(), operator_port=free_port())

    with process(settings) as (_, public), httpx.Client(base_url=operators_url(settings), timeout=30) as operators:
        paths = ("/healthz", "/v1/songs", "/v1/models", "/metrics", "/v1/listeners/l-1/history")
        statuses = {path: (public.get(path).status_code, operators.get(path).status_code) for path in paths}
        hidden, unknown = public.get("/v1/models").json(), public.get("/v1/nothing").json()
        listener_there = operators.get("/v1/listeners/l-1/history").json()

    assert statuses == {
        "/healthz": (200, 200),
        "/v1/songs": (200, 200),
        "/v1/models": (404, 200),
        "/metrics": (404, 200),
        "/v1/listeners/l-1/history": (404, 404),
    }
    for each in (hidden, unknown, listener_there):
        each.pop("request_id")
    assert hidden == unknown == listener_there


def test_a_configured_key_opens_and_nothing_else_does(
    tmp_path, tiny_repository: Repository, furnished_sqlite: Path
):
    key = "a key of sixteen or more"
    (tmp_path / "amrs.sqlite3").write_bytes(furnished_sqlite.read_bytes())
    settings = home_settings(
        tmp_path,
        tiny_repository,
        database_url=f"sqlite:///{tmp_path / 'amrs.sqlite3'}",
        port=free_port(),
        api_keys=(key,),
    )

    with process(settings) as (_, client):
        shut = Listener(client).start()
        documented = client.get("/openapi.json").json()["paths"]
        statuses = {
            (method, path): client.request(method, path.replace("{", "x").replace("}", "x"), json={}).status_code
            for path, methods in documented.items()
            for method in methods
        }
        client.headers["authorization"] = f"Bearer {key}"
        opened = Listener(client).start()

    assert (shut.status_code, shut.headers["www-authenticate"]) == (401, "Bearer")
    open_routes = {("get", "/healthz"), ("get", "/readyz"), ("get", "/startupz")}
    assert {route for route, status in statuses.items() if status != 401} == open_routes
    assert opened.status_code == 201
    assert key not in (tmp_path / "log").read_text()
