"""A worker takes bundles up in the background; whatever fails leaves what answered, and operators see why."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.repository import Repository
from service.journal.bundles import BundleRecord
from service.live.bundles import arranged
from service.live.engine import open_engine
from service.live.live import Loaded
from service.live.signature import make_key, sign
from tests.bundles import make_catalogue, reseal, seal_bundle
from tests.service.api.test_canary import comes_true, stage
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener, serving


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Two bundles in a repository that a test may do harm to."""
    repository = Repository(tmp_path / "repository")
    for seed in (1, 2):
        seal_bundle(repository, seed=seed)
    return repository


@contextmanager
def service(tmp_path: Path, repository: Repository, **chosen: Any) -> Iterator[httpx.Client]:
    with serving(home_settings(tmp_path / "home", repository, **chosen)) as client:
        yield client


@pytest.fixture
def home(tmp_path: Path, repository: Repository, sqlite_template: Path, redis_url: str, redis_prefix: str) -> Any:
    """What every service of this home is given; its first bundle is live."""
    shutil.copyfile(sqlite_template, tmp_path / "amrs.sqlite3")
    chosen = {
        "database_url": f"sqlite:///{tmp_path / 'amrs.sqlite3'}",
        "redis_url": redis_url,
        "redis_prefix": redis_prefix,
    }
    furnish(home_settings(tmp_path / "home", repository, **chosen), repository, repository.versions()[0])
    return chosen


def damage(repository: Repository, version: str) -> None:
    path = repository.root / version / "MODEL_CARD.md"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")


def failures(client: httpx.Client) -> list[tuple[str, str]]:
    replicas = client.get("/v1/models").json()["replicas"]
    return [(each["version"], each["step"]) for replica in replicas for each in replica["failures"]]


def test_a_bundle_altered_on_disk_after_its_promotion_leaves_the_old_one_and_is_told(
    tmp_path: Path, repository: Repository, home: Any
) -> None:
    first, second = repository.versions()
    with service(tmp_path, repository, **home):
        pass
    furnish(home_settings(tmp_path / "home", repository, **home), repository, second)
    damage(repository, second)

    with service(tmp_path, repository, **home) as client:
        assert client.get("/readyz").json()["bundle"] == first
        assert failures(client) == [(second, "verify")]
        assert 'amrs_bundle_load_failures_total{step="verify"} 1.0' in client.get("/metrics").text
        listener = Listener(client)
        listener.start()
        assert listener.cycle()


def test_a_bundle_that_fails_its_trial_is_not_taken_up(tmp_path: Path, repository: Repository, home: Any) -> None:
    """Its calibration holds no interval of arousal: golden cases do not look there, the road does."""
    first = repository.versions()[0]
    calibration = repository.open(first).calibration
    widths = {signal: width for signal, width in calibration.widths.items() if signal != "arousal"}
    broken = calibration.model_copy(update={"widths": widths}).model_dump_json().encode()
    bad = reseal(repository, first, calibration_json=broken)

    with service(tmp_path, repository, **home) as client:
        assert stage(client, bad, "live").status_code == 200
        assert comes_true(lambda: failures(client) == [(bad, "trial")])
        listener = Listener(client)
        listener.start()
        assert listener.ask().json()["bundle"] == first


def test_with_keys_configured_an_unsigned_bundle_goes_nowhere(
    tmp_path: Path, repository: Repository, home: Any
) -> None:
    first, second = repository.versions()
    public = make_key(tmp_path / "key")
    sign(repository, first, tmp_path / "key")

    with service(tmp_path, repository, **home, bundle_public_keys=(public,)) as client:
        assert client.get("/readyz").json()["bundle"] == first
        for name in ("candidate", "shadow", "live"):
            refused = stage(client, second, name)
            assert (refused.status_code, refused.json()["type"]) == (409, "urn:amrs:problem:bad-bundle")
            assert "must be signed" in refused.json()["detail"]
        sign(repository, second, tmp_path / "key")
        assert stage(client, second, "live").status_code == 200


def test_a_live_bundle_whose_signature_is_gone_is_not_loaded(
    tmp_path: Path, repository: Repository, home: Any
) -> None:
    first = repository.versions()[0]
    with service(tmp_path, repository, **home, bundle_public_keys=(make_key(tmp_path / "key"),)) as client:
        assert client.get("/readyz").status_code == 503
        assert failures(client) == [(first, "verify")]


def record(version: str) -> BundleRecord:
    return BundleRecord(version, "d", "tiny", True, "live", 0, None, 1, 7, False, None, None)


def test_engines_at_hand_take_the_roles_that_sql_wants(repository: Repository) -> None:
    catalogue = make_catalogue()
    one, two = (open_engine(repository.open(version), catalogue) for version in repository.versions())
    first, second = one.bundle.version, two.bundle.version
    held = Loaded(current=one)

    waiting = arranged(held, {"live": record(second), "previous": record(first)})
    swapped = arranged(waiting, {"live": record(second), "previous": record(first)}, two)
    back = arranged(swapped, {"live": record(first)})

    assert (waiting.current, waiting.previous) == (one, one)
    assert (swapped.current, swapped.previous) == (two, one)
    assert (back.current, back.previous) == (one, None)
    assert swapped.since == {first: 7, second: 7}
    assert arranged(Loaded(), {"live": record("z"), "previous": record(first)}, one).current is one
