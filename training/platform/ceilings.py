"""How well the logged signals can be predicted at all: R² and AUC of two predictors that know the platform.

The one knows the true state before each play and every trait of the listener; the other only what was
observed (`training.platform.kalman`). A world model stands between the listener's mean and the second.

Legend: P plays · N listeners · K songs
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from training.platform.kalman import Observed, expected_effect, filter_observed
from training.platform.simulate import Advance, Simulation, quietly
from training.platform.truth import TrueState, Truth

_PAIR_COUNT: Final = 100
"""Pairs of songs per listener."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """Scores by signal: R² of engagement, valence and arousal; ROC AUC of the rating."""

    latent: dict[str, float]
    """Of the predictor that knows the latent state and the listener."""
    observed: dict[str, float]
    """Of the best predictor from the observed history."""
    observed_without_song: dict[str, float]
    """The same with the candidate song hidden."""
    song_order: dict[str, float]
    """Share of pairs of uniform songs that the observed history orders by their true effect on each of the two."""


def measure_ceilings(
    simulation: Simulation,
    rng: np.random.Generator,
    *,
    listener: Int[ndarray, " n"] | None = None,
    advance: Advance = quietly,
) -> Ceilings:
    """Return the ceilings over the observed labels of the given listeners, or of all.

    A world model judged on held-out listeners belongs beside the ceilings of those very listeners. `rng`
    draws the pairs of songs whose order is asked.
    """
    if listener is None:
        listener = np.arange(simulation.size.listener_count)
    labels = observed_labels(simulation)
    labels[~np.isin(simulation.schedule.listener_of_play, listener)] = np.nan
    observed = filter_observed(simulation, advance)
    return Ceilings(
        latent=scores(latent_predictions(simulation), labels),
        observed=scores(observed.with_song, labels),
        observed_without_song=scores(observed.without_song, labels),
        song_order=_song_order(simulation, observed, listener, rng),
    )


def observed_labels(simulation: Simulation) -> Float[ndarray, "P 4"]:
    """Return the logged signals of each play, NaN where unobserved; end reports stand at last plays."""
    labels = np.full((simulation.schedule.play_count, len(SIGNALS)), np.nan)
    labels[:, Signal.ENGAGEMENT] = simulation.engagement
    labels[:, Signal.RATING] = simulation.rating
    labels[simulation.schedule.is_last_play, Signal.VALENCE :] = simulation.after
    return labels


def latent_predictions(simulation: Simulation) -> Float[ndarray, "P 4"]:
    """Return the true expectation of each play's signals, given the true state before it."""
    schedule = simulation.schedule
    before = np.concatenate([np.zeros((1, 2)), simulation.affect[:-1]])
    opening = schedule.position == 0
    before[opening] = simulation.start
    state = TrueState(listener=schedule.listener_of_play, affect=before)
    return Truth(simulation).expected(state, simulation.song[:, None])[:, 0]


def scores(predictions: Float[ndarray, "P 4"], labels: Float[ndarray, "P 4"]) -> dict[str, float]:
    """Return R², and AUC for the rating, of each signal over its observed labels."""
    by_signal = {}
    for signal in Signal:
        seen = ~np.isnan(labels[:, signal])
        score = _auc if signal is Signal.RATING else _r_squared
        by_signal[signal.name.lower()] = score(predictions[seen, signal], labels[seen, signal])
    return by_signal


def _r_squared(predicted: Float[ndarray, " n"], label: Float[ndarray, " n"]) -> float:
    return float(1 - np.mean((label - predicted) ** 2) / np.var(label))


def _auc(predicted: Float[ndarray, " n"], liked: Float[ndarray, " n"]) -> float:
    """Return the share of (liked, disliked) pairs in the right order, by the rank sum; ties are improbable."""
    rank = np.empty(len(predicted))
    rank[np.argsort(predicted)] = np.arange(1, len(predicted) + 1)
    positive = liked == 1
    count = int(positive.sum())
    return float((rank[positive].sum() - count * (count + 1) / 2) / (count * (len(liked) - count)))


def _song_order(
    simulation: Simulation, observed: Observed, listener: Int[ndarray, " n"], rng: np.random.Generator
) -> dict[str, float]:
    """Return how often the filter orders two uniform songs by their true effect, listeners counting alike."""
    song = rng.integers(simulation.size.song_count, size=(len(listener), 2 * _PAIR_COUNT))
    true = Truth(simulation).song_effect(listener, song)
    believed = expected_effect(simulation, observed, listener, song)
    right = np.sign(true[:, :_PAIR_COUNT] - true[:, _PAIR_COUNT:]) == np.sign(
        believed[:, :_PAIR_COUNT] - believed[:, _PAIR_COUNT:]
    )
    return {"valence": float(right[..., 0].mean()), "arousal": float(right[..., 1].mean())}
