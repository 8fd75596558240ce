"""`amrs stress`: judge a sealed bundle again, by its own graphs, and write down what came of it.

Copycat is in no bundle; it is cloned anew from the log by the preset and the seed that the manifest names, which
on the log of training gives the Copycat that the policy was led on from. The judgement is a detached attestation
beside the bundle; a page for people and the same in JSON lie below the home.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from rich.console import Console

from models.bundle import Bundle
from models.errors import BundleError, DataError
from models.gates import Attestation, GateReport
from models.log import Log, read_log
from models.repository import Repository
from training.code_version import code_version
from training.copycat import CloningEpoch, Copycat
from training.learning import copycat_of
from training.material import Material, prepare
from training.metrics.prediction import prediction_scores
from training.policies.plain import Learned
from training.policies.policy import Policy
from training.presets import Preset
from training.references import listener_mean, persistence
from training.report import print_gates, showing
from training.situations import draw_windows
from training.stages import song_order, start_of
from training.streams import TrainStream
from training.stress.config import StressConfig
from training.stress.page import Origin, page
from training.stress.predictions import predict_plays
from training.stress.sealed import sealed_subject
from training.stress.stress import stress_test
from training.stress.subject import Subject
from training.stress.trials import song_total
from training.stress.verdict import WorldFacts, affect_error
from training.trained import PolicyOver, unit_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A judgement, and where it lies."""

    attestation: Attestation
    written: Path
    """The attestation."""
    page: Path
    """The page for people."""


def stress_bundle(
    version: str,
    log_folder: Path,
    *,
    repository: Repository,
    preset: Preset,
    config: StressConfig,
    seed: int,
    out: Path,
    now: datetime,
    console: Console,
) -> Judged:
    """Judge a sealed bundle on a log; print what came of it.

    Args:
        version: the bundle's.
        log_folder: with songs in the bundle's embedding space; usually the log of training, whose test listeners
            the manifest's seed finds again.
        repository: where the bundle lies, and the attestation will.
        preset: the one the manifest names.
        config: how much is tried, and what must hold.
        seed: of what is tried.
        out: the folder below which the page and the JSON go.
        now: when this is.
        console: where progress and the gates go.

    Raises:
        BundleError: the bundle is not whole.
        DataError: the log has no songs in the bundle's space, or too few listeners.
    """
    bundle = repository.open(version)
    log = read_log(log_folder)
    material = material_of_training(bundle, log, preset)
    with showing(console) as stages:
        cloned = stages.stage("Copycat", total=preset.copycat.epochs, unit="epochs")
        copycat = copycat_of_training(bundle, material, preset, lambda _: cloned(1))
        subject = sealed_subject(bundle, _over_songs(copycat, material))
        total = song_total(len(material.split.test), config)
        report = stress_test(
            subject,
            material,
            bundle.guardrails,
            tightened=(),
            world=_world_facts(subject, material, preset, seed),
            windows=preset.windows,
            config=config,
            seed=seed,
            advance=stages.stage("stress", total=total, unit="songs"),
        )
    attestation = Attestation(
        schema="amrs-attestation/1",
        version=version,
        digest=bundle.digest,
        made=now,
        code_version=code_version(),
        data_digest=log.digest(),
        seed=seed,
        report=report,
    )
    written = repository.attest(attestation)
    origin = Origin(
        version=version,
        digest=bundle.digest,
        made=f"{now:%Y-%m-%d %H:%M}",
        data_name=log.description.name,
        simulated=log.description.simulated,
        command=f"amrs stress {version} --seed {seed}",
    )
    shown = _write(report, origin, out / version / f"{written.stem}.html")
    print_gates(console, report)
    console.print(f"{'Passed' if report.passed else 'Failed'}; the page: {shown}; the attestation: {written}")
    return Judged(attestation=attestation, written=written, page=shown)


def show_sealed(bundle: Bundle, *, out: Path, console: Console) -> bool:
    """Print and write down the report that was sealed with a bundle; return whether it passed."""
    manifest = bundle.manifest
    origin = Origin(
        version=bundle.version,
        digest=bundle.digest,
        made=f"{manifest.created:%Y-%m-%d %H:%M}, before it was sealed,",
        data_name=manifest.data_name,
        simulated=manifest.simulated,
        command="amrs train",
    )
    shown = _write(bundle.gates, origin, out / bundle.version / "sealed.html")
    print_gates(console, bundle.gates)
    console.print(f"{'Passed' if bundle.gates.passed else 'Failed'}; the page: {shown}")
    return bundle.gates.passed


def _write(report: GateReport, origin: Origin, path: Path) -> Path:
    """Write the page, and the same in JSON beside it; return the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(report, origin), encoding="utf-8")
    path.with_suffix(".json").write_text(report.model_dump_json(indent=2), encoding="utf-8")
    return path


def find_log(bundle: Bundle, logs: Path) -> Path:
    """Return the log a bundle was trained on, by its digest, among those in a folder.

    Raises:
        DataError: it is not there.
    """
    for folder in sorted(logs.iterdir()) if logs.is_dir() else ():
        if (folder / "log.json").is_file() and read_log(folder).digest() == bundle.manifest.data_digest:
            return folder
    raise DataError(
        f"bundle {bundle.version} was trained on '{bundle.manifest.data_name}'; {logs} holds no log of its digest"
    )


def material_of_training(bundle: Bundle, log: Log, preset: Preset) -> Material:
    """Return the log, split as it was for a bundle's training.

    Raises:
        DataError: the log has no songs in the bundle's space.
        BundleError: the bundle names no seed.
    """
    space, found = bundle.manifest.space, log.description.embeddings.get(bundle.manifest.space.name)
    if found is None or found.width != space.width:
        there = {name: each.width for name, each in log.description.embeddings.items()}
        raise DataError(
            f"bundle {bundle.version} reads space {space.name!r} of width {space.width}; log "
            f"'{log.description.name}' has {there}"
        )
    held_out = str(bundle.manifest.training.get("held_out", ""))
    return prepare(
        log,
        space=space.name,
        reading=preset.world.reading,
        held_out=held_out.split(",") if held_out else (),
        rng=TrainStream.SPLIT.begin(_training_seed(bundle)),
    )


def _training_seed(bundle: Bundle) -> int:
    seed = bundle.manifest.training.get("seed")
    if not isinstance(seed, int):
        raise BundleError(f"bundle {bundle.version} names no seed of its training; got {seed!r}")
    return seed


def copycat_of_training(
    bundle: Bundle,
    material: Material,
    preset: Preset,
    advance: Callable[[CloningEpoch], None] = lambda _: None,
) -> Copycat:
    """Return Copycat, cloned from the material as it was in a bundle's training."""
    return copycat_of(material, preset, TrainStream.COPYCAT.begin(_training_seed(bundle)), advance)


def _over_songs(copycat: Copycat, material: Material) -> Callable[[Float[ndarray, "N E"]], Policy]:
    """Return what lays Copycat over the songs of given embeddings."""

    def over(embeddings: Float[ndarray, "N E"]) -> Policy:
        songs, targets = material.reading(embeddings), unit_targets(copycat.target, embeddings)
        return Learned(PolicyOver(network=copycat.network, songs=songs, targets=targets))

    return over


def _world_facts(subject: Subject, material: Material, preset: Preset, seed: int) -> WorldFacts:
    """Return how well the bundle's graphs predict what the test listeners said."""
    histories, split = material.histories, material.split
    world = subject.over(material.embeddings).world
    tokens = histories.tokens_of(split.test)

    def error(predicted: Float[ndarray, "T 4"]) -> tuple[float, float]:
        return affect_error(prediction_scores(predicted[tokens], histories.targets[tokens]))

    windows = draw_windows(material.listening, split.test, preset.windows, np.random.default_rng([seed, 5]))
    return WorldFacts(
        error=error(predict_plays(world, histories, split.test, lookback=subject.lookback)),
        persistence_error=error(persistence(histories, split.train)),
        listener_mean_error=error(listener_mean(histories, split.train)),
        song_order=song_order(
            material, world, start_of(material, windows), preset, np.random.default_rng([seed, 6])
        ),
    )
