"""Bundles over HTTP: an operator's act is in SQL at once and in every worker within seconds, without a pause."""

from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic, sleep

import httpx
import pytest

from models.gates import Attestation, Gate, GateReport
from models.repository import Repository
from tests.bundles import seal_bundle
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener, serving

PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Repository:
    """Three bundles: two that may go live and one whose gate did not pass."""
    repository = Repository(tmp_path_factory.mktemp("three"))
    for seed, passes in ((3, False), (2, True), (1, True)):
        seal_bundle(repository, seed=seed, passes=passes)
    return repository


@pytest.fixture
def service(
    tmp_path, repository, database_url, redis_url, redis_prefix
) -> Iterator[tuple[httpx.Client, list[str]]]:
    """A service that began with the newest bundle, and the versions in the order they were made."""
    settings = home_settings(
        tmp_path / "home", repository, database_url=database_url, redis_url=redis_url, redis_prefix=redis_prefix
    )
    furnish(settings, repository)
    with serving(settings) as client:
        yield client, by_seed(repository)


def by_seed(repository: Repository) -> list[str]:
    return sorted(
        repository.versions(), key=lambda version: -int(repository.open(version).manifest.training["seed"])
    )


def answers_with(client: httpx.Client, version: str) -> bool:
    """Whether the service comes to answer with a version."""
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        if client.get("/readyz").json()["bundle"] == version:
            return True
        sleep(0.05)
    return False


def test_promotes_and_rolls_back_while_a_session_goes_on(service):
    client, (_, other, _) = service
    first = client.get("/readyz").json()["bundle"]
    other = other if other != first else service[1][2]
    listener = Listener(client)
    listener.start()
    listener.cycle()

    promoted = client.post(f"/v1/models/{other}/stage", json={"stage": "live"})
    swapped = answers_with(client, other)
    after_swap = listener.ask().json()["bundle"]
    rolled_back = client.post("/v1/models/rollback")
    back = answers_with(client, first)
    after_rollback = listener.ask().json()["bundle"]

    assert (promoted.status_code, promoted.json()["stage"]) == (200, "live")
    assert swapped
    assert after_swap == other
    assert rolled_back.json()["version"] == first
    assert back
    assert after_rollback == first
    stages = {model["version"]: model["stage"] for model in client.get("/v1/models").json()["models"]}
    assert stages == {first: "live", other: "retired"}
    health = client.get(f"/v1/models/{first}/health").json()
    assert (health["answering"], health["song_count"]) == (True, 60)
    assert f'amrs_bundle_info{{version="{first}"}} 1.0' in client.get("/metrics").text
    assert f'amrs_bundle_info{{version="{other}"}} 0.0' in client.get("/metrics").text


def test_refuses_a_bundle_whose_gate_did_not_pass(service):
    client, (failing, *_) = service
    before = client.get("/readyz").json()["bundle"]

    refused = client.post(f"/v1/models/{failing}/stage", json={"stage": "live"})

    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:amrs:problem:gates-not-passed"
    assert "made for tests" in refused.json()["detail"]
    assert client.get("/readyz").json()["bundle"] == before


def test_refuses_a_bundle_that_a_later_judgement_failed(service, repository):
    client, (_, other, another) = service
    live = client.get("/readyz").json()["bundle"]
    bundle = repository.open(other if other != live else another)
    gate = Gate(name="judged later", passed=False, required="nothing", measured="nothing")
    repository.attest(
        Attestation(
            version=bundle.version,
            digest=bundle.digest,
            made=datetime(2026, 12, 1, tzinfo=UTC),
            code_version="tests",
            data_digest="0" * 64,
            seed=0,
            report=GateReport(gates=(gate,)),
        )
    )

    refused = client.post(f"/v1/models/{bundle.version}/stage", json={"stage": "live"})

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:amrs:problem:gates-not-passed")
    assert "judged later" in refused.json()["detail"]


def test_refuses_a_rollback_with_nothing_to_go_back_to(service):
    client, _ = service

    refused = client.post("/v1/models/rollback")

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:amrs:problem:stage-conflict")


def test_pages_through_the_songs(service):
    client, _ = service

    first = client.get("/v1/songs", params={"limit": 40}).json()
    rest = client.get("/v1/songs", params={"limit": 40, "after": first["after"]}).json()

    assert len(first["songs"]) == 40
    assert len(rest["songs"]) == 20
    assert rest["after"] is None
    assert client.get("/v1/songs/song-5").json()["tags"] == ["piano"]
