"""Other worlds than the one that was tuned: one family of the platform's constants, halved or doubled.

The platform's constants are fixed; a claim that holds only at them is a claim about them. A perturbation scales
what is named below by a factor, and a log of the perturbed platform says so, so that its truth can be recovered.
Source: docs/decisions/simulated-platform.md, Other worlds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

from models.errors import ConfigError
from training.platform.parameters import EmbeddingParameters, Pair, PerMode, PlatformParameters

FACTORS: Final = (0.5, 2.0)
"""The least and the largest factor: what the studies use, and as far as a world is still a music platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """One family of constants, scaled by a factor from 0.5 to 2."""

    name: str
    factor: float

    def __post_init__(self) -> None:
        if self.name not in PERTURBATIONS:
            raise ConfigError(f"expected a perturbation among {', '.join(PERTURBATIONS)}; got '{self.name}'")
        if not FACTORS[0] <= self.factor <= FACTORS[1] or self.factor == 1:
            raise ConfigError(
                f"the factor of {self.name} must lie from {FACTORS[0]:g} to {FACTORS[1]:g} and not be 1; "
                f"got {self.factor:g}"
            )

    @property
    def label(self) -> str:
        """As it is written on the command line and in a log: `responsiveness=0.5`."""
        return f"{self.name}={self.factor!r}"


def responsiveness(parameters: PlatformParameters, factor: float) -> PlatformParameters:
    """Scale all that a song does to affect: gains, personal tilts, and what liking adds."""
    listeners, feedback = parameters.listeners, parameters.feedback
    return replace(
        parameters,
        listeners=replace(
            listeners, gain=_times(listeners.gain, factor), tilt_spread=_times(listeners.tilt_spread, factor)
        ),
        feedback=replace(feedback, liking_lift=feedback.liking_lift * factor),
    )


def inertia(parameters: PlatformParameters, factor: float) -> PlatformParameters:
    """Scale how many songs affect takes to return to its baseline: 1 − φ is divided, its spread with it.

    φ is .94; at a factor of 0.5 it is .88, at 2 it is .97.
    """
    listeners = parameters.listeners
    return replace(
        parameters,
        listeners=replace(
            listeners,
            inertia_mean=1 - (1 - listeners.inertia_mean) / factor,
            inertia_spread=listeners.inertia_spread / factor,
        ),
    )


def noise(parameters: PlatformParameters, factor: float) -> PlatformParameters:
    """Scale what moves affect beside the songs while they play, and how far a report is from the truth."""
    feedback = parameters.feedback
    return replace(
        parameters,
        feedback=replace(
            feedback,
            process_spread=_times(feedback.process_spread, factor),
            report_spread=_times(feedback.report_spread, factor),
        ),
    )


def drift(parameters: PlatformParameters, factor: float) -> PlatformParameters:
    """Scale how far from the baseline a session starts: by chance, by the mode asked for, by the hour."""
    feedback = parameters.feedback
    return replace(
        parameters,
        feedback=replace(
            feedback,
            session_spread=_times(feedback.session_spread, factor),
            circadian_arousal=feedback.circadian_arousal * factor,
            mode_valence=_times_per_mode(feedback.mode_valence, factor),
            mode_arousal=_times_per_mode(feedback.mode_arousal, factor),
        ),
    )


def tag_quality(parameters: PlatformParameters, factor: float) -> PlatformParameters:
    """Scale the signal-to-noise ratio, ρ²/(1 − ρ²), at which anybody sees a song's valence and arousal.

    Of the population's tags, ρ = .7 becomes .57 at 0.5 and .81 at 2: a correlation cannot be doubled, its odds
    can. In the embeddings the ratio is one over the squared noise, which is divided by the factor.
    """
    songs = parameters.songs
    odds = factor * songs.tag_truth**2 / (1 - songs.tag_truth**2)
    return replace(
        parameters,
        songs=replace(songs, tag_truth=sqrt(odds / (1 + odds))),
        mert_sim=_seen_better(parameters.mert_sim, factor),
        clamp3_sim=_seen_better(parameters.clamp3_sim, factor),
    )


def exposure(parameters: PlatformParameters, factor: float) -> PlatformParameters:
    """Scale how strongly production repeats itself: the weights of profile and popularity, against its jitter."""
    production = parameters.production
    return replace(
        parameters,
        production=replace(
            production,
            profile_weight=production.profile_weight * factor,
            popularity_weight=production.popularity_weight * factor,
        ),
    )


PERTURBATIONS: Final[Mapping[str, Callable[[PlatformParameters, float], PlatformParameters]]] = {
    "responsiveness": responsiveness,
    "inertia": inertia,
    "noise": noise,
    "drift": drift,
    "tag_quality": tag_quality,
    "exposure": exposure,
}
"""By the name that a log carries. No two touch the same constant, so their order is no matter."""


def perturbed(parameters: PlatformParameters, perturbations: Iterable[Perturbation]) -> PlatformParameters:
    """Return the parameters with every perturbation made."""
    for each in perturbations:
        parameters = PERTURBATIONS[each.name](parameters, each.factor)
    return parameters


def read_perturbations(labels: Sequence[str]) -> tuple[Perturbation, ...]:
    """Return the perturbations that labels such as `noise=2` name, in the order of `PERTURBATIONS`.

    Raises:
        ConfigError: a label is not a known name, =, and a factor from 0.5 to 2; or a name occurs twice.
    """
    found: dict[str, Perturbation] = {}
    for label in labels:
        name, equals, factor = label.partition("=")
        try:
            number = float(factor)
        except ValueError:
            raise ConfigError(f"expected a perturbation such as noise=0.5; got '{label}'") from None
        if not equals or name in found:
            raise ConfigError(f"a platform is perturbed once in each way; got {name} twice")
        found[name] = Perturbation(name=name, factor=number)
    return tuple(found[name] for name in PERTURBATIONS if name in found)


def labels_of(perturbations: Iterable[Perturbation]) -> str:
    """Return the perturbations as one text, which `read_perturbations` reads when split at the spaces."""
    return " ".join(each.label for each in perturbations)


def _times(pair: Pair, factor: float) -> Pair:
    return pair[0] * factor, pair[1] * factor


def _times_per_mode(values: PerMode, factor: float) -> PerMode:
    first, second, third, fourth, fifth = values
    return first * factor, second * factor, third * factor, fourth * factor, fifth * factor


def _seen_better(space: EmbeddingParameters, factor: float) -> EmbeddingParameters:
    closer = 1 / sqrt(factor)
    return replace(space, valence_noise=space.valence_noise * closer, arousal_noise=space.arousal_noise * closer)
