"""The stages of a run between the networks and the seal, each a function of what came before.

Legend: S situations · C candidates · last axis 2: valence, arousal
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.affect import Signal
from models.decoder import POLICY_ORDER, Decoder
from models.exposure import mean_cosine_distance
from models.guardrails import AFFECT, GuardrailTable, Limits, Rung, affect_steps
from models.listening import Mode, Population
from models.tokens import tokenise
from training.card import COPYCAT, DPO
from training.choosing import Setting
from training.gate import Measured, Violations
from training.limits import ProposedSteps, approved_songs, derive_limits, mean_reports, nearest_distances
from training.material import Material
from training.metrics.prediction import PredictionScores, pairwise_accuracy
from training.metrics.rollouts import PolicyRow, policy_row
from training.policies.policy import Policy
from training.presets import Preset
from training.rollout import Advance, Rollouts, Start, proposals, roll_out
from training.situations import StartWindows, listening_in
from training.trained import WorldOver

_ORDER_CANDIDATES: Final = 20
"""Uniform songs per situation whose order is compared with the truth."""
_ANY: Final = 2.0
"""A limit that nothing reaches: affect lies in [0, 1]."""


def start_of(material: Material, windows: StartWindows) -> Start:
    """Return the histories that rollouts begin with, and the truth about their listeners where it is known."""
    state = None
    if material.truth is not None:
        state = material.truth.start(material.listener_rows[windows.listener], windows.stop)
    return Start(listening=listening_in(material.listening, windows), truth=material.truth, state=state)


def setting_with(material: Material, world: WorldOver, preset: Preset, table: GuardrailTable) -> Setting:
    """Return what stays the same over every rollout under the given limits."""
    return Setting(
        catalogue=material.catalogue,
        context=material.log.description.context,
        lookback=preset.lookback,
        world=world,
        table=table,
        support_distance=nearest_distances(world.songs, world.songs[material.heard]),
        candidate_count=preset.candidate_count,
    )


def first_limits(
    material: Material,
    world: WorldOver,
    copycat: Policy,
    windows: StartWindows,
    preset: Preset,
    rng: np.random.Generator,
) -> GuardrailTable:
    """Return the limits that what Copycat would play to training listeners, over some songs, suggests."""
    train = material.listening.select(material.split.train)
    priors = mean_reports(train)
    setting = setting_with(material, world, preset, no_limits(priors))
    candidates, standing = proposals(copycat, start_of(material, windows), setting, rng)
    songs = material.log.songs
    return derive_limits(
        ProposedSteps(steps=affect_steps(candidates, standing), standing=standing),
        support=world.songs[material.heard],
        priors=priors,
        approved=approved_songs(
            train,
            material.catalogue.rows(train.song),
            songs["song_id"].to_list(),
            songs["tag_arousal"].fill_null(np.nan).to_numpy().astype(np.float64),
        ),
    )


def no_limits(priors: dict[str, tuple[float, float]]) -> GuardrailTable:
    """Return a table that forbids nothing for its affect."""
    free = Limits(
        arousal_rise=_ANY,
        arousal_fall=_ANY,
        arousal_band=_ANY,
        valence_fall=_ANY,
        caution=0.0,
        support_distance=float(np.finfo(np.float64).max),
    )
    limits = {population.label: {mode.label: free for mode in Mode} for population in Population}
    return GuardrailTable(limits=limits, prior=priors)


def roll_out_all(
    policies: Mapping[str, Policy],
    start: Start,
    setting: Setting,
    *,
    decoders: Mapping[str, Decoder],
    seed: int,
    advance: Advance,
) -> dict[tuple[str, bool], Rollouts]:
    """Return every policy's rollouts, without and with guardrails; all begin alike.

    Args:
        policies: by name.
        start: where all begin.
        setting: what is the same for all.
        decoders: of the policies whose songs are reordered; all others keep their own order.
        seed: of every policy's draws.
        advance: told of every step.
    """
    return {
        (name, guarded): roll_out(
            policy,
            start,
            replace(setting, decoder=decoders.get(name, POLICY_ORDER)),
            guarded=guarded,
            rng=np.random.default_rng(seed),
            advance=advance,
        )
        for guarded in (False, True)
        for name, policy in policies.items()
    }


def policy_rows(
    rollouts: Mapping[tuple[str, bool], Rollouts], table: GuardrailTable, embeddings: Float[ndarray, "N E"]
) -> list[PolicyRow]:
    """Return one row per policy, without and with guardrails."""
    distance = mean_cosine_distance(embeddings)
    return [
        policy_row(name, each, guarded=guarded, table=table, embeddings=embeddings, catalogue_distance=distance)
        for (name, guarded), each in rollouts.items()
    ]


def song_order(
    material: Material, world: WorldOver, start: Start, preset: Preset, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Return how often two random songs stand in the order of their true effect; None where no truth is known."""
    if start.truth is None or start.state is None:
        return None
    count = start.listening.listener_count
    songs = rng.integers(len(world.songs), size=(count, _ORDER_CANDIDATES))
    tokens = tokenise(start.listening, material.log.description.context).latest(preset.lookback)
    states = world.look(tokens, material.catalogue.rows(tokens.song))
    predicted = world.predicted(states.now, songs).mean(axis=1)[..., AFFECT]  # (S, C, 2)
    true = start.truth.song_effect(start.state.listener, songs)
    return pairwise_accuracy(predicted[..., 0], true[..., 0]), pairwise_accuracy(predicted[..., 1], true[..., 1])


def measured(
    rollouts: Mapping[tuple[str, bool], Rollouts],
    rows: list[PolicyRow],
    *,
    scores: PredictionScores,
    persistence: PredictionScores,
    listener_mean: PredictionScores,
    order: tuple[float, float] | None,
) -> Measured:
    """Return the numbers the gate rests on."""
    by_name = {(row.policy, row.guarded): row for row in rows}
    guarded, free = by_name[DPO, True], by_name[COPYCAT, False]
    first, copycat_first = rollouts[DPO, False].song[:, 0], rollouts[COPYCAT, False].song[:, 0]
    true_violations = None
    if guarded.true_violations is not None and free.true_violations is not None:
        true_violations = Violations(guarded=guarded.true_violations, copycat=free.true_violations)
    return Measured(
        model_error=_affect(scores),
        persistence_error=_affect(persistence),
        listener_mean_error=_affect(listener_mean),
        song_order=order,
        violations=Violations(guarded=guarded.predicted_violations, copycat=free.predicted_violations),
        true_violations=true_violations,
        difference=float(np.mean(first != copycat_first)),
        fallback=1.0 - guarded.rungs[Rung.POLICY.value] - guarded.rungs[Rung.WIDER.value],
        silence=guarded.rungs[Rung.SILENCE.value],
        rollout_count=len(first),
    )


def _affect(scores: PredictionScores) -> tuple[float, float]:
    return scores.mean_squared_error[Signal.VALENCE], scores.mean_squared_error[Signal.AROUSAL]
