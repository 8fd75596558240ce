"""Affect on the circumplex, the four signals and their one order, and conversions from other scales.

Valence (unpleasant to pleasant) and arousal (quiet to excited) are numbers in [0, 1] everywhere in the
project; other scales are converted once, at the edge, and the conversion is written into the log.
Source: Russell 1980; the four signals are AMRS §3.1.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.errors import DataError


class Signal(IntEnum):
    """The four feedback signals; the value is the signal's place in every array of signals."""

    ENGAGEMENT = 0
    RATING = 1
    VALENCE = 2
    AROUSAL = 3


SIGNALS: Final = tuple(signal.name.lower() for signal in Signal)
"""The signals' names in their one order: engagement, rating, valence, arousal."""


@dataclass(frozen=True, slots=True)
class Affect:
    """One point of the circumplex; valence and arousal in [0, 1]."""

    valence: float
    arousal: float

    def __post_init__(self) -> None:
        for name, value in (("valence", self.valence), ("arousal", self.arousal)):
            if not 0.0 <= value <= 1.0:  # NaN fails this too
                raise DataError(f"{name} must be a number from 0 to 1; got {value}")


@dataclass(frozen=True, slots=True)
class Scale:
    """An interval on which somebody else measured affect, mapped linearly onto [0, 1]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise DataError(f"a scale needs low < high; got {self.low} and {self.high}")

    def to_unit(self, values: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
        """Return the values on [0, 1]; NaN (absent) stays NaN.

        Raises:
            DataError: a value lies outside the scale by more than rounding.
        """
        unit = (np.asarray(values, dtype=np.float64) - self.low) / (self.high - self.low)
        outside = np.flatnonzero((unit < -1e-9) | (unit > 1 + 1e-9))
        if outside.size:
            first = int(outside[0])
            came = np.asarray(values).ravel()[first]
            raise DataError(f"value {first} must lie from {self.low} to {self.high} on this scale; got {came}")
        return np.clip(unit, 0.0, 1.0)


SIGNED: Final = Scale(-1.0, 1.0)
"""SiTunes and most physiological studies."""
