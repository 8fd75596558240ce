"""From predictions to the flat rows that Tables 2 and 3 are made of; a number that does not exist is None.

Legend: T tokens of all listeners
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from training.metrics.prediction import PredictionScores, calibration_bins, prediction_scores
from training.networks.world import WorldForm
from training.studies.cells import Row, Scalar
from training.world_model import TrainedWorldModel


def told(value: float) -> float | None:
    """Return a number, or None where it could not be computed."""
    return float(value) if math.isfinite(value) else None


def score_rows(
    name: str,
    predicted: Float[ndarray, "T 4"],
    targets: Float[ndarray, "T 4"],
    *,
    hidden: Float[ndarray, "T 4"] | None = None,
) -> Iterator[Row]:
    """Yield how well each signal is predicted over the labels that were observed, a row per signal.

    Args:
        name: of the table's row.
        predicted: in [0, 1].
        targets: NaN where nothing was observed.
        hidden: the same model's predictions with the candidate hidden, if it can do without.
    """
    scores, blind = _by_signal(predicted, targets), _by_signal(hidden, targets) if hidden is not None else None
    for signal, numbers in scores.items():
        without = {f"hidden_{key}": blind[signal][key] if blind else None for key in ("r_squared", "auc")}
        yield {"row": name, "signal": signal, **numbers, **without}


def _by_signal(predicted: Float[ndarray, "T 4"], targets: Float[ndarray, "T 4"]) -> dict[str, dict[str, Scalar]]:
    scores = prediction_scores(predicted, targets)
    return {
        SIGNALS[signal]: {
            "labels": scores.label_counts[signal],
            "mse": told(scores.mean_squared_error[signal]),
            "r_squared": told(scores.r_squared[signal]),
            "auc": told(scores.rating_auc) if signal is Signal.RATING else None,
            "nats": told(scores.rating_nats) if signal is Signal.RATING else None,
        }
        for signal in Signal
    }


def curve_rows(name: str, trained: TrainedWorldModel[WorldForm]) -> Iterator[Row]:
    """Yield the training and validation losses of each epoch, and which epochs were kept."""
    for number, epoch in enumerate(trained.epochs):
        for signal in Signal:
            yield {
                "row": name,
                "signal": SIGNALS[signal],
                "epoch": number,
                "training_loss": told(epoch.losses[signal]),
                "validation_loss": told(epoch.validation.signal_losses[signal]),
                "validation_score": told(_score(epoch.validation, signal)),
                "best": number == trained.best[signal],
                "kept": number == trained.kept,
            }


def _score(scores: PredictionScores, signal: Signal) -> float:
    return scores.headline[SIGNALS[signal]]


def calibration_rows(name: str, predicted: Float[ndarray, "T 4"], targets: Float[ndarray, "T 4"]) -> Iterator[Row]:
    """Yield what was predicted and what was observed in ten bins of each signal's labels."""
    for signal in Signal:
        known = ~np.isnan(targets[:, signal])
        for number, each in enumerate(calibration_bins(predicted[known, signal], targets[known, signal])):
            yield {
                "row": name,
                "signal": SIGNALS[signal],
                "bin": number,
                "predicted": each.predicted,
                "observed": each.observed,
                "labels": each.count,
            }


def rows_of(targets: Float[ndarray, "T 4"], tokens: Int[ndarray, " t"]) -> Float[ndarray, "T 4"]:
    """Return the targets of some tokens; everywhere else nothing was observed."""
    kept = np.full_like(targets, np.nan)
    kept[tokens] = targets[tokens]
    return kept
