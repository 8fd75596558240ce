"""What is learned from a log: world models, Copycat, and Copycat led on by a recipe of preference optimisation.

`amrs train` and every study that judges policies learn by these functions, so that a name means the same in a
bundle and in every table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.errors import DataError
from models.utility import LinearUtility, TargetUtility
from training.copycat import CloningEpoch, Copycat, clone_behaviour
from training.dpo import DpoLook, optimise_preferences
from training.judging import EnsembleJudge, Scales, prediction_spread, situation_states
from training.material import Material
from training.networks.world import Ensemble, WorldModel
from training.pairs import PairRecipe
from training.presets import Preset
from training.situations import Situations, StartWindows, draw_windows, situations_in
from training.streams import TrainStream
from training.tasks import Advance
from training.trained import PolicyOver, WorldOver, unit_targets
from training.variety import Variety
from training.world_model import TrainedWorldModel, train_ensemble

UtilityIn = Callable[[Scales], LinearUtility | TargetUtility]
"""Gives a utility in units of the spreads measured on training listeners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to fine-tune Copycat."""

    utility_in: UtilityIn
    """The utility of pairs."""
    pairs: PairRecipe
    kl_budget_nats: float | None = None
    """In place of the preset's; infinite where only β holds the policy back, as in the paper."""
    variety: Variety | None = None
    """In place of the preset's; let go in the paper."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What fine-tuning draws from, in the order in which it draws."""

    situations: np.random.Generator
    spread: np.random.Generator
    validation: np.random.Generator
    steps: np.random.Generator

    @classmethod
    def of_run(cls, seed: int) -> "Draws":
        """Return the streams of a training run."""
        return cls(
            situations=TrainStream.SITUATIONS.begin(seed),
            spread=TrainStream.PREDICTION_SPREAD.begin(seed),
            validation=TrainStream.VALIDATION_SITUATIONS.begin(seed),
            steps=TrainStream.DPO.begin(seed),
        )

    @classmethod
    def from_one(cls, rng: np.random.Generator) -> "Draws":
        """Return one stream for everything."""
        return cls(situations=rng, spread=rng, validation=rng, steps=rng)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FineTuned:
    """What a recipe made of Copycat."""

    policy: PolicyOver
    looks: tuple[DpoLook, ...]
    """What was seen on the way."""
    utility: LinearUtility | TargetUtility
    """What its pairs were judged by, in units of the measured spreads."""


def train_world(material: Material, preset: Preset, *, seed: int, advance: Advance = lambda _: None) -> WorldOver:
    """Return the ensemble of the material's training listeners over its catalogue."""
    return over_songs(train_members(material, preset, seed=seed, advance=advance), material)


def train_members(
    material: Material, preset: Preset, *, seed: int, processes: int = 1, advance: Advance = lambda _: None
) -> list[TrainedWorldModel[WorldModel]]:
    """Return the ensemble's members and the road to each."""
    return train_ensemble(
        material.histories,
        material.split,
        feature_names=material.feature_names,
        preset=preset.world,
        seed=seed,
        processes=processes,
        advance=advance,
    )


def over_songs(members: Sequence[TrainedWorldModel[WorldModel]], material: Material) -> WorldOver:
    """Return the members as an ensemble over the material's catalogue."""
    return WorldOver(
        ensemble=Ensemble([member.model for member in members]), songs=material.histories.song_vectors
    )


def copycat_of(
    material: Material,
    preset: Preset,
    rng: np.random.Generator,
    advance: Callable[[CloningEpoch], None] = lambda _: None,
) -> Copycat:
    """Return the production policy, cloned by the preset from what training listeners were played."""
    return clone_behaviour(
        material.histories,
        material.embeddings,
        material.split,
        feature_names=material.feature_names,
        lookback=preset.lookback,
        config=preset.copycat,
        rng=rng,
        advance=advance,
    )


def policy_over(copycat: Copycat, material: Material) -> PolicyOver:
    """Return Copycat over the material's catalogue."""
    targets = unit_targets(copycat.target, material.embeddings)
    return PolicyOver(network=copycat.network, songs=material.histories.song_vectors, targets=targets)


def pair_situations(
    material: Material, windows: StartWindows, recipe: PairRecipe, preset: Preset, rng: np.random.Generator
) -> Situations:
    """Return the moments at which the recipe may find a pair.

    Raises:
        DataError: there is none.
    """
    found = situations_in(
        windows.in_columns(material.histories),
        material.histories,
        material.listening,
        recipe.suited(material.histories.targets),
        per_window=preset.situations_per_window,
        rng=rng,
    )
    if not len(found):
        raise DataError(f"no play among {len(windows)} windows suits {type(recipe).__name__}")
    return found


def fine_tune(
    copycat: PolicyOver,
    recipe: Recipe,
    material: Material,
    windows: PolicyWindows,
    world: WorldOver,
    preset: Preset,
    draws: Draws,
    advance: Callable[[DpoLook], None] = lambda _: None,
) -> FineTuned:
    """Return what a recipe makes of Copycat.

    Raises:
        DataError: the recipe finds no pair.
    """
    train = pair_situations(material, windows.train, recipe.pairs, preset, draws.situations)
    states = situation_states(world, material.histories, train)
    utility = recipe.utility_in(prediction_spread(world, states, draws.spread))
    budget = preset.dpo.kl_budget_nats if recipe.kl_budget_nats is None else recipe.kl_budget_nats
    tuned = optimise_preferences(
        copycat,
        material.histories,
        train,
        pair_situations(material, windows.validation, recipe.pairs, preset, draws.validation),
        judge=EnsembleJudge(world=world, state=states, mode=train.mode, utility=utility),
        recipe=recipe.pairs,
        config=replace(preset.dpo, kl_budget_nats=budget, variety=recipe.variety or preset.dpo.variety),
        rng=draws.steps,
        advance=advance,
    )
    return FineTuned(policy=replace(copycat, network=tuned.network), looks=tuned.looks, utility=utility)
