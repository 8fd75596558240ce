"""What a run finds out about its models before they are sealed, on listeners who were not trained on.

predictions against references · limits → rollouts of every policy · intervals and what they hold · stress test
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.calibration import Calibration
from models.decoder import Decoder
from models.gates import GateReport
from models.guardrails import GuardrailTable
from training.calibration import HORIZON, calibrate_world, coverage_by_listener
from training.card import COPYCAT, DPO
from training.imagining import imagine_logged
from training.material import Material
from training.metrics.prediction import PredictionScores, prediction_scores
from training.metrics.rollouts import PolicyRow
from training.platform.ceilings import Ceilings, measure_ceilings
from training.policies.plain import Greedy, Learned, Random
from training.policies.policy import Policy
from training.prediction import predict_histories
from training.references import listener_mean, persistence
from training.report import Stages
from training.rollout import Rollouts
from training.run import LearnedModels, Run
from training.stages import (
    BOTH_WAYS,
    GREEDY,
    RANDOM,
    UNDECODED,
    compared,
    policy_rows,
    roll_out_all,
    setting_with,
    song_order,
    start_of,
)
from training.streams import TrainStream
from training.stress.derive import derived_table
from training.stress.stress import stress_test
from training.stress.subject import Subject, over_any
from training.stress.trials import song_total
from training.stress.verdict import WorldFacts, affect_error
from training.trained import WorldOver
from training.world_model import ensemble_bootstraps

PERSISTENCE: Final = "persistence"
LISTENER_MEAN: Final = "listener mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """How well the test listeners' feedback is predicted."""

    scores: PredictionScores
    references: dict[str, PredictionScores]
    """Predictors that learn nothing of songs."""
    ceilings: Ceilings | None
    """How well it could be predicted; None where no truth is known."""
    song_order: tuple[float, float] | None
    """How often two songs stand in the order of their true effect on valence and arousal; None likewise."""

    @property
    def rows(self) -> dict[str, Mapping[str, float]]:
        """The rows of the world models' table, the ceiling last."""
        rows: dict[str, Mapping[str, float]] = {"world models": self.scores.headline}
        rows |= {name: each.headline for name, each in self.references.items()}
        if self.ceilings is not None:
            rows["best from the same history"] = self.ceilings.observed
        return rows

    @property
    def facts(self) -> WorldFacts:
        """What the gates ask of them."""
        return WorldFacts(
            error=affect_error(self.scores),
            persistence_error=affect_error(self.references[PERSISTENCE]),
            listener_mean_error=affect_error(self.references[LISTENER_MEAN]),
            song_order=self.song_order,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """The widths of the world models' intervals, and whom they hold."""

    calibration: Calibration
    coverage: dict[str, list[float | None]]
    """By signal and step, on test listeners."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """Everything that is known of a run's models when they are sealed."""

    decoder: Decoder
    limits: GuardrailTable
    rollouts: Mapping[tuple[str, bool], Rollouts]
    """By policy and whether guarded."""
    rows: list[PolicyRow]
    """One for each of the rollouts."""
    intervals: Intervals
    predictions: Predictions
    gates: GateReport


def judge(run: Run, learned: LearnedModels, stages: Stages) -> Findings:
    """Return what was found."""
    material, preset, stress = run.material, run.request.preset, run.request.stress
    subject = _subject(run, learned)
    limits, tightened = derived_table(subject, material, preset.windows, stress, run.stream(TrainStream.LIMITS))
    rollouts = _rollouts(run, learned, subject.decoder, limits, stages)
    intervals = _intervals(run, learned.world, stages)
    predictions = _predictions(run, learned.world)
    gates = stress_test(
        subject,
        material,
        limits,
        tightened=tightened,
        world=predictions.facts,
        windows=preset.windows,
        config=stress,
        seed=run.request.seed,
        advance=stages.stage("stress", total=song_total(len(material.split.test), stress), unit="songs"),
    )
    return Findings(
        decoder=subject.decoder,
        limits=limits,
        rollouts=rollouts,
        rows=policy_rows(rollouts, limits, material.embeddings),
        intervals=intervals,
        predictions=predictions,
        gates=gates,
    )


def _subject(run: Run, learned: LearnedModels) -> Subject:
    """Return the models as the stress test pushes them."""
    material, tuned = run.material, learned.tuned
    return Subject(
        over=over_any(learned.world.ensemble, tuned.policy.network, learned.copycat, material.reading),
        support=learned.world.songs[material.heard],
        context=material.log.description.context,
        lookback=run.request.preset.lookback,
        candidate_count=run.request.preset.candidate_count,
        decoder=run.request.decoder_in(tuned.utility),
        utility=tuned.utility,
    )


def _rollouts(
    run: Run, learned: LearnedModels, decoder: Decoder, limits: GuardrailTable, stages: Stages
) -> dict[tuple[str, bool], Rollouts]:
    """Return the rollouts of the policies that are compared, from the test listeners' windows."""
    tuned = Learned(learned.tuned.policy)
    made: dict[str, Policy] = {
        RANDOM: Random(len(run.material.catalogue)),
        GREEDY: Greedy(learned.world, learned.tuned.utility),
        COPYCAT: Learned(learned.reference),
        DPO: tuned,
        UNDECODED: tuned,
    }
    policies = {name: made[name] for name in compared(decoder)}
    setting = setting_with(run.material, learned.world, run.request.preset, limits)
    songs = len(BOTH_WAYS) * len(policies) * setting.song_count * len(run.test_windows)
    return roll_out_all(
        policies,
        start_of(run.material, run.test_windows),
        setting,
        decoders={DPO: decoder},
        seed=run.request.seed,
        advance=stages.stage("rollouts", total=songs, unit="songs"),
    )


def _intervals(run: Run, world: WorldOver, stages: Stages) -> Intervals:
    """Return the intervals of strangers to some members, and how often they hold on strangers to all."""
    histories, split, preset = run.material.histories, run.material.split, run.request.preset
    calibration = calibrate_world(
        histories,
        world,
        split,
        ensemble_bootstraps(split, seed=run.request.seed, member_count=preset.world.member_count),
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
    return Intervals(calibration=calibration, coverage=coverage_by_listener(unseen, calibration))


def _predictions(run: Run, world: WorldOver) -> Predictions:
    """Return how well the ensemble predicts, beside the references and the ceiling."""
    material, preset = run.material, run.request.preset
    histories, split = material.histories, material.split
    predicted = predict_histories(world.ensemble.members, histories, split.test, lookback=preset.lookback)
    start = start_of(material, run.test_windows)
    return Predictions(
        scores=_scores(material, predicted.mean(axis=0)),
        references={
            PERSISTENCE: _scores(material, persistence(histories, split.train)),
            LISTENER_MEAN: _scores(material, listener_mean(histories, split.train)),
        },
        ceilings=_ceilings(material, run.stream(TrainStream.CEILINGS)),
        song_order=song_order(material, world, start, preset, run.stream(TrainStream.SONG_ORDER)),
    )


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
