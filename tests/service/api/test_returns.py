"""A new bundle that really errs, or really falls back, gives way to the one before it, on every replica."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from models.repository import Repository
from service.settings import Settings
from tests.bundles import WIDE, failing_at, reseal, seal_bundle
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener, serving

PATIENCE_SECONDS = 30.0
STRICT = WIDE.model_copy(update={"arousal_band": 0.0001, "arousal_rise": 0.0001, "arousal_fall": 0.0001})
"""Limits under which hardly any song of the policy's is allowed."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A sound bundle, one that fails at a session's fourth song, and one that forbids nearly all songs."""
    repository = Repository(tmp_path_factory.mktemp("returns"))
    sound = seal_bundle(repository, seed=1)
    graph = (repository.root / sound / "world.onnx").read_bytes()
    erring = reseal(repository, sound, world_onnx=failing_at(graph, 3))
    falling = seal_bundle(repository, seed=2, limits=STRICT)
    for name, version in (("sound", sound), ("erring", erring), ("falling back", falling)):
        (repository.root / f".{name}").write_text(version)
    return repository


def named(repository: Repository, name: str) -> str:
    return (repository.root / f".{name}").read_text()


@pytest.fixture
def settings(
    tmp_path: Any, repository: Repository, database_url: str, redis_url: str, redis_prefix: str
) -> Settings:
    """A service that concludes from ten requests."""
    settings = home_settings(
        tmp_path / "home",
        repository,
        database_url=database_url,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        return_minimum_count=10,
        return_error_share=0.1,
        return_fallback_share=0.5,
    )
    furnish(settings, repository, named(repository, "sound"))
    return settings


@pytest.fixture
def replicas(settings: Settings) -> Iterator[list[httpx.Client]]:
    """Two replicas over one database."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(settings)) for _ in range(2)]


def comes_true(fact: Callable[[], bool]) -> bool:
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        if fact():
            return True
        sleep(0.1)
    return False


def all_answer_with(replicas: list[httpx.Client], version: str) -> Callable[[], bool]:
    return lambda: all(client.get("/readyz").json()["bundle"] == version for client in replicas)


def listeners_on(replicas: list[httpx.Client], count: int) -> list[Listener]:
    listeners = [Listener(replicas[n % len(replicas)], f"l-{n}", f"s-{n}") for n in range(count)]
    for listener in listeners:
        assert listener.start().status_code == 201
    return listeners


def model(client: httpx.Client, version: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each for each in client.get("/v1/models").json()["models"] if each["version"] == version
    )
    return found


@pytest.mark.parametrize("name", ["erring", "falling back"])
def test_returns_from_a_bundle_that_fails_and_does_not_go_to_it_again(
    replicas: list[httpx.Client], repository: Repository, name: str
) -> None:
    sound, bad = named(repository, "sound"), named(repository, name)
    assert replicas[0].post(f"/v1/models/{bad}/stage", json={"stage": "live"}).status_code == 200
    assert comes_true(all_answer_with(replicas, bad))

    statuses = []
    for listener in listeners_on(replicas, 8):
        for _ in range(4):
            answer = listener.ask()
            statuses.append(answer.status_code)
            for song in answer.json().get("recommendations", []):
                listener.tell(song["recommendation_id"])
    assert set(statuses) == ({200, 503} if name == "erring" else {200})
    assert comes_true(all_answer_with(replicas, sound))

    assert listener.ask().status_code == 200
    left = model(replicas[1], bad)
    assert left["stage"] == "retired"
    assert left["returned_reason"].startswith("error" if name == "erring" else "fallback")
    returns = [client.get("/metrics").text.count("amrs_automatic_returns_total 1.0") for client in replicas]
    assert sum(returns) == 1
    again = replicas[0].post(f"/v1/models/{bad}/stage", json={"stage": "live"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:amrs:problem:stage-conflict")
    replicas[0].post(f"/v1/models/{bad}/stage", json={"stage": "candidate"})
    assert model(replicas[0], bad)["returned_at"] is None
