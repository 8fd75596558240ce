"""The stages of a run between the networks and the seal, each a function of what came before.

Legend: S situations · C candidates · last axis 2: valence, arousal
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.decoder import POLICY_ORDER, Decoder
from models.exposure import mean_cosine_distance
from models.guardrails import AFFECT, GuardrailTable, Limits
from models.listening import Mode, Population
from models.tokens import tokenise
from training.card import COPYCAT, DPO
from training.choosing import Setting
from training.limits import nearest_distances
from training.material import Material
from training.metrics.prediction import pairwise_accuracy
from training.metrics.rollouts import PolicyRow, policy_row
from training.policies.policy import Policy
from training.presets import Preset
from training.rollout import Advance, Rollouts, Start, roll_out
from training.situations import StartWindows, listening_in
from training.trained import World

RANDOM: Final = "Random"
GREEDY: Final = "Greedy"
UNDECODED: Final = "DPO, own order"
"""The tuned policy without the bundle's decoder, where it has one."""
BOTH_WAYS: Final = (False, True)
"""Whether guarded: every policy rolls out without and with guardrails."""
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


def setting_with(material: Material, world: World, preset: Preset, table: GuardrailTable) -> Setting:
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


def compared(decoder: Decoder) -> tuple[str, ...]:
    """Return the policies whose rollouts stand side by side before a bundle with this decoder is sealed."""
    undecoded = () if decoder == POLICY_ORDER else (UNDECODED,)
    return (RANDOM, GREEDY, COPYCAT, DPO, *undecoded)


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
        for guarded in BOTH_WAYS
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
    material: Material, world: World, start: Start, preset: Preset, rng: np.random.Generator
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
