"""The runs behind Tables 4 and 5: one cell trains every policy with one seed and lets all play to the same listeners.

The split, the windows and the listeners are those of seed 0 in every cell and for every policy, as in the paper, so
that seeds differ in training alone and every comparison is paired by seed and by listener. Both tables read the
same cells: a policy is trained once.

world models → Copycat → DPO by each recipe, SASRec → rollouts of all → records (`training.studies.policy_records`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from models.errors import DataError
from models.log import read_log
from models.utility import PAPER_UTILITY, LinearUtility, TargetUtility
from training.choosing import Setting
from training.copycat import clone_behaviour
from training.dpo import DpoLook, optimise_preferences
from training.judging import (
    EnsembleJudge,
    Scales,
    paper_utility,
    prediction_spread,
    serving_utility,
    situation_states,
)
from training.limits import mean_reports
from training.material import Material, prepare
from training.networks.world import Ensemble
from training.pairs import NegativeHistoryPairs, PairRecipe, SupportPairs
from training.policies.neighbours import session_neighbours
from training.policies.oracle import Oracle, believed
from training.policies.plain import Greedy, Learned, Random
from training.policies.policy import Policy
from training.policies.popularity import Popularity, play_counts
from training.policies.sasrec import train_sasrec
from training.policies.tag_order import TagOrder, affect_tags
from training.presets import Preset
from training.rollout import Rollouts, roll_out
from training.situations import Situations, StartWindows, draw_windows, situations_in
from training.stages import no_limits, setting_with, start_of
from training.studies import policy_records as records
from training.studies.cells import Cell, Records, Row
from training.studies.scales import Scale
from training.tasks import Advance
from training.trained import PolicyOver, WorldOver, unit_targets
from training.world_model import train_ensemble

RUNS: Final = "policies"
"""What the cells are called in the cache, whichever table asked for them."""
REVISION: Final = 1

COPYCAT: Final = "Copycat"
PAPER_DPO: Final = "DPO, the paper's"
BUDGETED_DPO: Final = "DPO, the paper's within the KL budget"
OUR_DPO: Final = "DPO, ours"
MODE_DPO: Final = "DPO, ours by mode"
RANDOM: Final = "Random"
GREEDY: Final = "Greedy"
ORACLE: Final = "Copycat re-ranked by the truth"
BELIEVER: Final = "Copycat re-ranked by a Kalman filter"

_SHARED_SEED: Final = 0
"""Of what no cell may differ in: the split and the windows."""
_TRAINING_WINDOWS: Final = 1
"""Windows of each training listener in which adherence is measured: five would cost more than all training."""


def policy_cells(scale: Scale) -> list[Cell]:
    """Return one cell per seed."""
    return [Cell(study=RUNS, settings=(("seed", seed),)) for seed in range(scale.seeds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to fine-tune Copycat."""

    utility_in: Callable[[Scales], LinearUtility | TargetUtility]
    """The utility of pairs, in units of the measured spreads."""
    pairs: PairRecipe
    kl_budget_nats: float | None = None
    """In place of the preset's; infinite where only β holds the policy back, as in the paper."""


def standardised_affect(scales: Scales) -> LinearUtility:
    """Return the paper's affect-only utility with each signal in units of its spread, so that neither drowns."""
    return PAPER_UTILITY.model_copy(update={"scales": scales})


RECIPES: Final[Mapping[str, Recipe]] = {
    PAPER_DPO: Recipe(utility_in=paper_utility, pairs=NegativeHistoryPairs(), kl_budget_nats=float("inf")),
    BUDGETED_DPO: Recipe(utility_in=paper_utility, pairs=NegativeHistoryPairs()),
    OUR_DPO: Recipe(utility_in=standardised_affect, pairs=SupportPairs()),
    MODE_DPO: Recipe(utility_in=serving_utility, pairs=SupportPairs()),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """Every policy that plays in one cell, and what was seen in making them."""

    policies: dict[str, Policy] = field(default_factory=dict)
    networks: dict[str, PolicyOver] = field(default_factory=dict)
    """Of the policies that have a distribution over the catalogue like Copycat's."""
    looks: dict[str, tuple[DpoLook, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Why a policy could not be made."""


def run_policies(cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
    """Return what every policy comes to with the cell's seed.

    Raises:
        LogError: the log breaks its schema.
        DataError: it has too few listeners.
    """
    seed, preset = cell.number("seed"), scale.preset
    material = prepare(
        read_log(log), space=None, reading=preset.world.reading, held_out=(), rng=_shared_stream(0)
    )
    windows = _Windows.of(material, preset)
    members = train_ensemble(
        material.histories,
        material.split,
        feature_names=material.feature_names,
        preset=preset.world,
        seed=seed,
        advance=advance,
    )
    world = WorldOver(
        ensemble=Ensemble([member.model for member in members]), songs=material.histories.song_vectors
    )
    rivals = _trained(material, windows, world, preset, seed, advance)
    setting = setting_with(
        material, world, preset, no_limits(mean_reports(material.listening.select(material.split.train)))
    )
    rollouts = dict(_played(rivals.policies, material, windows.test, setting, seed, advance))
    return {
        "about": [_about(material, windows)],
        "absent": [{"policy": name, "reason": reason} for name, reason in rivals.absent.items()],
        "policies": list(
            records.policy_rows(rollouts, rivals.networks, material, windows.test, preset.copycat.temperature)
        ),
        "listeners": list(records.listener_rows(rollouts, windows.test.listener)),
        "trajectories": list(records.trajectory_rows(rollouts, start_of(material, windows.test))),
        "exposure": list(records.exposure_rows(rollouts, len(material.catalogue))),
        "looks": list(records.look_rows(rivals.looks)),
        "adherence": [
            *records.adherence_rows(rollouts, "test", windows.test, material.histories),
            *_adherence_elsewhere(rivals.policies, material, windows, setting, seed, advance),
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Windows:
    """The stretches of history that every policy of every cell learns from and is judged on."""

    train: StartWindows
    validation: StartWindows
    test: StartWindows

    @classmethod
    def of(cls, material: Material, preset: Preset) -> "_Windows":
        """Draw them."""
        split = material.split
        train, validation, test = (
            draw_windows(material.listening, listeners, preset.windows, _shared_stream(1))
            for listeners in (split.train, split.validation, split.test)
        )
        return cls(train=train, validation=validation, test=test)


def _trained(
    material: Material, windows: _Windows, world: WorldOver, preset: Preset, seed: int, advance: Advance
) -> Field:
    """Return every policy, trained."""

    def stream(stage: int) -> np.random.Generator:
        return np.random.default_rng([seed, stage])

    histories, split = material.histories, material.split
    cloned = clone_behaviour(
        histories,
        material.embeddings,
        split,
        feature_names=material.feature_names,
        lookback=preset.lookback,
        config=preset.copycat,
        rng=stream(2),
        advance=lambda _: advance(1),
    )
    copycat = PolicyOver(
        network=cloned.network,
        songs=histories.song_vectors,
        targets=unit_targets(cloned.target, material.embeddings),
    )
    rivals = Field(policies={COPYCAT: Learned(copycat)}, networks={COPYCAT: copycat})
    for stage, (name, recipe) in enumerate(RECIPES.items(), start=10):
        try:
            tuned, looks = _tuned(copycat, recipe, material, windows, world, preset, stream(stage))
        except DataError as error:
            rivals.absent[name] = str(error)
        else:
            rivals.networks[name], rivals.looks[name] = tuned, looks
            rivals.policies[name] = Learned(tuned)
        advance(1)
    rivals.policies[RANDOM] = Random(len(material.catalogue))
    rivals.policies[GREEDY] = Greedy(world, PAPER_UTILITY)
    _add_references(rivals, material, preset, stream(3), advance)
    return rivals


def _tuned(
    copycat: PolicyOver,
    recipe: Recipe,
    material: Material,
    windows: _Windows,
    world: WorldOver,
    preset: Preset,
    rng: np.random.Generator,
) -> tuple[PolicyOver, tuple[DpoLook, ...]]:
    """Return Copycat, fine-tuned by one recipe.

    Raises:
        DataError: the recipe finds no pair.
    """
    train = _situations(material, windows.train, recipe, preset, rng)
    states = situation_states(world, material.histories, train)
    utility = recipe.utility_in(prediction_spread(world, states, rng))
    budget = preset.dpo.kl_budget_nats if recipe.kl_budget_nats is None else recipe.kl_budget_nats
    tuned = optimise_preferences(
        copycat,
        material.histories,
        train,
        _situations(material, windows.validation, recipe, preset, rng),
        judge=EnsembleJudge(world=world, state=states, mode=train.mode, utility=utility),
        recipe=recipe.pairs,
        config=replace(preset.dpo, kl_budget_nats=budget),
        rng=rng,
    )
    return replace(copycat, network=tuned.network), tuned.looks


def _situations(
    material: Material, windows: StartWindows, recipe: Recipe, preset: Preset, rng: np.random.Generator
) -> Situations:
    """Return the moments at which the recipe may find a pair.

    Raises:
        DataError: there is none.
    """
    found = situations_in(
        windows.in_columns(material.histories),
        material.histories,
        material.listening,
        recipe.pairs.suited(material.histories.targets),
        per_window=preset.situations_per_window,
        rng=rng,
    )
    if not len(found):
        raise DataError(f"no play among {len(windows)} windows suits {type(recipe.pairs).__name__}")
    return found


def _add_references(
    rivals: Field, material: Material, preset: Preset, rng: np.random.Generator, advance: Advance
) -> None:
    """Add what a reader expects beside the paper's policies, and what nobody could pass."""
    histories, split = material.histories, material.split
    rivals.policies["Popularity"] = Popularity(play_counts(histories, split.train))
    rivals.policies["Neighbours"] = session_neighbours(material.listening.select(split.train), material.catalogue)
    rivals.policies["SASRec"] = train_sasrec(
        histories,
        split,
        lookback=preset.lookback,
        config=preset.copycat,
        rng=rng,
        advance=lambda _: advance(1),
    )
    try:
        rivals.policies["Tag order"] = TagOrder.by(affect_tags(material.log), PAPER_UTILITY)
    except DataError as error:
        rivals.absent["Tag order"] = str(error)
    if material.truth is None:
        rivals.absent[ORACLE] = rivals.absent[BELIEVER] = "the truth of real listeners is not known"
        return
    for name, truth in ((BELIEVER, believed(material.truth)), (ORACLE, material.truth)):
        rivals.policies[name] = Oracle(
            policy=rivals.policies[COPYCAT],
            truth=truth,
            utility=PAPER_UTILITY,
            depth=preset.candidate_count,
        )


def _played(
    policies: Mapping[str, Policy],
    material: Material,
    windows: StartWindows,
    setting: Setting,
    seed: int,
    advance: Advance,
) -> Iterator[tuple[str, Rollouts]]:
    """Yield every policy's rollouts from the same windows, by the policy alone."""
    start = start_of(material, windows)
    for name, policy in policies.items():
        rng = np.random.default_rng([seed, 4])
        yield name, roll_out(policy, start, setting, guarded=False, rng=rng, advance=advance)


def _adherence_elsewhere(
    policies: Mapping[str, Policy],
    material: Material,
    windows: _Windows,
    setting: Setting,
    seed: int,
    advance: Advance,
) -> Iterator[Row]:
    """Yield adherence on training and validation listeners."""
    first = np.unique(windows.train.listener, return_index=True)[1]
    some = np.sort((first[:, None] + np.arange(_TRAINING_WINDOWS)).ravel())
    for split, chosen in (("train", windows.train.take(some)), ("validation", windows.validation)):
        rollouts = dict(_played(policies, material, chosen, setting, seed, advance))
        yield from records.adherence_rows(rollouts, split, chosen, material.histories)


def _about(material: Material, windows: _Windows) -> Row:
    """Return what a reader must know of a cell."""
    split = material.split
    return {
        "simulated": material.log.description.simulated,
        "songs": len(material.catalogue),
        "songs heard by training listeners": len(material.heard),
        "training listeners": len(split.train),
        "test listeners": len(np.unique(windows.test.listener)),
        "test windows": len(windows.test),
        "test listeners left out for too few plays": windows.test.left_out_count,
    }


def _shared_stream(stage: int) -> np.random.Generator:
    return np.random.default_rng([_SHARED_SEED, stage])
