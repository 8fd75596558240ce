"""Conformal intervals: how far the truth may lie from a prediction, calibrated by listener and by rollout step.

The step of a song is 1 plus the number of songs imagined since the last observed feedback: a world model that has
to believe its own predictions knows less with every song. The interval of a signal is mean ± width, cut to [0, 1];
the width of a step is the conformal quantile of the absolute errors on calibration listeners, one error
distribution per listener so that a talkative one does not count more (SCIENCE, where the paper is weak, 5). It
goes to the wire and to drift monitoring, never to the step rule of the guardrails.

Legend: H steps that are calibrated
"""

from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.affect import SIGNALS
from models.errors import DataError

Width = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Calibration(BaseModel):
    """`calibration.json`: the half-width of each signal's interval at each step, and on how much it rests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Annotated[float, Field(gt=0, lt=1)]
    """The share of truths the interval is meant to hold."""
    widths: dict[str, Annotated[tuple[Width, ...], Field(min_length=1)]]
    """Signal → half-width at steps 1…H; none is narrower than the one before. Rating, a probability, has none."""
    listener_count: Annotated[int, Field(ge=1)]
    """Calibration listeners; none of them trained a world model or chose one."""
    listener_counts: dict[str, tuple[Count, ...]]
    """Signal → how many of them have a label at each step."""
    label_counts: dict[str, tuple[Count, ...]]
    """Signal → how many labels there are at each step."""

    @model_validator(mode="after")
    def _consistent(self) -> "Calibration":
        if len({len(each) for each in self.widths.values()}) > 1:
            raise ValueError("every signal must have widths for the same steps")
        for signal, widths in self.widths.items():
            if any(later < earlier for earlier, later in pairwise(widths)):
                raise ValueError(f"the widths of {signal} must not fall with the step; got {widths}")
        return self

    @property
    def horizon(self) -> int:
        """H, the last step that is calibrated; beyond it the last width is used, and whoever uses it says so."""
        return max((len(each) for each in self.widths.values()), default=0)

    def interval(self, signal: str, mean: float, *, step: int) -> tuple[float, float]:
        """Return the low and high end of a signal's interval, in [0, 1].

        Args:
            signal: its name.
            mean: the prediction.
            step: 1 plus the number of songs imagined since the last observed feedback; beyond the horizon the
                interval is as wide as at the horizon, and no longer known to hold its level.

        Raises:
            DataError: the signal has no calibrated width, or the step is below 1.
        """
        if signal not in self.widths:
            raise DataError(f"signal must be one of {sorted(self.widths)}; got {signal!r} of {SIGNALS}")
        if step < 1:
            raise DataError(f"the first step is 1; got {step}")
        width = self.widths[signal][min(step, self.horizon) - 1]
        return max(0.0, mean - width), min(1.0, mean + width)
