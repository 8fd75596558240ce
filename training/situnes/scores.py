"""The published scores: of likes, of changes of mood, and of reports after a song.

Source: Grigorev et al., CHIIR 2024; average precision is taken of the one-hot of hard predictions, as published.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from sklearn.metrics import average_precision_score, f1_score

from training.metrics.prediction import r_squared, roc_auc
from training.situnes.benchmark import Mood


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeScores:
    """Task A."""

    auc: float
    mae: float
    """Of the predicted probability against 0 and 1: least for whoever exaggerates."""
    rmse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodScores:
    """Task B."""

    accuracy: float
    macro_f1: float
    macro_ap: float
    micro_ap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectScores:
    """Valence and arousal after a song, on [-1, 1]."""

    valence_mae: float
    valence_r2: float
    arousal_mae: float
    arousal_r2: float


def like_scores(probability: Float[ndarray, " N"], liked: Bool[ndarray, " N"]) -> LikeScores:
    """Return the scores of probabilities in [0, 1]; both labels must occur."""
    error = probability - liked
    return LikeScores(
        auc=roc_auc(probability, liked),
        mae=float(np.abs(error).mean()),
        rmse=float((error**2).mean() ** 0.5),
    )


def mood_scores(probability: Float[ndarray, "N 3"], mood: Int[ndarray, " N"]) -> MoodScores:
    """Return the scores of the likeliest class."""
    classes = np.arange(len(Mood))
    guess = probability.argmax(axis=1)
    truth, said = mood[:, None] == classes, guess[:, None] == classes
    present = truth.any(axis=0)
    return MoodScores(
        accuracy=float((guess == mood).mean()),
        macro_f1=float(f1_score(mood, guess, average="macro", zero_division=0.0)),
        macro_ap=float(np.mean([average_precision_score(truth[:, c], said[:, c]) for c in classes[present]])),
        micro_ap=float(average_precision_score(truth.ravel(), said.ravel())),
    )


def affect_scores(predicted: Float[ndarray, "N 2"], after: Float[ndarray, "N 2"]) -> AffectScores:
    """Return the scores of predicted reports."""
    valence, arousal = np.abs(predicted - after).mean(axis=0)
    return AffectScores(
        valence_mae=float(valence),
        valence_r2=r_squared(predicted[:, 0], after[:, 0]),
        arousal_mae=float(arousal),
        arousal_r2=r_squared(predicted[:, 1], after[:, 1]),
    )
