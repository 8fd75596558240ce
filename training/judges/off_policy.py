"""The third judge: what listeners said of songs that were drawn with a known chance.

Where a song was drawn at random, its outcome speaks for every policy that might have played it, by the ratio of
the two chances. Three estimates of what a policy is worth at such a moment:

    direct          Σ_s π(s) q(s)                              the world model's word; no outcome is looked at
    weighted        Σ w r / Σ w,  w = π(s) / p(s)              the outcomes' word, self-normalised
    doubly robust   direct + Σ w (r − q(s)) / Σ w              the model's word, corrected by the outcomes

with q a world model that saw none of these listeners. The second and third say nothing where few draws carry all
the weight: below a floor of effective draws (Σ w)² / Σ w² there is no estimate, and the reason stands in its
place. So also where no propensity is known at all, as in every simulated log, whose production drew by a noise
that it did not write down.

Source: SCIENCE, where the paper is weak (7); Swaminathan and Joachims 2015 (self-normalised weights); Dudík,
Langford and Li 2011 (doubly robust).

Legend: D draws · N songs
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.affect import Signal
from models.errors import DataError
from models.log import Log
from training.statistics import Interval, clustered_function_interval

LEAST_EFFECTIVE: Final = 30.0
"""Effective draws below which nothing is estimated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Plays whose song was drawn with a known chance; rows are those of `log.listening()`."""

    play: Int[ndarray, " D"]
    listener: Int[ndarray, " D"]
    song: Int[ndarray, " D"]
    """Rows of the log's songs."""
    propensity: Float[ndarray, " D"]
    eligible: Bool[ndarray, "D N"]
    """The songs that the listener had not heard before: what was drawn from, and what a policy may choose here."""

    def take(self, rows: Int[ndarray, " d"]) -> "Drawn":
        """Return the given draws."""
        return Drawn(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choices:
    """What one policy would have done at D draws, and what a world model says of it."""

    weight: Float[ndarray, " D"]
    """The policy's chance of the drawn song over the chance with which it was drawn."""
    direct: Float[ndarray, "D 4"]
    """The world model's expectation under the policy, in `Signal` order."""
    predicted: Float[ndarray, "D 4"]
    """The world model's expectation of the drawn song."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What one policy is worth in one signal, by each estimate; None where there is no estimate."""

    draw_count: int
    """Draws with an outcome."""
    effective: float
    """(Σ w)² / Σ w² of them."""
    heaviest: float
    """The largest weight's share of all."""
    direct: Interval | None
    weighted: Interval | None
    doubly_robust: Interval | None
    reason: str
    """Why nothing is estimated from outcomes; empty where something is."""


def drawn_plays(log: Log) -> Drawn:
    """Return the plays of a log whose propensity is known.

    Raises:
        DataError: there is none.
    """
    kept = log.select_listeners(log.listening_ids())
    propensity = kept.plays["propensity"].to_numpy().astype(np.float64)
    play = np.flatnonzero(np.isfinite(propensity))
    if not len(play):
        raise DataError(
            f"log {log.description.name!r} tells the propensity of none of its {len(propensity)} plays: "
            "nothing can be estimated from its outcomes"
        )
    listening = log.listening()
    row = {key: number for number, key in enumerate(log.song_keys().tolist())}
    song = np.array([row[key] for key in listening.song.tolist()], np.int64)
    first_play = listening.play_start[listening.session_start]
    listener = np.searchsorted(first_play, play, side="right") - 1
    eligible = np.ones((len(play), len(row)), bool)
    for number, (one, who) in enumerate(zip(play, listener, strict=True)):
        eligible[number, song[first_play[who] : one]] = False
    drawn = Drawn(play=play, listener=listener, song=song[play], propensity=propensity[play], eligible=eligible)
    if not eligible[np.arange(len(play)), drawn.song].all():
        raise DataError(
            f"log {log.description.name!r}: a song drawn with a known chance had been heard before; "
            "what it was drawn from is unknown"
        )
    return drawn


def softmax_over(
    scores: Float[ndarray, "D N"], eligible: Bool[ndarray, "D N"], *, temperature: float
) -> Float[ndarray, "D N"]:
    """Return the chances of a policy that draws eligible songs by the softmax of its scores."""
    logits = np.where(eligible, scores / temperature, -np.inf)
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(chance / chance.sum(axis=1, keepdims=True))


def certain(scores: Float[ndarray, "D N"], eligible: Bool[ndarray, "D N"]) -> Float[ndarray, "D N"]:
    """Return the chances of a policy that plays the eligible song with the highest score."""
    first = np.where(eligible, scores, -np.inf).argmax(axis=1)
    return np.asarray(np.arange(scores.shape[1]) == first[:, None], np.float64)


def choices_of(chance: Float[ndarray, "D N"], drawn: Drawn, predicted: Float[ndarray, "D N 4"]) -> Choices:
    """Return what a policy's chances mean at the draws.

    Args:
        chance: of each song; each row adds up to 1 over the eligible songs.
        drawn: the draws.
        predicted: the world model's expectation of every song.
    """
    rows = np.arange(len(drawn.play))
    return Choices(
        weight=chance[rows, drawn.song] / drawn.propensity,
        direct=np.einsum("dn,dns->ds", chance, predicted),
        predicted=predicted[rows, drawn.song].astype(np.float64),
    )


def effective_draws(weight: Float[ndarray, " D"]) -> float:
    """Return (Σ w)² / Σ w²: D where all weigh the same, 1 where one has all the weight, 0 where none has any."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def worth_of(
    choices: Choices,
    signal: Signal,
    outcome: Float[ndarray, " D"],
    listener: Int[ndarray, " D"],
    *,
    seed: int,
    least_effective: float = LEAST_EFFECTIVE,
) -> Worth:
    """Return what a policy is worth in one signal, with intervals that draw whole listeners.

    Args:
        choices: what it would have done.
        signal: of the outcome.
        outcome: what was said of each drawn song; NaN where nothing was.
        listener: whose each draw is.
        seed: of the resampling.
        least_effective: the floor.
    """
    told = np.isfinite(outcome)
    weight, who = choices.weight[told], listener[told]
    columns = _columns(choices, signal, outcome)[told]
    effective = effective_draws(weight)
    reason = _why_not(effective, least_effective, draw_count=len(weight), listener_count=len(np.unique(who)))
    return Worth(
        draw_count=len(weight),
        effective=effective,
        heaviest=float(weight.max() / weight.sum()) if weight.sum() > 0 else 0.0,
        direct=_interval(_direct, columns, who, seed),
        weighted=None if reason else _interval(_weighted, columns, who, seed),
        doubly_robust=None if reason else _interval(_doubly_robust, columns, who, seed),
        reason=reason,
    )


def difference_of_worth(
    one: Choices,
    other: Choices,
    signal: Signal,
    outcome: Float[ndarray, " D"],
    listener: Int[ndarray, " D"],
    *,
    seed: int,
) -> Interval | None:
    """Return the doubly robust worth of one policy less the other's, on the same draws and resamples.

    To be asked of two policies that both have an estimate.
    """
    told = np.isfinite(outcome)
    columns = np.column_stack([_columns(each, signal, outcome) for each in (one, other)])[told]

    def less(mean: Float[ndarray, "*shape 8"]) -> Float[ndarray, "*shape"]:
        return np.asarray(_doubly_robust(mean[..., :4]) - _doubly_robust(mean[..., 4:]))

    return _interval(less, columns, listener[told], seed)


def _columns(choices: Choices, signal: Signal, outcome: Float[ndarray, " D"]) -> Float[ndarray, "D 4"]:
    """Return w, w r, the direct worth and w (r − q) of each draw: every estimate is a function of their means."""
    weight = choices.weight
    surprise = outcome - choices.predicted[:, signal]
    return np.column_stack([weight, weight * outcome, choices.direct[:, signal], weight * surprise])


def _direct(mean: Float[ndarray, "*shape 4"]) -> Float[ndarray, "*shape"]:
    return np.asarray(mean[..., 2])


def _weighted(mean: Float[ndarray, "*shape 4"]) -> Float[ndarray, "*shape"]:
    return np.asarray(mean[..., 1] / mean[..., 0])


def _doubly_robust(mean: Float[ndarray, "*shape 4"]) -> Float[ndarray, "*shape"]:
    return np.asarray(mean[..., 2] + mean[..., 3] / mean[..., 0])


def _interval(
    function: Callable[[Float[ndarray, "*shape k"]], Float[ndarray, "*shape"]],
    columns: Float[ndarray, "D k"],
    listener: Int[ndarray, " D"],
    seed: int,
) -> Interval | None:
    if not len(columns):
        return None
    return clustered_function_interval(function, columns, listener, rng=np.random.default_rng(seed))


def _why_not(effective: float, least: float, *, draw_count: int, listener_count: int) -> str:
    if not draw_count:
        return "no draw has an outcome"
    if listener_count < 2:
        return f"{listener_count} listener: nothing to resample"
    if effective < least:
        return f"{effective:.1f} effective draws of {draw_count}; at least {least:g} are needed"
    return ""
