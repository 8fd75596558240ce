"""The first judge: what listeners of a simulated platform would truly have felt, beside what the model predicted.

The *exploitation gap* is the predicted gain over a reference less the true one: what the world model promised and
nobody would have felt. The *oracle share* is a policy's true gain as a share of an oracle's, who re-ranks the same
candidates and knows more than any history tells. Source: SCIENCE, where the paper is weak (1, 2).

Legend: R rollouts · T steps · gains are shares of the reference's mean: 0.03 is three percent
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.errors import DataError
from models.guardrails import AFFECT
from models.listening import NO_SONG, Mode
from models.utility import mode_aware_utility
from training.judges.paired import began_alike, difference_of_gains, gain_over, groups_of, rollout_means
from training.rollout import Rollouts
from training.statistics import Interval, clustered_function_interval, clustered_interval

REGIONS = mode_aware_utility(weights=(0.0, 0.0, 1.0, 1.0), scales=(1.0, 1.0, 1.0, 1.0))
"""Knows every mode's target region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueGain:
    """One policy, one signal, one group of rollouts."""

    policy: str
    group: str
    """All, a mode, or a population."""
    signal: str
    listener_count: int
    true: float | None
    predicted: float | None
    """Means over rollouts; None where no rollout was played under both policies."""
    true_gain: Interval | None
    predicted_gain: Interval | None
    gap: Interval | None
    """Predicted gain − true gain."""
    oracle_share: Interval | None
    """None also where the oracle itself does not gain for certain, or there is none."""
    reason: str
    """Why there is no true gain; empty where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionDistance:
    """How far from a mode's target region a policy leaves listeners, valence and arousal together."""

    policy: str
    mode: str
    listener_count: int
    true: float
    reference: float
    """The reference's, of the same rollouts."""
    change: Interval | None
    """true − reference; below 0 is nearer. None where a single listener asked for the mode."""


def judge_by_truth(
    policies: Mapping[str, Rollouts],
    listeners: Int[ndarray, " R"],
    *,
    reference: str,
    oracle: str | None,
    seed: int,
    groups: Mapping[str, Bool[ndarray, " R"]] | None = None,
) -> list[TrueGain]:
    """Return what every policy but the reference truly gains over it, over all rollouts and by group.

    Args:
        policies: rollouts that began alike, by name.
        listeners: whose each rollout is; intervals resample them.
        reference: the policy that the others are compared with.
        oracle: the policy whose gain is the whole of what there was to gain; None without one.
        seed: of the resampling.
        groups: which rollouts each group holds; all, each mode and each population when None.

    Raises:
        DataError: the truth is not known, the rollouts did not begin alike, or a named policy is missing.
    """
    _judgeable(policies, listeners, (reference, *((oracle,) if oracle else ())))
    true = {name: rollout_means(each.true_signals, each) for name, each in policies.items()}
    predicted = {name: rollout_means(each.predicted, each) for name, each in policies.items()}
    found = []
    for group, chosen in (groups_of(policies[reference]) if groups is None else groups).items():
        who = listeners[chosen]
        for name in [name for name in policies if name != reference]:
            for signal in Signal:
                one, base = true[name][chosen, signal], true[reference][chosen, signal]
                imagined = predicted[name][chosen, signal], predicted[reference][chosen, signal]
                truly = gain_over(one, base, who, seed=seed)
                told = gain_over(*imagined, who, seed=seed)
                best = None if oracle is None else true[oracle][chosen, signal]
                found.append(
                    TrueGain(
                        policy=name,
                        group=group,
                        signal=SIGNALS[signal],
                        listener_count=len(np.unique(who)),
                        true=truly.value,
                        predicted=told.value,
                        true_gain=truly.gain,
                        predicted_gain=told.gain,
                        gap=difference_of_gains(imagined, (one, base), who, seed=seed),
                        oracle_share=None if best is None else share_of(one, base, best, who, seed=seed),
                        reason=truly.reason,
                    )
                )
    order = {name: place for place, name in enumerate(policies)}
    return sorted(found, key=lambda each: order[each.policy])


def share_of(
    values: Float[ndarray, " R"],
    reference: Float[ndarray, " R"],
    oracle: Float[ndarray, " R"],
    listeners: Int[ndarray, " R"],
    *,
    seed: int,
) -> Interval | None:
    """Return (values − reference) / (oracle − reference) in the mean; None where the oracle may gain nothing."""
    three = np.column_stack([values, reference, oracle])
    told = np.isfinite(three).all(axis=1)
    if not told.any():
        return None
    three, who = three[told], listeners[told]
    whole = clustered_interval(three[:, 2] - three[:, 1], who, rng=np.random.default_rng(seed))
    if whole is None or not whole.above_zero:
        return None

    def share(mean: Float[ndarray, "*shape 3"]) -> Float[ndarray, "*shape"]:
        return np.asarray((mean[..., 0] - mean[..., 1]) / (mean[..., 2] - mean[..., 1]))

    return clustered_function_interval(share, three, who, rng=np.random.default_rng(seed))


def distance_from_regions(
    policies: Mapping[str, Rollouts], listeners: Int[ndarray, " R"], *, reference: str, seed: int
) -> Iterator[RegionDistance]:
    """Yield every policy's true distance from the target region of each mode that occurs, against the reference's.

    Raises:
        DataError: as `judge_by_truth`.
    """
    _judgeable(policies, listeners, (reference,))
    away = {name: true_distance(each) for name, each in policies.items()}
    for name, rollouts in policies.items():
        for mode in Mode:
            pair = np.column_stack([away[name], away[reference]])
            chosen = (rollouts.mode == mode) & np.isfinite(pair).all(axis=1)
            if name == reference or not chosen.any():
                continue
            one, base = pair[chosen].T
            yield RegionDistance(
                policy=name,
                mode=mode.label,
                listener_count=len(np.unique(listeners[chosen])),
                true=float(one.mean()),
                reference=float(base.mean()),
                change=clustered_interval(one - base, listeners[chosen], rng=np.random.default_rng(seed)),
            )


def true_distance(rollouts: Rollouts) -> Float[ndarray, " R"]:
    """Return each rollout's mean true distance from its mode's region, valence and arousal together."""
    mode = np.broadcast_to(rollouts.mode[:, None], rollouts.song.shape)
    return rollout_means(REGIONS.distance(rollouts.true_signals[..., AFFECT], mode).sum(axis=-1), rollouts)


def _judgeable(policies: Mapping[str, Rollouts], listeners: Int[ndarray, " R"], named: tuple[str, ...]) -> None:
    missing = [name for name in named if name not in policies]
    if missing:
        raise DataError(f"expected the rollouts of {missing[0]}; got those of {', '.join(policies)}")
    began_alike(policies, listeners)
    for name, each in policies.items():
        _known(name, each)


def _known(name: str, rollouts: Rollouts) -> None:
    if not np.isfinite(rollouts.true_signals[rollouts.song != NO_SONG]).all():
        raise DataError(f"the rollouts of {name} have no truth: only a simulated platform's listeners have one")
