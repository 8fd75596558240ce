"""The reference that a bundle carries: how its models fared where they were judged, on what they were trained."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS
from models.listening import Mode
from models.reference import TrainingReference
from training.limits import leave_one_out_distances
from training.metrics.prediction import PredictionScores


def training_reference(
    scores: PredictionScores, *, play_mode: Int[ndarray, " P"], support: Float[ndarray, "G D"]
) -> TrainingReference:
    """Return what drift in the field is measured against.

    Args:
        scores: of the test listeners' feedback.
        play_mode: of every play of the log.
        support: the training songs, in the space in which the distance to them is measured; at least two.
    """
    errors = zip(SIGNALS, scores.label_counts, scores.mean_squared_error, strict=True)
    shares = np.bincount(play_mode, minlength=len(Mode)) / max(len(play_mode), 1)
    return TrainingReference(
        mean_squared_error={signal: float(error) for signal, labels, error in errors if labels},
        mode_shares={mode.label: float(shares[mode]) for mode in Mode},
        neighbour_distance=float(leave_one_out_distances(support).mean()),
    )
