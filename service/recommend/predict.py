"""Predict: the four signals each world model expects of each song, and intervals for what goes to the wire.

Legend: B listeners · M members · K songs
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.calibration import Calibration
from models.catalogue import gather
from service.live.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A prediction and how far the truth may lie from it, all in [0, 1]."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is expected of one song, the mean over the members."""

    engagement: Interval
    rating: float
    """The probability that the listener would like it."""
    valence: Interval
    arousal: Interval
    step: int
    """1 plus the songs before it whose feedback is not known; the intervals are those of this step."""
    is_calibrated: bool
    """Whether intervals are calibrated for this step; if not, they are the widest there are."""


def predict(
    engine: Engine, state: Float[ndarray, "B M D"], rows: Int[ndarray, "B K"]
) -> Float[ndarray, "B M K 4"]:
    """Return each member's prediction of each song; NaN for a song without an embedding."""
    if not rows.size:
        return np.zeros((len(state), state.shape[1], rows.shape[1], len(SIGNALS)), np.float32)
    return engine.graphs.head(state, gather(engine.vectors.head_hidden, rows))


def prediction(predicted: Float[ndarray, "M 4"], calibration: Calibration, *, step: int) -> Prediction | None:
    """Return what is expected of one song, with its step's intervals; None where the models gave no numbers."""
    mean = predicted.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        return None

    def interval(signal: Signal) -> Interval:
        low, high = calibration.interval(SIGNALS[signal], float(mean[signal]), step=step)
        return Interval(mean=float(mean[signal]), low=low, high=high)

    return Prediction(
        engagement=interval(Signal.ENGAGEMENT),
        rating=float(mean[Signal.RATING]),
        valence=interval(Signal.VALENCE),
        arousal=interval(Signal.AROUSAL),
        step=step,
        is_calibrated=step <= calibration.horizon,
    )
