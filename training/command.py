"""`amrs train`: one page from a listening log to a judged, sealed bundle.

world models → Copycat → DPO → limits → rollouts → calibration → stress test → bundle. Every stage draws from a
random stream of its own, so the same log, preset and seed give the same numbers.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from rich.console import Console

from models.log import read_log
from models.repository import Repository
from models.utility import LinearUtility, TargetUtility
from training.calibration import HORIZON, calibrate_world, coverage_by_listener
from training.card import COPYCAT, DPO, model_card
from training.code_version import code_version
from training.decoding import DecoderRecipe
from training.dpo import optimise_preferences
from training.evaluation import SCHEMA, adherence, gains, plain, row_of
from training.export.export import Origin, Trained, export_bundle
from training.export.reference import training_reference
from training.imagining import imagine_logged
from training.judging import EnsembleJudge, Scales, prediction_spread, situation_states
from training.material import Material, prepare
from training.metrics.prediction import PredictionScores, prediction_scores
from training.networks.world import Ensemble
from training.pairs import PairRecipe
from training.platform.ceilings import Ceilings, measure_ceilings
from training.policies.plain import Greedy, Learned, Random
from training.policies.policy import Policy
from training.prediction import predict_histories
from training.presets import Preset
from training.references import listener_mean, persistence
from training.report import print_gates, print_policies, print_signals, showing
from training.situations import StartWindows, draw_windows
from training.stages import (
    BOTH_WAYS,
    GREEDY,
    RANDOM,
    UNDECODED,
    compared,
    copycat_of,
    pair_situations,
    policy_rows,
    roll_out_all,
    setting_with,
    song_order,
    start_of,
)
from training.streams import TrainStream
from training.stress.config import StressConfig
from training.stress.derive import derived_table
from training.stress.stress import stress_test
from training.stress.subject import Subject, over_any
from training.stress.trials import song_total
from training.stress.verdict import WorldFacts, affect_error
from training.trained import PolicyOver, WorldOver, unit_targets
from training.world_model import ensemble_bootstraps, train_ensemble


def train_bundle(
    folder: Path,
    *,
    repository: Repository,
    preset: Preset,
    utility_in: Callable[[Scales], LinearUtility | TargetUtility],
    recipe: PairRecipe,
    decoder_in: DecoderRecipe,
    stress: StressConfig,
    seed: int,
    space: str | None,
    held_out: Collection[str],
    processes: int,
    now: datetime,
    console: Console,
) -> str:
    """Train, judge and seal one bundle from a listening log; print what it showed; return its version.

    Args:
        folder: the log's.
        repository: where the bundle is sealed.
        preset: the recipe of every stage.
        utility_in: gives the utility in units of the measured spreads.
        recipe: how preference pairs are found.
        decoder_in: in which order the policy's songs come before the guardrails.
        stress: how much the stress test tries, and what must hold.
        seed: the same one gives the same numbers.
        space: the embedding space; the log's first when None.
        held_out: ids of listeners who are kept out of everything.
        processes: for the members of the ensemble; changes no number.
        now: when the bundle is made.
        console: where progress and tables go.

    Raises:
        LogError: the log breaks its schema.
        DataError: too few listeners, or no pair to learn from.
    """
    log = read_log(folder)
    material = prepare(
        log, space=space, reading=preset.world.reading, held_out=held_out, rng=TrainStream.SPLIT.begin(seed)
    )
    histories, split, names = material.histories, material.split, material.feature_names
    train_windows, validation_windows, test_windows = (
        draw_windows(material.listening, listeners, preset.windows, TrainStream.WINDOWS.begin(seed))
        for listeners in (split.train, split.validation, split.test)
    )

    with showing(console) as stages:
        epochs = preset.world.training.epochs * preset.world.member_count
        members = train_ensemble(
            histories,
            split,
            feature_names=names,
            preset=preset.world,
            seed=seed,
            processes=processes,
            advance=stages.stage(
                "world models", total=epochs * len(histories.tokens_of(split.train)), unit="tokens"
            ),
        )
        ensemble = Ensemble([member.model for member in members])
        world = WorldOver(ensemble=ensemble, songs=histories.song_vectors)

        cloned = stages.stage("Copycat", total=preset.copycat.epochs, unit="epochs")
        copycat = copycat_of(material, preset, TrainStream.COPYCAT.begin(seed), lambda _: cloned(1))
        targets = unit_targets(copycat.target, material.embeddings)
        reference = PolicyOver(network=copycat.network, songs=histories.song_vectors, targets=targets)

        situations = pair_situations(material, train_windows, recipe, preset, TrainStream.SITUATIONS.begin(seed))
        states = situation_states(world, histories, situations)
        utility = utility_in(prediction_spread(world, states, TrainStream.PREDICTION_SPREAD.begin(seed)))
        looked = stages.stage("DPO", total=preset.dpo.steps, unit="steps")
        tuned = optimise_preferences(
            reference,
            histories,
            situations,
            pair_situations(
                material, validation_windows, recipe, preset, TrainStream.VALIDATION_SITUATIONS.begin(seed)
            ),
            judge=EnsembleJudge(world=world, state=states, mode=situations.mode, utility=utility),
            recipe=recipe,
            config=preset.dpo,
            rng=TrainStream.DPO.begin(seed),
            advance=lambda _: looked(preset.dpo.look_every),
        )
        stages.end()

        preferred = Learned(PolicyOver(network=tuned.network, songs=histories.song_vectors, targets=targets))
        made: dict[str, Policy] = {
            RANDOM: Random(len(material.catalogue)),
            GREEDY: Greedy(world, utility),
            COPYCAT: Learned(reference),
            DPO: preferred,
            UNDECODED: preferred,
        }
        decoder = decoder_in(utility)
        subject = Subject(
            over=over_any(ensemble, tuned.network, copycat, material.reading),
            support=world.songs[material.heard],
            context=log.description.context,
            lookback=preset.lookback,
            candidate_count=preset.candidate_count,
            decoder=decoder,
            utility=utility,
        )
        table, tightened = derived_table(subject, material, preset.windows, stress, TrainStream.LIMITS.begin(seed))
        start = start_of(material, test_windows)
        setting = setting_with(material, world, preset, table)
        policies = {name: made[name] for name in compared(decoder)}
        songs = len(BOTH_WAYS) * len(policies) * setting.song_count * len(test_windows)
        rollouts = roll_out_all(
            policies,
            start,
            setting,
            decoders={DPO: decoder},
            seed=seed,
            advance=stages.stage("rollouts", total=songs, unit="songs"),
        )
        calibration = calibrate_world(
            histories,
            world,
            split,
            ensemble_bootstraps(split, seed=seed, member_count=preset.world.member_count),
            lookback=preset.lookback,
            advance=stages.stage("calibration", total=len(histories.tokens_of(split.validation)), unit="tokens"),
        )
        unseen = imagine_logged(
            histories,
            world,
            split.test,
            lookback=preset.lookback,
            step_count=HORIZON,
            advance=stages.stage("intervals", total=len(histories.tokens_of(split.test)), unit="tokens"),
        )

    predicted = predict_histories(ensemble.members, histories, split.test, lookback=preset.lookback).mean(axis=0)
    scores = _scores(material, predicted)
    references = {
        "persistence": _scores(material, persistence(histories, split.train)),
        "listener mean": _scores(material, listener_mean(histories, split.train)),
    }
    order = song_order(material, world, start, preset, TrainStream.SONG_ORDER.begin(seed))
    ceilings = _ceilings(material, TrainStream.CEILINGS.begin(seed))
    rows = policy_rows(rollouts, table, material.embeddings)
    with showing(console) as stages:
        gates = stress_test(
            subject,
            material,
            table,
            tightened=tightened,
            world=WorldFacts(
                error=affect_error(scores),
                persistence_error=affect_error(references["persistence"]),
                listener_mean_error=affect_error(references["listener mean"]),
                song_order=order,
            ),
            windows=preset.windows,
            config=stress,
            seed=seed,
            advance=stages.stage("stress", total=song_total(len(split.test), stress), unit="songs"),
        )
    evaluation = plain(
        {
            "schema": SCHEMA,
            "log": {"name": log.description.name, "digest": log.digest(), "simulated": log.description.simulated},
            "listeners": _listener_counts(material, train_windows),
            "world_models": {
                "members": [{"epochs": member.epochs, "kept": member.kept} for member in members],
                "test": scores,
                "interval_widths": calibration.widths,
                "interval_coverage": coverage_by_listener(unseen, calibration),
                "references": references,
                "ceilings": ceilings,
                "song_order": order,
            },
            "copycat": {"epochs": copycat.epochs},
            "dpo": {"looks": tuned.looks},
            "utility": utility.model_dump(),
            "decoder": decoder.model_dump(),
            "policies": rows,
            "adherence": adherence(rollouts, test_windows, histories),
            "gains_over_copycat_percent": {
                "free": gains(row_of(rows, DPO, guarded=False), row_of(rows, COPYCAT, guarded=False)),
                "guarded": gains(row_of(rows, DPO, guarded=True), row_of(rows, COPYCAT, guarded=True)),
            },
            "gates": gates.model_dump()["gates"],
        }
    )
    print_signals(console, "Test listeners: R²; ROC AUC of the rating", _signal_rows(scores, references, ceilings))
    print_policies(console, rows)
    print_gates(console, gates)
    sealed = export_bundle(
        Trained(
            ensemble=ensemble,
            policy=tuned.network,
            reading=material.reading,
            target_map=copycat.target,
            support=material.embeddings[material.heard],
            space=material.space,
            context=log.description.context,
            lookback=preset.lookback,
        ),
        utility=utility,
        decoder=decoder,
        guardrails=table,
        calibration=calibration,
        gates=gates,
        evaluation=evaluation,
        card=model_card(
            description=log.description,
            listening=material.listening,
            space=material.space,
            utility=utility,
            decoder=decoder,
            scores=scores,
            references=references,
            rows=rows,
            gates=gates,
            listener_counts=_listener_counts(material, train_windows),
        ),
        origin=Origin(
            created=now,
            code_version=code_version(),
            data_digest=log.digest(),
            data_name=log.description.name,
            simulated=log.description.simulated,
            training={
                "preset": preset.name,
                "seed": seed,
                "pairs": type(recipe).__name__,
                "held_out": ",".join(sorted(held_out)),
            },
        ),
        repository=repository,
        rng=TrainStream.GOLDEN.begin(seed),
        candidate_count=preset.candidate_count,
        reference=training_reference(
            scores, play_mode=material.listening.play_mode, support=world.songs[material.heard]
        ),
    )
    console.print(
        f"Sealed {sealed} into {repository.root}: {'every gate passed' if gates.passed else 'not promotable'}"
    )
    return sealed


def _scores(material: Material, predicted: Float[ndarray, "T 4"]) -> PredictionScores:
    """Return how well the test listeners' feedback is predicted."""
    tokens = material.histories.tokens_of(material.split.test)
    return prediction_scores(predicted[tokens], material.histories.targets[tokens])


def _ceilings(material: Material, rng: np.random.Generator) -> Ceilings | None:
    """Return how well the test listeners' feedback could be predicted; None where no truth is known."""
    if material.truth is None:
        return None
    rows = material.listener_rows[material.split.test]
    return measure_ceilings(material.truth.simulation, rng, listener=rows)


def _signal_rows(
    scores: PredictionScores, references: Mapping[str, PredictionScores], ceilings: Ceilings | None
) -> dict[str, Mapping[str, float]]:
    """Return the rows of the world models' table, the ceiling last."""
    rows: dict[str, Mapping[str, float]] = {"world models": scores.headline}
    rows |= {name: each.headline for name, each in references.items()}
    if ceilings is not None:
        rows["best from the same history"] = ceilings.observed
    return rows


def _listener_counts(material: Material, windows: StartWindows) -> dict[str, int]:
    """Return how many listeners served which purpose."""
    split = material.split
    return {
        "training": len(split.train),
        "validation": len(split.validation),
        "test": len(split.test),
        "training windows left out for too few plays": windows.left_out_count,
    }
