"""The policies that are trained: Copycat, and Copycat led on by each recipe of preference optimisation.

Every study that judges policies trains them here, so that a name means the same in every table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from models.errors import DataError
from models.utility import LinearUtility, TargetUtility
from training.dpo import DpoLook, optimise_preferences
from training.judging import (
    EnsembleJudge,
    Scales,
    balanced_utility,
    paper_utility,
    prediction_spread,
    serving_utility,
    situation_states,
)
from training.material import Material
from training.networks.world import Ensemble
from training.pairs import NegativeHistoryPairs, PairRecipe, SupportPairs
from training.presets import Preset
from training.situations import StartWindows, draw_windows
from training.stages import copycat_of, pair_situations
from training.streams import TrainStream
from training.tasks import Advance
from training.trained import PolicyOver, WorldOver, unit_targets
from training.variety import LET_GO, Variety
from training.world_model import train_ensemble

COPYCAT: Final = "Copycat"
PAPER_DPO: Final = "DPO, the paper's"
BUDGETED_DPO: Final = "DPO, the paper's within the KL budget"
OUR_DPO: Final = "DPO, ours"
MODE_DPO: Final = "DPO, ours by mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to fine-tune Copycat."""

    utility_in: Callable[[Scales], LinearUtility | TargetUtility]
    """The utility of pairs, in units of the measured spreads."""
    pairs: PairRecipe
    kl_budget_nats: float | None = None
    """In place of the preset's; infinite where only β holds the policy back, as in the paper."""
    variety: Variety | None = None
    """In place of the preset's; let go in the paper."""


RECIPES: Final[Mapping[str, Recipe]] = {
    PAPER_DPO: Recipe(
        utility_in=paper_utility, pairs=NegativeHistoryPairs(), kl_budget_nats=float("inf"), variety=LET_GO
    ),
    BUDGETED_DPO: Recipe(utility_in=paper_utility, pairs=NegativeHistoryPairs(), variety=LET_GO),
    OUR_DPO: Recipe(utility_in=balanced_utility, pairs=SupportPairs()),
    MODE_DPO: Recipe(utility_in=serving_utility, pairs=SupportPairs()),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyWindows:
    """The stretches of history that policies learn from."""

    train: StartWindows
    validation: StartWindows

    @classmethod
    def of(cls, material: Material, preset: Preset, *, seed: int) -> "PolicyWindows":
        """Draw them."""
        train, validation = (
            draw_windows(material.listening, listeners, preset.windows, TrainStream.WINDOWS.begin(seed))
            for listeners in (material.split.train, material.split.validation)
        )
        return cls(train=train, validation=validation)


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


def train_world(material: Material, preset: Preset, *, seed: int, advance: Advance) -> WorldOver:
    """Return the ensemble of the material's training listeners over its catalogue."""
    members = train_ensemble(
        material.histories,
        material.split,
        feature_names=material.feature_names,
        preset=preset.world,
        seed=seed,
        advance=advance,
    )
    return WorldOver(
        ensemble=Ensemble([member.model for member in members]), songs=material.histories.song_vectors
    )


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
    copycat = _cloned(material, preset, TrainStream.COPYCAT.begin(seed), advance)
    made = Contenders(networks={COPYCAT: copycat})
    for stage, (name, recipe) in enumerate(recipes.items(), start=10):
        try:
            rng = np.random.default_rng([seed, stage])
            made.networks[name], made.looks[name], made.utilities[name] = fine_tuned(
                copycat, recipe, material, windows, world, preset, rng
            )
        except DataError as error:
            made.absent[name] = str(error)
        advance(1)
    return made


def fine_tuned(
    copycat: PolicyOver,
    recipe: Recipe,
    material: Material,
    windows: PolicyWindows,
    world: WorldOver,
    preset: Preset,
    rng: np.random.Generator,
) -> tuple[PolicyOver, tuple[DpoLook, ...], LinearUtility | TargetUtility]:
    """Return Copycat, fine-tuned by one recipe, what was seen on the way, and the utility of its pairs.

    Raises:
        DataError: the recipe finds no pair.
    """
    train = pair_situations(material, windows.train, recipe.pairs, preset, rng)
    states = situation_states(world, material.histories, train)
    utility = recipe.utility_in(prediction_spread(world, states, rng))
    budget = preset.dpo.kl_budget_nats if recipe.kl_budget_nats is None else recipe.kl_budget_nats
    tuned = optimise_preferences(
        copycat,
        material.histories,
        train,
        pair_situations(material, windows.validation, recipe.pairs, preset, rng),
        judge=EnsembleJudge(world=world, state=states, mode=train.mode, utility=utility),
        recipe=recipe.pairs,
        config=replace(preset.dpo, kl_budget_nats=budget, variety=recipe.variety or preset.dpo.variety),
        rng=rng,
    )
    return replace(copycat, network=tuned.network), tuned.looks, utility


def _cloned(material: Material, preset: Preset, rng: np.random.Generator, advance: Advance) -> PolicyOver:
    cloned = copycat_of(material, preset, rng, lambda _: advance(1))
    targets = unit_targets(cloned.target, material.embeddings)
    return PolicyOver(network=cloned.network, songs=material.histories.song_vectors, targets=targets)
