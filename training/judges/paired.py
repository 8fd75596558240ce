"""Two policies that began alike, compared rollout by rollout: gains with intervals by listener, over groups.

A rollout counts with the mean over the songs it played; one that fell silent before its first song, under either
policy, is left out of the pair. Every interval of one comparison draws the same listeners.

Legend: R rollouts · T steps
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.errors import DataError
from models.listening import NO_SONG, Mode, Population
from training.rollout import Rollouts
from training.statistics import Interval, clustered_function_interval

ALL: Final = "all"
"""The group of every rollout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a policy's mean is above a reference's, as a share of it: 0.03 is three percent."""

    value: float | None
    reference: float | None
    """The two means; None where no rollout was played under both."""
    gain: Interval | None
    reason: str
    """Why there is no interval; empty where there is one."""


def rollout_means(signals: Float[ndarray, "R T *signals"], rollouts: Rollouts) -> Float[ndarray, "R *signals"]:
    """Return each rollout's mean over the songs it played; NaN where it played none, or a signal is unknown."""
    played = (rollouts.song != NO_SONG).reshape(rollouts.song.shape + (1,) * (signals.ndim - 2))
    count = played.sum(axis=1)
    sums = np.where(played, signals, 0.0).sum(axis=1)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def groups_of(rollouts: Rollouts) -> Mapping[str, Bool[ndarray, " R"]]:
    """Return which rollouts belong to each group that occurs: all, each mode, each population."""
    groups = {ALL: np.ones(len(rollouts.mode), bool)}
    groups |= {f"mode {mode.label}": rollouts.mode == mode for mode in Mode}
    groups |= {f"population {each.label}": rollouts.population == each for each in Population}
    return {name: chosen for name, chosen in groups.items() if chosen.any()}


def began_alike(policies: Mapping[str, Rollouts], listeners: Int[ndarray, " R"]) -> None:
    """Refuse rollouts that cannot be compared.

    Raises:
        DataError: two policies have other numbers of rollouts, modes or populations, or a listener is missing.
    """
    names = list(policies)
    first = policies[names[0]]
    if len(listeners) != len(first.mode):
        raise DataError(f"each of {len(first.mode)} rollouts needs its listener; got {len(listeners)}")
    for name in names[1:]:
        other = policies[name]
        if not (np.array_equal(first.mode, other.mode) and np.array_equal(first.population, other.population)):
            raise DataError(f"the rollouts of {names[0]} and {name} did not begin alike: they cannot be paired")


def gain_over(
    values: Float[ndarray, " R"],
    reference: Float[ndarray, " R"],
    listeners: Int[ndarray, " R"],
    *,
    seed: int,
) -> Gain:
    """Return the paired gain; rollouts without a number on either side are left out of both."""
    told = np.isfinite(values) & np.isfinite(reference)
    if not told.any():
        return Gain(value=None, reference=None, gain=None, reason="no rollout has a number under both policies")
    both = np.column_stack([values, reference])[told]
    interval = clustered_function_interval(relative_gain, both, listeners[told], rng=np.random.default_rng(seed))
    value, base = both.mean(axis=0).tolist()
    return Gain(value=value, reference=base, gain=interval, reason="" if interval else _why(base, listeners[told]))


def difference_of_gains(
    one: tuple[Float[ndarray, " R"], Float[ndarray, " R"]],
    other: tuple[Float[ndarray, " R"], Float[ndarray, " R"]],
    listeners: Int[ndarray, " R"],
    *,
    seed: int,
) -> Interval | None:
    """Return the first gain less the second, each (policy, reference): the exploitation gap is one of these."""
    four = np.column_stack([*one, *other])
    told = np.isfinite(four).all(axis=1)
    if not told.any():
        return None
    return clustered_function_interval(gap_of_gains, four[told], listeners[told], rng=np.random.default_rng(seed))


def relative_gain(mean: Float[ndarray, "*shape 2"]) -> Float[ndarray, "*shape"]:
    """Return value / reference − 1 of two means in the last axis; NaN where the reference is not above 0."""
    base = np.where(mean[..., 1] > 0, mean[..., 1], np.nan)
    return np.asarray(mean[..., 0] / base - 1)


def gap_of_gains(mean: Float[ndarray, "*shape 4"]) -> Float[ndarray, "*shape"]:
    """Return the gain of the first two of four means in the last axis less that of the last two."""
    return np.asarray(relative_gain(mean[..., :2]) - relative_gain(mean[..., 2:]))


def _why(reference: float, listeners: Int[ndarray, " n"]) -> str:
    count = len(np.unique(listeners))
    if count < 2:
        return f"{count} listener: nothing to resample"
    return f"the reference's mean is {reference:.3g}: a share of it means nothing"
