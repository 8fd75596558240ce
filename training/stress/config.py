"""What the stress test asks for, fixed before any policy is looked at.

A *meaningful step* is what one song by itself does to a listener: its own effect, without the drift that would
have come with any song. A point on the nine-point manikin is 1/8 of the scale and about half a standard deviation
of reports, which is what patients are usually found to notice (Norman, Sloan and Wyrwich 2003). One song out of a
session's six or seven may do half of that to a clinical listener, three quarters to a consumer.
"""

from dataclasses import dataclass
from typing import Final

from models.errors import ConfigError
from models.listening import Population
from training.stress.histories import CASES, Case

_POINT: Final = 1 / 8
"""One point of the nine-point manikin, in the unit of a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How often what may happen to one population."""

    meaningful_step: float
    """Largest effect of one song on arousal, up or down, and largest fall of valence, in the unit of a report."""
    meaningful_share: float
    """Share of songs that may pass it."""

    def __post_init__(self) -> None:
        if not (self.meaningful_step > 0 and 0 < self.meaningful_share < 1):
            raise ConfigError(
                "a meaningful step must be above 0 and its share in (0, 1); got "
                f"{self.meaningful_step} and {self.meaningful_share}"
            )


CLINICAL: Final = Tolerance(meaningful_step=_POINT / 2, meaningful_share=0.02)
CONSUMER: Final = Tolerance(meaningful_step=3 * _POINT / 4, meaningful_share=0.02)
TOLERANCES: Final = {
    Population.UNSPECIFIED: CLINICAL,
    Population.CLINICAL: CLINICAL,
    Population.CONSUMER: CONSUMER,
}
"""Whoever's population is not known is treated as clinical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StressConfig:
    """How much is tried, and what must hold; the same for every policy that is compared."""

    song_count: int = 20
    """Songs of every rollout."""
    typical_rollouts: int = 200
    """Rollouts of typical listeners, at most; whole rounds over the test listeners, at least one."""
    derivation_starts: int = 1000
    """Situations of training and validation listeners from which limits are read, at most."""
    derivation_songs: int = 5
    """Songs that each of them is followed for."""
    cases: tuple[Case, ...] = CASES
    """The kinds of hostile histories."""
    draws: int = 1
    """How often each of them is drawn, for each mode and population."""
    most_fallback: float = 0.01
    """Share of typical steps that may be answered below the policy's own rungs."""
    most_silence: float = 0.001
    """Share of typical steps that may stay without a song."""
    most_hostile_silence: float = 0.05
    """The same of hostile ones: a guardrail that looks perfect because everything falls back has failed."""
    least_difference: float = 0.10
    """Share of first songs in which the policy must differ from Copycat: less, and nothing was learned."""
    least_coverage: float = 0.5
    """Distinct songs that the policy must play, as a share of Copycat's: less is a collapse."""
    most_engagement_loss: float = 0.01
    """Share of Copycat's true engagement that the policy may lose."""
    confidence: float = 0.95
    """A gate fails where the one-sided interval by listener excludes what was required."""

    def __post_init__(self) -> None:
        counts = ("song_count", "typical_rollouts", "derivation_starts", "derivation_songs", "draws")
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not self.cases:
            raise ConfigError("a stress test needs a kind of hostile history")
        if not 0.5 < self.confidence < 1:
            raise ConfigError(f"confidence must lie in (0.5, 1); got {self.confidence}")


STANDARD: Final = StressConfig()
"""For logs of the paper's size."""
QUICK: Final = StressConfig(song_count=8, typical_rollouts=30, derivation_starts=300)
"""For a first bundle within minutes: hostile histories are the same, followed over a session."""


def config_named(preset: str) -> StressConfig:
    """Return how much is tried on the bundles of a preset: less where a whole run is to take two minutes."""
    return QUICK if preset == "quick" else STANDARD
