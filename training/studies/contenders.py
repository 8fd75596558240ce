"""The policies that are trained: Copycat, and Copycat led on by each recipe of preference optimisation.

Every study that judges policies trains them here, so that a name means the same in every table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.errors import DataError
from models.utility import LinearUtility, TargetUtility
from training.dpo import DpoLook
from training.judging import balanced_utility, paper_utility, serving_utility
from training.learning import Draws, PolicyWindows, Recipe, copycat_of, fine_tune, policy_over
from training.material import Material
from training.pairs import NegativeHistoryPairs, SupportPairs
from training.presets import Preset
from training.streams import TrainStream
from training.tasks import Advance
from training.trained import PolicyOver, WorldOver
from training.variety import LET_GO

COPYCAT: Final = "Copycat"
PAPER_DPO: Final = "DPO, the paper's"
BUDGETED_DPO: Final = "DPO, the paper's within the KL budget"
OUR_DPO: Final = "DPO, ours"
MODE_DPO: Final = "DPO, ours by mode"


RECIPES: Final[Mapping[str, Recipe]] = {
    PAPER_DPO: Recipe(
        utility_in=paper_utility, pairs=NegativeHistoryPairs(), kl_budget_nats=float("inf"), variety=LET_GO
    ),
    BUDGETED_DPO: Recipe(utility_in=paper_utility, pairs=NegativeHistoryPairs(), variety=LET_GO),
    OUR_DPO: Recipe(utility_in=balanced_utility, pairs=SupportPairs()),
    MODE_DPO: Recipe(utility_in=serving_utility, pairs=SupportPairs()),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contenders:
    """What was trained with one seed."""

    networks: dict[str, PolicyOver] = field(default_factory=dict)
    """Copycat first."""
    looks: dict[str, tuple[DpoLook, ...]] = field(default_factory=dict)
    utilities: dict[str, LinearUtility | TargetUtility] = field(default_factory=dict)
    """What each recipe's pairs were judged by, in units of the measured spreads."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why a policy could not be made."""


def train_contenders(
    material: Material,
    world: WorldOver,
    windows: PolicyWindows,
    preset: Preset,
    *,
    seed: int,
    advance: Advance,
    recipes: Mapping[str, Recipe] = RECIPES,
) -> Contenders:
    """Return Copycat and what each recipe makes of it."""
    cloned = copycat_of(material, preset, TrainStream.COPYCAT.begin(seed), lambda _: advance(1))
    copycat = policy_over(cloned, material)
    made = Contenders(networks={COPYCAT: copycat})
    for stage, (name, recipe) in enumerate(recipes.items(), start=10):
        try:
            draws = Draws.from_one(np.random.default_rng([seed, stage]))
            tuned = fine_tune(copycat, recipe, material, windows, world, preset, draws)
        except DataError as error:
            made.absent[name] = str(error)
        else:
            made.networks[name], made.looks[name], made.utilities[name] = tuned.policy, tuned.looks, tuned.utility
        advance(1)
    return made
