"""What an operator does by command: sign, stage, enrol and look, on the deployment that the settings name."""

import shutil
from pathlib import Path

import pytest

from models.errors import BundleError
from models.repository import Repository
from service.errors import StageConflict, UnknownListener
from service.journal.measurements import Measured
from service.listener import ListenerKey
from service.live.signature import make_key
from service.operations import (
    bundle_health,
    enrol_listener,
    enrolments,
    registered_bundles,
    release_listener,
    sign_bundle,
    stage_bundle,
)
from service.settings import Settings
from tests.bundles import seal_bundle
from tests.service.homes import furnish, home_settings


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Two bundles, the first of which is live."""
    repository = Repository(tmp_path / "repository")
    for seed in (1, 2):
        seal_bundle(repository, seed=seed)
    return repository


@pytest.fixture
def settings(tmp_path: Path, repository: Repository, sqlite_template: Path) -> Settings:
    """A deployment that asks for a signature; its key lies beside it."""
    shutil.copyfile(sqlite_template, tmp_path / "amrs.sqlite3")
    chosen = {"database_url": f"sqlite:///{tmp_path / 'amrs.sqlite3'}"}
    furnish(home_settings(tmp_path / "home", repository, **chosen), repository, repository.versions()[0])
    public = make_key(tmp_path / "key")
    return home_settings(tmp_path / "home", repository, **chosen, bundle_public_keys=(public,))


def test_a_bundle_is_signed_then_staged_and_its_stages_are_one_at_a_time(
    settings: Settings, repository: Repository, tmp_path: Path
) -> None:
    live, other = repository.versions()
    with pytest.raises(BundleError, match="must be signed"):
        stage_bundle(settings, other, "shadow")
    assert [record.version for record in registered_bundles(settings)] == [live]

    sign_bundle(settings, other, tmp_path / "key")
    assert stage_bundle(settings, other, "shadow").stage == "shadow"
    assert stage_bundle(settings, other, "canary").stage == "canary"
    assert stage_bundle(settings, other, "live").stage == "live"
    with pytest.raises(StageConflict, match="is live"):
        stage_bundle(settings, other, "retired")


def test_a_bundle_nobody_met_yet_has_nothing_to_tell(settings: Settings, repository: Repository) -> None:
    health = bundle_health(settings, repository.versions()[0])

    assert health.record.stage == "live"
    assert (health.served.requests, health.shadowed.compared, dict(health.drift)) == (0, 0, {})
    assert health.shadowed.same_song_share is Measured().mean is None


def test_nobody_unknown_is_enrolled_or_released(settings: Settings) -> None:
    nobody = ListenerKey("default", "nobody")

    with pytest.raises(UnknownListener):
        enrol_listener(settings, nobody, clinical=False)
    with pytest.raises(UnknownListener):
        release_listener(settings, nobody)
    assert enrolments(settings) == []
