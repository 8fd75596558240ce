"""The listeners' truth: taste, baseline, responsiveness, inertia and habits, one row per listener.

Legend: N listeners · W content width
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.listening import Population
from training.platform.parameters import ListenerParameters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listeners:
    """What is true of N listeners; only the population is known to anybody."""

    population: Int[ndarray, " N"]
    taste: Float[ndarray, "N W"]
    """Standard normal; liking is taste · content / √W plus appeal."""
    baseline: Float[ndarray, "N 2"]
    """The affect to which the listener drifts back."""
    gain: Float[ndarray, "N 2"]
    """Personal response of V to a song's V, and of A to its A."""
    tilt: Float[ndarray, "N 2 W"]
    """Personal response of V and A to content as such."""
    inertia: Float[ndarray, " N"]
    """Share of the distance from the baseline left one song later, in (0, 1)."""
    engagement_bias: Float[ndarray, " N"]
    rating_bias: Float[ndarray, " N"]
    """Logits."""
    rating_habit: Float[ndarray, " N"]
    """Logits of rating at all."""
    report_habit: Float[ndarray, " N"]
    """Logits of reporting at a session's end."""

    @property
    def listener_count(self) -> int:
        """N."""
        return len(self.population)


def baseline_means(population: Int[ndarray, " N"], parameters: ListenerParameters) -> Float[ndarray, "N 2"]:
    """Return the mean baseline of each listener's population."""
    clinical = (population == Population.CLINICAL)[:, None]
    return np.where(clinical, parameters.baseline_mean_clinical, parameters.baseline_mean_consumer)


def draw_listeners(
    listener_count: int, content_width: int, parameters: ListenerParameters, rng: np.random.Generator
) -> Listeners:
    """Return listeners, clinical and consumer mixed in random order."""
    count, width = listener_count, content_width
    clinical = rng.random(count) < parameters.clinical_share
    population = np.where(clinical, Population.CLINICAL, Population.CONSUMER).astype(np.int64)
    spread = parameters.gain_spread
    return Listeners(
        population=population,
        taste=rng.normal(size=(count, width)),
        baseline=baseline_means(population, parameters) + rng.normal(size=(count, 2)) * parameters.baseline_spread,
        gain=np.array(parameters.gain) * rng.lognormal(0, spread, (count, 2)),
        tilt=rng.normal(size=(count, 2, width)) * np.array(parameters.tilt_spread)[:, None],
        inertia=np.clip(rng.normal(parameters.inertia_mean, parameters.inertia_spread, count), 0.8, 0.995),
        engagement_bias=rng.normal(0, parameters.engagement_spread, count),
        rating_bias=rng.normal(0, parameters.rating_spread, count),
        rating_habit=rng.normal(0, parameters.rating_habit_spread, count),
        report_habit=rng.normal(0, parameters.report_habit_spread, count),
    )
