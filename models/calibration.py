"""Conformal intervals: how far the truth may lie from a prediction, calibrated by listener.

The interval of a signal is mean ± width, cut to [0, 1]; the width is the conformal quantile of the absolute
errors on calibration listeners, one error distribution per listener so that a talkative one does not count
more (SCIENCE, where the paper is weak, 5). It goes to the wire and to drift monitoring, never to the step rule.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.affect import SIGNALS
from models.errors import DataError

Width = Annotated[float, Field(gt=0, le=1)]


class Calibration(BaseModel):
    """`calibration.json`: the half-width of each signal's interval, and on how much it rests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Annotated[float, Field(gt=0, lt=1)]
    """The share of truths the interval is meant to hold."""
    widths: dict[str, Width]
    """Signal → half-width; rating, a probability, has none."""
    listener_count: Annotated[int, Field(ge=1)]
    label_counts: dict[str, Annotated[int, Field(ge=0)]]

    def interval(self, signal: str, mean: float) -> tuple[float, float]:
        """Return the low and high end of a signal's interval, in [0, 1].

        Raises:
            DataError: the signal has no calibrated width.
        """
        if signal not in self.widths:
            raise DataError(f"signal must be one of {sorted(self.widths)}; got {signal!r} of {SIGNALS}")
        width = self.widths[signal]
        return max(0.0, mean - width), min(1.0, mean + width)
