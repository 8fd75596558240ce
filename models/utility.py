"""Utility: how good the predicted feedback of a song is, as one number. There is no other one in the project.

`LinearUtility` is eq. 3 of AMRS and reproduces the paper. `TargetUtility` serves: each mode has a target
region of affect and a penalty for the distance from it, because a linear −arousal has no set point and would
push a calm patient ever lower.

Shapes: any leading axes · 4 signals in `Signal` order.
"""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.affect import Affect
from models.listening import Mode

Weight = Annotated[float, Field(ge=-1, le=1)]
Unit = Annotated[float, Field(ge=0, le=1)]
Four = tuple[Weight, Weight, Weight, Weight]
Scales = tuple[
    Annotated[float, Field(gt=0)],
    Annotated[float, Field(gt=0)],
    Annotated[float, Field(gt=0)],
    Annotated[float, Field(gt=0)],
]


class LinearUtility(BaseModel):
    """R = Σ λ ŷ / scale over the four signals. Source: AMRS eq. 3 (there, every scale is 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear"] = "linear"
    weights: Four
    """λ in `Signal` order."""
    scales: Scales = (1.0, 1.0, 1.0, 1.0)
    """What one unit of each signal is worth: 1, or the spread of its predictions over songs (TRIAL)."""

    def value(
        self, predicted: Float[ndarray, "*shape 4"], mode: Int[ndarray, "*shape"]
    ) -> Float[ndarray, "*shape"]:
        """Return the utility of each prediction; every mode is worth the same here."""
        del mode
        return np.asarray(predicted @ (np.array(self.weights) / np.array(self.scales)))


class TargetRegion(BaseModel):
    """A rectangle of the circumplex that a mode steers toward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    valence: tuple[Unit, Unit]
    arousal: tuple[Unit, Unit]

    @model_validator(mode="after")
    def _ordered(self) -> "TargetRegion":
        for name, (low, high) in (("valence", self.valence), ("arousal", self.arousal)):
            if low > high:
                raise ValueError(f"{name} must run from low to high; got {low} and {high}")
        return self

    def holds(self, affect: Affect) -> bool:
        """Whether a point lies in the region."""
        return (
            self.valence[0] <= affect.valence <= self.valence[1]
            and self.arousal[0] <= affect.arousal <= self.arousal[1]
        )


class TargetUtility(BaseModel):
    """R = Σ λ ŷ / scale over engagement and rating − Σ |λ| distance / scale over valence and arousal.

    The distance is that from the mode's target region along each axis: 0 inside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["target"] = "target"
    weights: Four
    scales: Scales = (1.0, 1.0, 1.0, 1.0)
    regions: tuple[TargetRegion, TargetRegion, TargetRegion, TargetRegion, TargetRegion]
    """One region per mode, in `Mode` order."""

    def distance(
        self, affect: Float[ndarray, "*shape 2"], mode: Int[ndarray, "*shape"]
    ) -> Float[ndarray, "*shape 2"]:
        """Return the distance of (valence, arousal) from the mode's region along each axis."""
        low = np.array([[region.valence[0], region.arousal[0]] for region in self.regions])[mode]
        high = np.array([[region.valence[1], region.arousal[1]] for region in self.regions])[mode]
        return np.maximum(np.maximum(low - affect, affect - high), 0.0)

    def value(
        self, predicted: Float[ndarray, "*shape 4"], mode: Int[ndarray, "*shape"]
    ) -> Float[ndarray, "*shape"]:
        """Return the utility of each prediction under its mode."""
        worth = np.array(self.weights) / np.array(self.scales)
        behaviour = predicted[..., :2] @ worth[:2]
        return np.asarray(behaviour - self.distance(predicted[..., 2:], mode) @ np.abs(worth[2:]))


Utility = Annotated[LinearUtility | TargetUtility, Field(discriminator="kind")]

PAPER_UTILITY = LinearUtility(weights=(0.0, 0.0, 0.5, 0.5))
"""The paper's affect-only run: λ_v = λ_a = 0.5 (AMRS §4.5)."""

MODE_REGIONS = {
    Mode.UNSPECIFIED: TargetRegion(valence=(0.55, 1.0), arousal=(0.35, 0.65)),
    Mode.ENERGIZE: TargetRegion(valence=(0.55, 1.0), arousal=(0.6, 0.85)),
    Mode.FOCUS: TargetRegion(valence=(0.5, 1.0), arousal=(0.4, 0.6)),
    Mode.CALM: TargetRegion(valence=(0.55, 1.0), arousal=(0.2, 0.4)),
    Mode.SLEEP: TargetRegion(valence=(0.5, 1.0), arousal=(0.05, 0.25)),
}
"""Where each mode steers. Set before any policy was tuned; see the decision page on utility."""


def mode_aware_utility(*, weights: Four, scales: Scales) -> TargetUtility:
    """Return the serving utility with the project's regions."""
    regions = tuple(MODE_REGIONS[mode] for mode in Mode)
    return TargetUtility.model_validate({"weights": weights, "scales": scales, "regions": regions})
