"""`amrs stress` judges a sealed bundle again, and what it finds stands beside the bundle from then on."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from models.errors import ConfigError, DataError
from models.log import write_log
from models.repository import Repository
from tests.bundles import seal_bundle
from tests.training import small_run
from tests.training.test_command import trained
from training.presets import PAPER, QUICK, preset_named
from training.stress.command import Judged, find_log, show_sealed, stress_bundle

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log and a bundle that was trained on it."""
    folder = tmp_path_factory.mktemp("home")
    write_log(small_run.material().log, folder / "logs" / "small")
    trained(folder / "logs" / "small", folder / "bundles")
    return folder


def judge(home: Path, version: str, seed: int = 0, **config) -> tuple[Judged, str]:
    console = Console(file=io.StringIO(), width=140)
    judged = stress_bundle(
        version,
        home / "logs" / "small",
        repository=Repository(home / "bundles"),
        preset=small_run.PRESET,
        config=replace(small_run.STRESS, **config),
        seed=seed,
        out=home / "stress",
        now=NOW,
        console=console,
    )
    return judged, console.file.getvalue()


def test_on_the_log_of_training_with_its_seed_it_finds_what_was_sealed(home: Path):
    """Copycat is cloned anew and the graphs stand in for the networks: the same songs, so the same verdicts."""
    repository = Repository(home / "bundles")
    bundle = repository.open(repository.versions()[0])
    judged, printed = judge(home, bundle.version)
    again = {gate.name: gate.passed for gate in judged.attestation.report.gates}

    assert again == {gate.name: gate.passed for gate in bundle.gates.gates}
    assert judged.attestation.digest == bundle.digest
    assert [each.made for each in repository.attestations(bundle.version)] == [NOW]
    assert str(judged.page) in printed.replace("\n", "")
    assert "Stress test of" in judged.page.read_text()
    assert judged.page.with_suffix(".json").is_file()
    assert not judged.attestation.report.passed
    assert len(repository.failures(bundle)) == len(bundle.gates.failures) + sum(
        not held for held in again.values()
    )


def test_the_sealed_report_can_be_read_without_running_anything(home: Path):
    repository = Repository(home / "bundles")
    console = Console(file=io.StringIO(), width=140)
    bundle = repository.open(repository.versions()[0])

    assert show_sealed(bundle, out=home / "read", console=console) == bundle.gates.passed
    assert "before it was sealed" in (home / "read" / bundle.version / "sealed.html").read_text()


def test_the_log_of_training_is_found_by_its_digest(home: Path, tmp_path: Path):
    repository = Repository(home / "bundles")
    bundle = repository.open(repository.versions()[0])

    assert find_log(bundle, home / "logs") == home / "logs" / "small"
    with pytest.raises(DataError, match="holds no log of its digest"):
        find_log(bundle, tmp_path)


def test_a_log_without_songs_in_the_bundles_space_is_refused(home: Path):
    stranger = seal_bundle(Repository(home / "bundles"))

    with pytest.raises(DataError, match="reads space 'tiny' of width 8"):
        judge(home, stranger)


def test_presets_are_known_by_the_name_in_a_manifest():
    assert (preset_named("quick"), preset_named("paper")) == (QUICK, PAPER)
    with pytest.raises(ConfigError, match="'test'"):
        preset_named("test")
