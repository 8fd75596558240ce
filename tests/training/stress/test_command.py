"""`amrs stress` judges a sealed bundle again, and what it finds stands beside the bundle from then on."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from models.calibration import Calibration
from models.errors import ConfigError, DataError
from models.gates import GateReport
from models.log import read_log, write_log
from models.repository import Repository
from tests.bundles import seal_bundle
from tests.training import small_run
from tests.training.stress import small_subject
from training.export.export import Origin, Trained, export_bundle
from training.learning import copycat_of
from training.material import prepare
from training.presets import PAPER, QUICK, preset_named
from training.streams import TrainStream
from training.stress.command import Judged, find_log, show_sealed, stress_bundle
from training.stress.stress import stress_test
from training.stress.subject import over_any

NOW = datetime(2026, 12, 1, tzinfo=UTC)
SEED = 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, and a bundle whose policy is the Copycat that the manifest's seed clones; judged, then sealed."""
    folder = tmp_path_factory.mktemp("home")
    write_log(small_run.material().log, folder / "logs" / "small")
    log = read_log(folder / "logs" / "small")
    preset, rng = small_run.PRESET, TrainStream.SPLIT.begin(SEED)
    made = prepare(log, space=None, reading=preset.world.reading, held_out=(), rng=rng)
    copycat = copycat_of(made, preset, TrainStream.COPYCAT.begin(SEED))
    ensemble, table = small_run.world().ensemble, small_run.setting().table
    subject = replace(
        small_run.subject(),
        over=over_any(ensemble, copycat.network, copycat, made.reading),
        support=made.histories.song_vectors[made.heard],
    )
    sealed = stress_test(
        subject,
        made,
        table,
        tightened=(),
        world=small_subject.WORLD,
        windows=preset.windows,
        config=small_run.STRESS,
        seed=SEED,
    )
    export_bundle(
        Trained(
            ensemble=ensemble,
            policy=copycat.network,
            reading=made.reading,
            target_map=copycat.target,
            support=made.embeddings[made.heard],
            space=made.space,
            context=log.description.context,
            lookback=preset.lookback,
        ),
        utility=small_run.UTILITY,
        guardrails=table,
        calibration=Calibration(
            level=0.9, widths={"valence": (0.3,)}, listener_count=1, listener_counts={}, label_counts={}
        ),
        gates=sealed,
        evaluation={},
        card="# A bundle made for tests\n",
        origin=Origin(
            created=NOW,
            code_version="tests",
            data_digest=log.digest(),
            data_name=log.description.name,
            simulated=True,
            training={"preset": "test", "seed": SEED},
        ),
        repository=Repository(folder / "bundles"),
        rng=rng,
        candidate_count=preset.candidate_count,
    )
    return folder


def verdicts(report: GateReport) -> dict[str, bool]:
    """Which gates held; what the world models predict was invented for the sealed report."""
    told = ("world model", "songs stand")
    return {gate.name: gate.passed for gate in report.gates if not gate.name.startswith(told)}


def judge(home: Path, version: str, seed: int = SEED, **config) -> tuple[Judged, str]:
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
    report = judged.attestation.report

    assert verdicts(report) == verdicts(bundle.gates)
    assert judged.attestation.digest == bundle.digest
    assert [each.made for each in repository.attestations(bundle.version)] == [NOW]
    assert str(judged.page) in printed.replace("\n", "")
    assert "Stress test of" in judged.page.read_text()
    assert judged.page.with_suffix(".json").is_file()
    assert not report.passed  # Copycat against itself learned nothing
    assert len(repository.failures(bundle)) == len(bundle.gates.failures) + len(report.failures)


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
