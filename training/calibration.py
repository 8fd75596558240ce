"""Split conformal calibration by listener: how wide an interval must be to hold a stranger's next label.

A listener's sessions are alike, so labels are not exchangeable; listeners are. Every calibration listener
therefore counts once, their errors sharing that one vote, and the listener to come holds one vote that may be
anywhere. Source: Lee, Barber and Willett 2023 (arXiv:2306.06342), hierarchical conformal prediction; SCIENCE,
where the paper is weak, 5.

Legend: T tokens · E errors
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import Signal
from models.calibration import Calibration
from models.errors import DataError
from training.windows import Histories

LEVEL: Final = 0.9
CALIBRATED: Final = (Signal.ENGAGEMENT, Signal.VALENCE, Signal.AROUSAL)
"""The rating is a probability and has no interval."""


def calibrate(
    histories: Histories, predicted: Float[ndarray, "T 4"], listeners: Int[ndarray, " b"], *, level: float = LEVEL
) -> Calibration:
    """Return half-widths that hold a new listener's labels with probability `level`.

    Args:
        histories: whose targets are the labels.
        predicted: the ensemble's mean; only the given listeners' rows are read.
        listeners: not trained on; here, those of the validation part.
        level: in (0, 1).

    Raises:
        DataError: no given listener has a label of some calibrated signal.
    """
    owner = np.repeat(listeners, histories.token_counts[listeners])
    rows = histories.tokens_of(listeners)
    errors = np.abs(predicted[rows] - histories.targets[rows])  # (t, 4), NaN where unlabelled
    widths, counts = {}, {}
    for signal in CALIBRATED:
        known = ~np.isnan(errors[:, signal])
        if not known.any():
            raise DataError(
                f"calibrating {signal.name.lower()} needs a label of one of {len(listeners)} listeners"
            )
        width = conformal_width(errors[known, signal], owner[known], level=level)
        widths[signal.name.lower()] = float(np.clip(width, 1e-6, 1.0))
        counts[signal.name.lower()] = int(known.sum())
    return Calibration(level=level, widths=widths, listener_count=len(listeners), label_counts=counts)


def conformal_width(errors: Float[ndarray, " E"], owner: Int[ndarray, " E"], *, level: float) -> float:
    """Return the smallest width that reaches `level` of the votes, the coming listener's vote beyond all.

    Infinity where there are too few listeners: below level / (1 − level) of them.

    Args:
        errors: absolute, one per label.
        owner: the listener of each label.
        level: in (0, 1).
    """
    _, place, labels = np.unique(owner, return_inverse=True, return_counts=True)
    vote = 1.0 / (labels[place] * (len(labels) + 1))  # (E,)
    order = np.argsort(errors)
    reached = np.cumsum(vote[order])
    enough = np.flatnonzero(reached >= level - 1e-9)
    return float(errors[order[enough[0]]]) if enough.size else float("inf")


def coverage_by_listener(
    histories: Histories, predicted: Float[ndarray, "T 4"], listeners: Int[ndarray, " b"], calibration: Calibration
) -> dict[str, float]:
    """Return, by signal, the share of labels their intervals hold, every listener counting once."""
    owner = np.repeat(listeners, histories.token_counts[listeners])
    rows = histories.tokens_of(listeners)
    errors = np.abs(predicted[rows] - histories.targets[rows])
    covered = {}
    for signal in CALIBRATED:
        known = ~np.isnan(errors[:, signal])
        held = errors[known, signal] <= calibration.widths[signal.name.lower()]
        _, place, labels = np.unique(owner[known], return_inverse=True, return_counts=True)
        covered[signal.name.lower()] = float((np.bincount(place, held) / labels).mean()) if known.any() else np.nan
    return covered
