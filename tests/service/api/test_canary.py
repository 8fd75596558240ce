"""The bundle in canary answers whom an operator enrolled by name, and nobody else; the shadow answers nobody."""

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from models.repository import Repository
from tests.bundles import failing_at, reseal, seal_bundle
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener, serving

PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str, str, str]:
    """A repository; a bundle that is live, another one, and one that fails on the fourth song."""
    repository = Repository(tmp_path_factory.mktemp("canary"))
    live, other = seal_bundle(repository, seed=1), seal_bundle(repository, seed=2)
    graph = (repository.root / live / "world.onnx").read_bytes()
    return repository, live, other, reseal(repository, live, world_onnx=failing_at(graph, 4))


@pytest.fixture
def client(
    tmp_path: Any,
    versions: tuple[Repository, str, str, str],
    database_url: str,
    redis_url: str,
    redis_prefix: str,
) -> Iterator[httpx.Client]:
    repository, live, *_ = versions
    settings = home_settings(
        tmp_path / "home", repository, database_url=database_url, redis_url=redis_url, redis_prefix=redis_prefix
    )
    furnish(settings, repository, live)
    with serving(settings) as client:
        yield client


def comes_true(fact: Callable[[], bool]) -> bool:
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        if fact():
            return True
        sleep(0.05)
    return False


def stage(client: httpx.Client, version: str, name: str) -> httpx.Response:
    return client.post(f"/v1/models/{version}/stage", json={"stage": name})


def is_held(client: httpx.Client, version: str, role: str) -> Callable[[], bool]:
    return lambda: any(
        each["holding"].get(role) == version for each in client.get("/v1/models").json()["replicas"]
    )


def enrol(client: httpx.Client, listener_id: str, *, clinical: bool = False) -> httpx.Response:
    return client.put(f"/v1/models/canary/listeners/{listener_id}", json={"clinical": clinical})


def test_answers_enrolled_listeners_and_nobody_else(
    client: httpx.Client, versions: tuple[Repository, str, str, str]
) -> None:
    _, live, canary, _ = versions
    enrolled, other = Listener(client, "l-1", "s-1"), Listener(client, "l-2", "s-2")
    for listener in (enrolled, other):
        listener.start()
        listener.cycle()
    stage(client, canary, "canary")
    assert comes_true(is_held(client, canary, "canary"))
    assert enrol(client, "nobody").status_code == 404
    assert enrol(client, "l-1").status_code == 200
    assert comes_true(lambda: enrolled.ask().json()["bundle"] == canary)

    song = enrolled.cycle()
    why = client.get(f"/v1/listeners/l-1/recommendations/{song['recommendation_id']}").json()
    assert (why["bundle"], why["history_length"]) == (canary, 1)
    assert other.ask().json()["bundle"] == live
    released = client.delete("/v1/models/canary/listeners/l-1").json()
    assert released["released"]
    assert client.get("/v1/models/canary/listeners").json() == {"listeners": []}
    assert comes_true(lambda: enrolled.ask().json()["bundle"] == live)
    history = client.get("/v1/listeners/l-1/history").json()["plays"]
    assert [play["bundle"] for play in history] == [canary, live]


def test_a_clinical_listener_is_enrolled_only_by_saying_so(
    client: httpx.Client, versions: tuple[Repository, str, str, str]
) -> None:
    _, live, canary, _ = versions
    patient, later = Listener(client, "l-1", "s-1"), Listener(client, "l-2", "s-2")
    patient.start(population="clinical")
    later.start()
    stage(client, canary, "canary")
    refused = enrol(client, "l-1")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:amrs:problem:clinical-listener")
    enrol(client, "l-2")
    assert comes_true(lambda: later.ask().json()["bundle"] == canary)
    assert patient.ask().json()["bundle"] == live

    later.session_id = "s-3"
    later.start(population="clinical")
    assert later.ask().json()["bundle"] == live
    assert enrol(client, "l-1", clinical=True).status_code == 200
    assert comes_true(lambda: patient.ask().json()["bundle"] == canary)


def test_where_the_canary_fails_the_live_bundle_answers(
    client: httpx.Client, versions: tuple[Repository, str, str, str]
) -> None:
    _, live, _, failing = versions
    listener = Listener(client)
    listener.start()
    stage(client, failing, "canary")
    enrol(client, "l-1")
    assert comes_true(lambda: listener.ask().json()["bundle"] == failing)
    for _ in range(3):
        listener.cycle()

    assert listener.ask().json()["bundle"] == live
    assert 'amrs_bundle_errors_total{role="canary"} 1.0' in client.get("/metrics").text


def test_the_shadow_is_shown_what_was_asked_and_gives_nothing(
    client: httpx.Client, versions: tuple[Repository, str, str, str]
) -> None:
    _, live, shadow, _ = versions
    stage(client, shadow, "shadow")
    assert comes_true(is_held(client, shadow, "shadow"))
    listener = Listener(client)
    listener.start()
    for _ in range(3):
        assert listener.cycle()
    assert listener.ask().json()["bundle"] == live

    assert comes_true(lambda: "amrs_shadow_compared_total 4.0" in client.get("/metrics").text)
    assert 'amrs_bundle_requests_total{role="shadow"} 4.0' in client.get("/metrics").text

    def is_told() -> bool:
        told = client.get(f"/v1/models/{shadow}/health").json()["shadow"]
        return bool(told["compared"] == 4)

    assert comes_true(is_told)
    told = client.get(f"/v1/models/{shadow}/health").json()["shadow"]
    assert 0 <= told["same_song_share"] <= 1
    assert told["predicted"]["valence"]["apart"] > 0
