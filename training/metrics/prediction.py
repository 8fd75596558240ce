"""How good predictions of feedback are: R² and squared error, ROC AUC, the order of songs, calibration.

Source: AMRS §4.2; configurations and checkpoints are ranked by the mean rank over (MSE e, AUC r, MSE v, MSE a).

Legend: T plays · 4 signals in `Signal` order · R configurations · Q states · N candidate songs
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import xlogy
from scipy.stats import kendalltau, rankdata

from models.affect import SIGNALS, Signal

NOT_DEFINED = float("nan")
"""What a metric is worth where it cannot be computed: no labels, or labels that are all alike."""
_NO_SPREAD = 1e-14
"""Predictions whose variance is below this say the same of every song."""
_SURE = 1e-6
"""No probability is taken to be nearer to 0 or 1 than this: one error would cost infinitely much."""


def r_squared(predicted: Float[ndarray, " T"], truth: Float[ndarray, " T"]) -> float:
    """Return the share of the truth's variance that is explained; below 0 where the mean would do better."""
    if len(truth) < 2 or np.ptp(truth) == 0:
        return NOT_DEFINED
    return float(1.0 - np.mean((predicted - truth) ** 2) / np.var(truth.astype(np.float64)))


def roc_auc(score: Float[ndarray, " T"], truth: Bool[ndarray, " T"]) -> float:
    """Return the probability that a true case scores above a false one, ties counting half."""
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return NOT_DEFINED
    ranks = rankdata(score)
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def pairwise_accuracy(predicted: Float[ndarray, "Q N"], truth: Float[ndarray, "Q N"]) -> float:
    """Return the share of pairs of candidates, within a state, that are put in their true order; ties half.

    0.5 is chance. Pairs whose truth is tied do not count.
    """
    above, below = np.triu_indices(truth.shape[1], k=1)
    true_order = np.sign(truth[:, above] - truth[:, below])
    agrees = np.sign(predicted[:, above] - predicted[:, below]) * true_order
    counted = true_order != 0
    return float((agrees[counted] + 1).mean() / 2) if counted.any() else NOT_DEFINED


def kendall_tau(predicted: Float[ndarray, "Q N"], truth: Float[ndarray, "Q N"]) -> float:
    """Return Kendall's τ-b of the order of candidates, averaged over the states where it is defined.

    1 is the true order, 0 chance, −1 its opposite.
    """
    each = [float(kendalltau(guess, true).statistic) for guess, true in zip(predicted, truth, strict=True)]
    defined = [value for value in each if not np.isnan(value)]
    return float(np.mean(defined)) if defined else NOT_DEFINED


def slope_of_truth(predicted: Float[ndarray, "Q N"], truth: Float[ndarray, "Q N"]) -> float:
    """Return the least-squares slope of truth on prediction over the candidates of a state, pooled over states.

    1 where predicted differences between songs are as wide as the true ones; below 1 where they are too wide.
    """
    guess = predicted - predicted.mean(axis=1, keepdims=True)
    true = truth - truth.mean(axis=1, keepdims=True)
    spread = float((guess.astype(np.float64) ** 2).sum())
    return float((guess * true).sum() / spread) if spread > _NO_SPREAD * guess.size else NOT_DEFINED


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One stretch of a calibration curve."""

    predicted: float
    """The mean prediction."""
    observed: float
    """The mean label."""
    count: int


def calibration_bins(
    predicted: Float[ndarray, " T"], truth: Float[ndarray, " T"], *, bin_count: int = 10
) -> list[Bin]:
    """Return the mean prediction and the mean label of bins of equally many plays, by prediction ascending."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, bin_count) if len(part)]
    return [
        Bin(predicted=float(predicted[part].mean()), observed=float(truth[part].mean()), count=len(part))
        for part in parts
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionScores:
    """How well the four signals are predicted on observed labels."""

    label_counts: tuple[int, int, int, int]
    r_squared: tuple[float, float, float, float]
    """Of the rating, that of its probability."""
    mean_squared_error: tuple[float, float, float, float]
    rating_auc: float
    rating_nats: float
    """Mean cross-entropy of the rating."""

    @property
    def headline(self) -> dict[str, float]:
        """The four numbers of a table's row: R² of engagement, AUC of the rating, R² of valence and arousal."""
        named = dict(zip(SIGNALS, self.r_squared, strict=True))
        return named | {SIGNALS[Signal.RATING]: self.rating_auc}

    @property
    def losses(self) -> tuple[float, float, float, float]:
        """What ranks are taken over, less is better: MSE e, −AUC r, MSE v, MSE a."""
        engagement, _, valence, arousal = self.mean_squared_error
        return engagement, -self.rating_auc, valence, arousal

    @property
    def signal_losses(self) -> tuple[float, float, float, float]:
        """The loss of each signal by itself, less is better: what the best epoch of a signal is chosen by."""
        engagement, _, valence, arousal = self.mean_squared_error
        return engagement, self.rating_nats, valence, arousal


def prediction_scores(predicted: Float[ndarray, "T 4"], targets: Float[ndarray, "T 4"]) -> PredictionScores:
    """Return the scores over plays whose signal was observed.

    Args:
        predicted: in [0, 1].
        targets: NaN where a signal was not observed.
    """
    known = ~np.isnan(targets)
    columns = [(predicted[known[:, s], s], targets[known[:, s], s]) for s in Signal]
    errors = [float(np.mean((guess - truth) ** 2)) if len(truth) else NOT_DEFINED for guess, truth in columns]
    explained = [r_squared(guess, truth) for guess, truth in columns]
    rating, liked = columns[Signal.RATING]
    counts = known.sum(axis=0)
    return PredictionScores(
        label_counts=(int(counts[0]), int(counts[1]), int(counts[2]), int(counts[3])),
        r_squared=(explained[0], explained[1], explained[2], explained[3]),
        mean_squared_error=(errors[0], errors[1], errors[2], errors[3]),
        rating_auc=roc_auc(rating, liked > 0.5),
        rating_nats=_cross_entropy(rating, liked),
    )


def _cross_entropy(predicted: Float[ndarray, " T"], truth: Float[ndarray, " T"]) -> float:
    """Return the mean cross-entropy, in nats."""
    if not len(truth):
        return NOT_DEFINED
    sure = predicted.astype(np.float64).clip(_SURE, 1 - _SURE)
    return float(-(xlogy(truth, sure) + xlogy(1 - truth, 1 - sure)).mean())


def mean_ranks(losses: Float[ndarray, "R C"]) -> Float[ndarray, " R"]:
    """Return each row's mean rank over the columns, 1 the best; a column that is not defined does not count."""
    defined = ~np.isnan(losses).any(axis=0)
    if not defined.any():
        return np.ones(len(losses))
    return np.asarray(rankdata(losses[:, defined], axis=0).mean(axis=1))
