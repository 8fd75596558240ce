"""How large a study is: the recipe of every stage, and how often it is repeated. Here, and nowhere else."""

from dataclasses import dataclass
from typing import Final

from models.errors import ConfigError
from training.presets import PAPER as PAPER_PRESET
from training.presets import QUICK, Preset


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What every study on this scale shares."""

    name: str
    preset: Preset
    splits: int
    """Monte Carlo splits by listener, the same for every variant; the first n are the same whatever the count."""
    seeds: int
    """Paired seeds of a policy study, the same for every policy."""

    def __post_init__(self) -> None:
        if min(self.splits, self.seeds) < 1:
            raise ConfigError(f"a study needs at least 1 split and 1 seed; got {self.splits} and {self.seeds}")


SMALL: Final = Scale(name="small", preset=QUICK, splits=3, seeds=2)
"""Minutes on two cores, on a small log."""
PAPER: Final = Scale(name="paper", preset=PAPER_PRESET, splits=10, seeds=5)
"""As many splits and seeds as the paper has."""

SCALES: Final = {scale.name: scale for scale in (SMALL, PAPER)}


def scale_named(name: str) -> Scale:
    """Return the scale of that name.

    Raises:
        ConfigError: there is none; the message lists those that there are.
    """
    if name not in SCALES:
        raise ConfigError(f"expected a scale out of {', '.join(SCALES)}; got {name!r}")
    return SCALES[name]
