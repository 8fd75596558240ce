"""The ingredients of a policy, alone and together, each judged by the truth of fresh worlds.

One cell is one seed and one part of the recipes, for all of them would take longer than a cell may: simulate the
base world, train world models and Copycat, fine-tune Copycat by every recipe of the part, and let all play to
strangers. World, models and Copycat are the same in every part of a seed. Recipes may be chosen by what stands
here, so the seeds are of a range of their own, and what was chosen is judged by `amrs study worlds`. LOG is not
read beyond its description.

simulate → world models → Copycat → recipes → rollouts for strangers → truth

Legend: R rollouts
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from models.log_schema import LogDescription
from models.utility import PAPER_UTILITY
from training.decoding import pessimistic_rerank
from training.dpo import DpoLook
from training.judges.paired import ALL
from training.judges.truth import judge_by_truth, true_distance
from training.judging import BALANCED, UPWARD, balanced_utility, paper_utility, serving_utility
from training.learning import PolicyWindows, Recipe, train_world
from training.limits import mean_reports
from training.networks.reading import UnscaledConfig
from training.pairs import NOT_STRICT, NegativeHistoryPairs, Outright, OverplayedPairs, Standards, SupportPairs
from training.platform.parameters import SIZES, PlatformParameters, PlatformSize
from training.policies.plain import Learned
from training.presets import Preset
from training.rollout import Rollouts
from training.stages import no_limits, setting_with
from training.statistics import clustered_interval
from training.studies.cells import Cell, Figure, Records, Results, ResultTable, Row
from training.studies.contenders import COPYCAT, PAPER_DPO, Contenders, train_contenders
from training.studies.ingredients_tables import ALONE, BEHIND, CHANGED, TARGETS, TOGETHER, gain_figure, gain_table
from training.studies.intervals import interval_fields
from training.studies.policy_runs import RERANKED_COPYCAT, Rival, play_all
from training.studies.scales import Scale
from training.studies.worlds import World, diversity_rows, gain_row
from training.tasks import Advance
from training.trained import WorldOver
from training.trajectories import SequencePairs
from training.variety import AS_VARIED, LET_GO

_FIRST_SEED: Final = 3_000
"""Of the worlds, and 500 above it of their strangers: nothing else is reported on any of these."""
_RESAMPLING: Final = 0
"""Seed of the bootstrap."""

UNVARIED: Final = "budget, support pairs, utility, pessimism, agreement"
EVERYTHING: Final = f"{UNVARIED}, varied"
"""The recipe with every ingredient that was kept before this study."""
BY_MODE: Final = "by mode"
OVERPLAYED: Final = "overplayed songs for the worst"

_FAR: Final = float("inf")
_DOUBTFUL: Final = Standards(caution=2.0, least_margin=0.0, least_agreement=NOT_STRICT.least_agreement)
"""Pessimism alone. A least margin is in units of utility, and the paper's utility has no scales."""
_AGREED: Final = Standards(caution=0.0, least_margin=0.0, least_agreement=0.8)
"""Contested pairs dropped, and nothing else."""
_PAPER: Final = Recipe(utility_in=paper_utility, pairs=NegativeHistoryPairs(), kl_budget_nats=_FAR, variety=LET_GO)
_TOGETHER: Final = Recipe(utility_in=balanced_utility, pairs=SupportPairs(), variety=LET_GO)
_VARIED: Final = replace(_TOGETHER, variety=AS_VARIED)
_UNSTRICT_SUPPORT: Final = SupportPairs(standards=NOT_STRICT)

RECIPES: Final[Mapping[str, Mapping[str, Recipe]]] = {
    ALONE: {
        PAPER_DPO: _PAPER,
        "+ KL budget": replace(_PAPER, kl_budget_nats=None),
        "+ standardised utility": replace(_PAPER, utility_in=balanced_utility),
        "+ utility by mode": replace(_PAPER, utility_in=serving_utility),
        "+ pessimism": replace(_PAPER, pairs=NegativeHistoryPairs(standards=_DOUBTFUL)),
        "+ contested pairs dropped": replace(_PAPER, pairs=NegativeHistoryPairs(standards=_AGREED)),
        "+ labels not smoothed": replace(_PAPER, pairs=Outright(NegativeHistoryPairs())),
        "+ varied": replace(_PAPER, variety=AS_VARIED),
        "support pairs": replace(_PAPER, pairs=_UNSTRICT_SUPPORT),
        "overplayed songs rejected": replace(_PAPER, pairs=OverplayedPairs(standards=NOT_STRICT)),
        "sequences": replace(_PAPER, pairs=SequencePairs(standards=NOT_STRICT)),
    },
    TOGETHER: {
        "budget, support pairs": replace(_PAPER, pairs=_UNSTRICT_SUPPORT, kl_budget_nats=None),
        "budget, support pairs, utility": replace(_TOGETHER, pairs=_UNSTRICT_SUPPORT),
        "budget, support pairs, utility, pessimism": replace(_TOGETHER, pairs=SupportPairs(standards=_DOUBTFUL)),
        UNVARIED: _TOGETHER,
        EVERYTHING: _VARIED,
    },
    CHANGED: {
        "no budget": replace(_VARIED, kl_budget_nats=_FAR),
        "the paper's pairs": replace(_VARIED, pairs=NegativeHistoryPairs(standards=Standards())),
        "labels not smoothed": replace(_VARIED, pairs=Outright(SupportPairs())),
        OVERPLAYED: replace(_VARIED, pairs=OverplayedPairs()),
        "overplayed songs, not varied": replace(_TOGETHER, pairs=OverplayedPairs()),
        "sequences for pairs": replace(_VARIED, pairs=SequencePairs()),
        BY_MODE: replace(_VARIED, utility_in=serving_utility),
        "by mode, overplayed songs": replace(_VARIED, utility_in=serving_utility, pairs=OverplayedPairs()),
        "by mode, sequences": replace(_VARIED, utility_in=serving_utility, pairs=SequencePairs()),
    },
}
"""Every recipe, by what its row is compared with. A name says what is added, or what is otherwise."""
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {"alone": (ALONE,), "together": (TOGETHER, CHANGED), "targets": ()}
"""Which recipes a cell trains; that of other targets trains Copycat again, and what is made of it."""
_ELSEWHERE: Final = {PAPER_DPO: _PAPER, EVERYTHING: _VARIED}
"""What is made of Copycat where its targets are not whitened."""
_CENTRED: Final = {"centred targets": True, "raw targets": False}
_RERANKED: Final = {
    RERANKED_COPYCAT: (COPYCAT, EVERYTHING),
    "Copycat, re-ranked by mode": (COPYCAT, BY_MODE),
    f"{PAPER_DPO}, re-ranked": (PAPER_DPO, PAPER_DPO),
    f"{EVERYTHING}, re-ranked": (EVERYTHING, EVERYTHING),
    f"{OVERPLAYED}, re-ranked": (OVERPLAYED, OVERPLAYED),
    f"{BY_MODE}, re-ranked": (BY_MODE, BY_MODE),
}
"""Policies behind the re-ranking decoder: whose songs, and by whose utility."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """The study; its cells are seeds and parts of the recipes."""

    name: str = "ingredients"
    title: str = "The ingredients of a policy, alone and together"
    revision: int = 1
    sizes: Mapping[str, PlatformSize] = field(default_factory=lambda: dict(SIZES))
    """Of a world, by the name of the scale."""
    recipes: Mapping[str, Mapping[str, Recipe]] = field(default_factory=lambda: dict(RECIPES))
    """By their group in the table."""

    def cells(self, scale: Scale) -> list[Cell]:
        """Return every part on each seed."""
        return [
            Cell(study=self.name, settings=(("seed", seed), ("part", part)))
            for seed in range(scale.seeds)
            for part in _PARTS
        ]

    def refuses(self, description: LogDescription) -> str | None:
        """Return why a log of real listeners cannot serve."""
        return None if description.simulated else "ingredients are judged by the truth of simulated platforms"

    def reads(self, scale: Scale) -> object:
        """Return what fixes a cell's numbers besides its seed and part."""
        preset = scale.preset
        stages = (preset.world, preset.copycat, preset.dpo, preset.windows)
        counts = (preset.situations_per_window, preset.candidate_count)
        recipes = tuple(
            (name, each.pairs, each.utility_in.__name__, each.kl_budget_nats, each.variety)
            for group in self.recipes.values()
            for name, each in group.items()
        )
        weights = (UPWARD, BALANCED, pessimistic_rerank(PAPER_UTILITY))
        return stages, counts, recipes, weights, self.sizes[scale.name], PlatformParameters()

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return what every recipe of the part truly gains over Copycat in the seed's world."""
        del log
        seed, preset = cell.number("seed"), scale.preset
        world = World.of((), self.sizes[scale.name], seed=_FIRST_SEED + seed, preset=preset)
        part = cell.text("part")
        recipes = {group: self.recipes[group] for group in _PARTS[part]}
        others = _CENTRED if part == "targets" else {}
        made = _made(world, recipes, others, preset, seed=seed, advance=advance)
        setting = setting_with(
            world.material,
            made.world,
            preset,
            no_limits(mean_reports(world.material.listening.select(world.material.split.train))),
        )
        rollouts = play_all(made.rivals, world.start, setting, seed, advance)
        whole = {ALL: np.ones(len(world.listeners), bool)}
        gains = judge_by_truth(
            rollouts, world.listeners, reference=COPYCAT, oracle=None, seed=_RESAMPLING, groups=whole
        )
        return {
            "about": [world.about],
            "policies": [{"policy": name, "group": group} for name, group in made.groups.items()],
            "absent": [{"policy": name, "reason": reason} for name, reason in made.absent.items()],
            "gains": [gain_row(each) for each in gains],
            "distances": list(_distance_rows(rollouts, world.listeners)),
            "diversity": list(diversity_rows(rollouts, world.material.embeddings)),
            "reach": made.reach,
        }

    def tables(self, results: Results) -> list[ResultTable]:
        """Return the one table."""
        return [gain_table(results)] if results else []

    def figures(self, results: Results) -> list[Figure]:
        """Return what each recipe was promised and what was true."""
        return gain_figure(results)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    """Everything that plays in one world."""

    world: WorldOver
    rivals: dict[str, Rival] = field(default_factory=dict)
    """Copycat first."""
    groups: dict[str, str] = field(default_factory=dict)
    """In which part of the table each of them stands."""
    absent: dict[str, str] = field(default_factory=dict)
    reach: list[Row] = field(default_factory=list)
    """How far each recipe led the policy."""

    def take(
        self, contenders: Contenders, budgets: Mapping[str, float], group_of: Mapping[str, str], suffix: str
    ) -> None:
        """Add trained policies under their names and a suffix."""
        self.absent.update({f"{name}{suffix}": reason for name, reason in contenders.absent.items()})
        for name, network in contenders.networks.items():
            self.rivals[f"{name}{suffix}"] = Rival(Learned(network))
            self.groups[f"{name}{suffix}"] = group_of[name]
        for name, looks in contenders.looks.items():
            self.reach.append({"policy": f"{name}{suffix}", **_reach(looks, budgets[name])})


def _made(
    world: World,
    groups: Mapping[str, Mapping[str, Recipe]],
    others: Mapping[str, bool],
    preset: Preset,
    *,
    seed: int,
    advance: Advance,
) -> _Made:
    """Return Copycat, what recipes make of it, and some of that behind a decoder.

    Args:
        groups: the recipes by their group in the table.
        others: names of other targets, and whether those are centred.
    """
    material = world.material
    models = train_world(material, preset, seed=seed, advance=advance)
    windows = PolicyWindows.of(material, preset, seed=seed)
    recipes = {name: recipe for group in groups.values() for name, recipe in group.items()}
    budgets = {
        name: preset.dpo.kl_budget_nats if each.kl_budget_nats is None else each.kl_budget_nats
        for name, each in (*recipes.items(), *_ELSEWHERE.items())
    }
    group_of = {COPYCAT: ALONE} | {name: group for group, own in groups.items() for name in own}
    made = _Made(world=models)

    trained = train_contenders(material, models, windows, preset, seed=seed, advance=advance, recipes=recipes)
    made.take(trained, budgets, group_of, "")
    for name, (songs_of, utility_of) in _RERANKED.items():
        if songs_of in trained.networks and utility_of in trained.utilities:
            decoder = pessimistic_rerank(trained.utilities[utility_of])
            made.rivals[name] = Rival(Learned(trained.networks[songs_of]), decoder)
            made.groups[name] = BEHIND
    for name, is_centred in others.items():
        target = UnscaledConfig(components=preset.copycat.target.components, centred=is_centred)
        there = replace(preset, copycat=replace(preset.copycat, target=target))
        other = train_contenders(material, models, windows, there, seed=seed, advance=advance, recipes=_ELSEWHERE)
        made.take(other, budgets, dict.fromkeys(other.networks, TARGETS), f", {name}")
    return made


def _reach(looks: Sequence[DpoLook], budget_nats: float) -> Row:
    """Return where the policy was when it was kept: at the last look within the budget, else where it began."""
    within = [look for look in looks if look.kl_nats <= budget_nats]
    if not within:
        return {"steps": 0, "kl_nats": 0.0, "flattening": 0.0}
    return {"steps": within[-1].step, "kl_nats": within[-1].kl_nats, "flattening": within[-1].flattening}


def _distance_rows(rollouts: Mapping[str, Rollouts], listeners: Int[ndarray, " R"]) -> Iterator[Row]:
    """Yield each policy's true distance from the mode's region less Copycat's, over all modes."""
    base = true_distance(rollouts[COPYCAT])
    for name, each in rollouts.items():
        change = true_distance(each) - base
        told = np.isfinite(change)
        if name != COPYCAT:
            interval = clustered_interval(change[told], listeners[told], rng=np.random.default_rng(_RESAMPLING))
            yield {"policy": name, **interval_fields("change", interval)}
