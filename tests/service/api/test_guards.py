"""What every answer carries, and how often, from where and how many at a time a caller may ask."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

import httpx
import pytest
from fastapi import FastAPI

from service.access.crowd import Crowd
from service.serve import as_environment
from service.settings import Settings
from tests.service.server import serving

KEY = "a-key-that-is-long-enough"
PAGE = "https://music.example.org"


@contextmanager
def guarded(settings: Settings, **changed: object) -> Iterator[httpx.Client]:
    """A service with a key and other limits; the client holds the key."""
    with serving(Settings(**(settings.model_dump() | {"api_keys": (KEY,)} | changed))) as client:
        client.headers["authorization"] = f"Bearer {KEY}"
        yield client


def test_a_key_that_asks_too_often_is_told_when_to_come_again(settings):
    with guarded(settings, rate_limit_per_second=0.5, rate_limit_burst=3) as client:
        answers = [client.get("/v1/songs") for _ in range(5)]
        refused = answers[-1]
        health = [client.get("/healthz").status_code for _ in range(5)]
        other = client.get("/v1/songs", headers={"authorization": f"Bearer {KEY}x"})

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert refused.json()["type"] == "urn:amrs:problem:too-many-requests"
    assert refused.headers["retry-after"] == "2"
    assert (refused.headers["ratelimit-limit"], refused.headers["ratelimit-remaining"]) == ("3", "0")
    assert answers[0].headers["ratelimit-remaining"] == "2"
    assert health == [200] * 5
    assert other.status_code == 401
    assert "ratelimit-limit" not in other.headers


def test_without_redis_the_limit_holds_in_each_worker_and_a_counter_sees_it(settings):
    with guarded(
        settings, redis_url="redis://127.0.0.1:1", rate_limit_per_second=0.5, rate_limit_burst=9
    ) as client:
        statuses = [client.get("/v1/songs").status_code for _ in range(8)]
        seen = 'amrs_degraded_total{dependency="rate_limits"}'
        sleep(1.0)  # a few settlements, none of which is heard
        told = next(line for line in client.get("/metrics").text.splitlines() if line.startswith(seen))

    assert statuses == [200] * 8
    assert float(told.split()[-1]) >= 1


@pytest.mark.parametrize("path", ["/healthz", "/v1/songs", "/v1/nothing", "/openapi.json", "/docs"])
def test_every_answer_tells_browsers_to_keep_their_hands_off(shared_client, path):
    headers = shared_client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_no_page_may_call_unless_it_is_named(settings, shared_client):
    asked = {"origin": PAGE, "access-control-request-method": "POST"}
    closed = shared_client.options("/v1/songs", headers=asked)
    with guarded(settings, cors_origins=(PAGE,)) as client:
        named = client.options("/v1/songs", headers=asked)
        read = client.get("/v1/songs", headers={"origin": PAGE})
        stranger = client.options("/v1/songs", headers=asked | {"origin": f"{PAGE}.evil.example"})

    assert "access-control-allow-origin" not in closed.headers
    assert named.headers["access-control-allow-origin"] == PAGE
    assert read.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-credentials" not in named.headers


@pytest.mark.parametrize(
    "origin", ["*", "music.example.org", "https://music.example.org/", "null", "https://*.org"]
)
def test_an_origin_is_exact(origin):
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(cors_origins=(origin,))


@pytest.mark.anyio
async def test_a_crowd_is_sent_away_at_once_and_health_is_not():
    """One request stands inside; the next is refused, health is answered, and afterwards there is room."""
    inside, go_on = asyncio.Event(), asyncio.Event()
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> str:
        inside.set()
        await go_on.wait()
        return "done"

    @app.get("/healthz")
    async def health() -> str:
        return "alive"

    transport = httpx.ASGITransport(app=Crowd(app, at_once=1))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        first = asyncio.create_task(client.get("/slow"))
        await inside.wait()
        second, alive = await client.get("/slow"), await client.get("/healthz")
        go_on.set()
        await first
        third = await client.get("/slow")

    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    assert second.json()["type"] == "urn:amrs:problem:crowded"
    assert [alive.status_code, first.result().status_code, third.status_code] == [200, 200, 200]


def test_settings_of_this_kind_reach_the_workers():
    spelled = as_environment(Settings(cors_origins=(PAGE, "http://localhost:3000"), operator_port=9001))

    assert spelled["AMRS_CORS_ORIGINS"] == f"{PAGE},http://localhost:3000"
    assert spelled["AMRS_OPERATOR_PORT"] == "9001"
