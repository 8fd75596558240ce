"""Presets: everything that, with a log and a seed, fixes a training run."""

from dataclasses import dataclass
from typing import Final

from models.errors import ConfigError
from training.copycat import CopycatConfig
from training.dpo import DpoConfig
from training.networks.encoder import EncoderConfig
from training.situations import WindowConfig
from training.variety import Variety
from training.world_model import PAPER as PAPER_WORLD
from training.world_model import QUICK as QUICK_WORLD
from training.world_model import WorldPreset


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The recipe of each stage."""

    name: str
    world: WorldPreset
    copycat: CopycatConfig
    dpo: DpoConfig
    windows: WindowConfig
    situations_per_window: int = 4
    """Moments of each window at which a pair is sought."""
    candidate_count: int = 100
    """K, the songs the policy proposes to the guardrails."""

    @property
    def lookback(self) -> int:
        """How many tokens the networks are shown."""
        return self.world.training.lookback


QUICK: Final = Preset(
    name="quick",
    world=QUICK_WORLD,
    copycat=CopycatConfig(),
    dpo=DpoConfig(steps=200, kl_budget_nats=0.25, variety=Variety(share=0.6, widening=0.0)),
    windows=WindowConfig(),
)
"""Two minutes for a small platform on two cores. The policy is not widened: world models of so few listeners tell
valence less well, and widening gives back more of it than they bring (docs/decisions/policy.md)."""

PAPER: Final = Preset(
    name="paper",
    world=PAPER_WORLD,
    copycat=CopycatConfig(
        encoder=EncoderConfig(width=128, blocks=2, heads=4, dropout=0.2), epochs=30, patience=4, learning_rate=2e-3
    ),
    dpo=DpoConfig(steps=300, kl_budget_nats=0.18),
    windows=WindowConfig(),
)
"""For logs of the paper's size: about a thousand listeners."""


def preset_named(name: str) -> Preset:
    """Return the preset that a bundle's manifest names.

    Raises:
        ConfigError: there is none of this name.
    """
    found = {each.name: each for each in (QUICK, PAPER)}
    if name not in found:
        raise ConfigError(f"presets are {sorted(found)}; got {name!r}")
    return found[name]
