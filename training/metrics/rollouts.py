"""What rollouts come to: one row of the policy table.

Source: AMRS Table 4, with the definitions of SCIENCE §1; violations, rungs and distances are ours (SAFETY).

Legend: R rollouts · T steps · N songs
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.exposure import coverage, gini, intra_list_diversity, normalized_entropy
from models.guardrails import AFFECT, AFFECT_RULES, GuardrailTable, Rule, Rung, limit_columns
from models.listening import NO_SONG, Mode, Population
from models.utility import MODE_REGIONS, mode_aware_utility
from training.choosing import RUNGS
from training.rollout import Rollouts


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """One policy, with or without guardrails; means over every song that was played."""

    policy: str
    guarded: bool
    predicted: dict[str, float]
    true: dict[str, float]
    """Empty where the truth is not known."""
    coverage: float
    normalized_entropy: float
    intra_list_diversity: float
    gini: float
    predicted_violations: float
    """Share of the songs played against which an affect rule speaks."""
    true_violations: float | None
    """Share of the songs played whose true step passes the listener's limits; None where it is not known."""
    vetoed: dict[str, float]
    """Share of the first rung's candidates that each rule forbids; empty without guardrails."""
    rungs: dict[str, float]
    """Share of steps that each rung answered."""
    predicted_distance: dict[str, float]
    """Mean distance of predicted valence and arousal from the mode's target region, by mode."""
    true_distance: dict[str, float]


def policy_row(
    name: str,
    rollouts: Rollouts,
    *,
    guarded: bool,
    table: GuardrailTable,
    embeddings: Float[ndarray, "N E"],
    catalogue_distance: float,
) -> PolicyRow:
    """Return the row of one policy.

    Args:
        catalogue_distance: `models.exposure.mean_cosine_distance` of the embeddings.
    """
    played = rollouts.song != NO_SONG
    counts = np.bincount(rollouts.song[played], minlength=len(embeddings))
    truth_known = bool(np.isfinite(rollouts.true_signals[played]).all())
    answered = [float(np.mean(rollouts.rung == place)) for place in range(len(RUNGS))]
    vetoed = np.nanmean(rollouts.vetoed[played], axis=0) if guarded else []
    return PolicyRow(
        policy=name,
        guarded=guarded,
        predicted=_means(rollouts.predicted, played),
        true=_means(rollouts.true_signals, played) if truth_known else {},
        coverage=coverage(counts),
        normalized_entropy=normalized_entropy(counts),
        intra_list_diversity=intra_list_diversity(
            rollouts.song, embeddings, catalogue_distance=catalogue_distance
        ),
        gini=gini(counts),
        predicted_violations=float(np.mean(rollouts.forbidden[played] & int(AFFECT_RULES) > 0)),
        true_violations=float(np.mean(passes_limits(rollouts, table)[played])) if truth_known else None,
        vetoed={rule.label: float(share) for rule, share in zip(Rule, vetoed, strict=False)},
        rungs={rung.value: share for rung, share in zip(Rung, answered, strict=True)},
        predicted_distance=distances(rollouts.predicted, rollouts, played),
        true_distance=distances(rollouts.true_signals, rollouts, played) if truth_known else {},
    )


def passes_limits(rollouts: Rollouts, table: GuardrailTable) -> Bool[ndarray, "R T"]:
    """Return where a true step is larger than the listener's limits on steps allow; a fact, so without caution."""
    each = zip(rollouts.population, rollouts.mode, strict=True)
    limits = limit_columns([table.limits_for(Population(int(who)), Mode(int(what))) for who, what in each])
    valence, arousal = rollouts.true_step[..., 0], rollouts.true_step[..., 1]
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (arousal > limits.arousal_rise[:, None])
            | (arousal < -limits.arousal_fall[:, None])
            | (valence < -limits.valence_fall[:, None])
        )


def distances(
    signals: Float[ndarray, "R T 4"], rollouts: Rollouts, played: Bool[ndarray, "R T"]
) -> dict[str, float]:
    """Return the mean distance from the target region, valence and arousal together, by mode that occurs."""
    regions = mode_aware_utility(weights=(0.0, 0.0, 1.0, 1.0), scales=(1.0, 1.0, 1.0, 1.0))
    mode = np.broadcast_to(rollouts.mode[:, None], played.shape)
    away = regions.distance(signals[..., AFFECT], mode).sum(axis=-1)  # (R, T)
    by_mode = {each.label: played & (mode == each) for each in MODE_REGIONS}
    return {label: float(away[chosen].mean()) for label, chosen in by_mode.items() if chosen.any()}


def _means(signals: Float[ndarray, "R T 4"], played: Bool[ndarray, "R T"]) -> dict[str, float]:
    return {name: float(signals[played][:, Signal[name.upper()]].mean()) for name in SIGNALS}
