"""Other worlds: the same recipe on fresh seeds and on perturbed platforms, judged by the truth of each.

One cell is one world and one seed: simulate it, train world models, Copycat and every recipe of preference
optimisation, and let all play to strangers: a second run of the same world over the same songs. Nothing is chosen
here. LOG is not read beyond its description: it says that the numbers are wanted beside those of a simulated log.

simulate → world models → Copycat → DPO by each recipe → rollouts for strangers → truth

Legend: R rollouts · N songs · E embedding width
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.exposure import coverage, intra_list_diversity, mean_cosine_distance, normalized_entropy
from models.listening import NO_SONG, Population
from models.log_schema import LogDescription
from models.utility import PAPER_UTILITY
from training.judges.paired import ALL, groups_of
from training.judges.truth import RegionDistance, TrueGain, distance_from_regions, judge_by_truth
from training.learning import PolicyWindows, train_world
from training.limits import mean_reports
from training.material import Material, prepare
from training.platform.as_log import simulated_log
from training.platform.parameters import SIZES, PlatformParameters, PlatformSize, sized_like_paper
from training.platform.perturbations import FACTORS, PERTURBATIONS, Perturbation, perturbed, read_perturbations
from training.platform.simulate import simulate
from training.platform.truth import Truth
from training.policies.oracle import Oracle, believed
from training.policies.plain import Random
from training.presets import Preset
from training.rollout import Rollouts, Start
from training.situations import draw_windows, listening_in
from training.stages import no_limits, setting_with
from training.studies.cells import Cell, Figure, Records, Results, ResultTable, Row
from training.studies.contenders import COPYCAT, train_contenders
from training.studies.intervals import interval_fields
from training.studies.policy_runs import BELIEVER, ORACLE, RANDOM, Rival, play_all, read_by_cells, rivals_of
from training.studies.scales import Scale
from training.studies.worlds_tables import BASE, gain_figures, world_tables
from training.tasks import Advance

_FIRST_SEED: Final = 1_000
"""Of the worlds: no seed on which anything was ever looked at before."""
_FRESH: Final = 500
"""Added to a world's seed, gives that of its strangers."""
_RESAMPLING: Final = 0
"""Seed of the bootstrap."""
_GROUPS: Final = (ALL, *(f"population {each.label}" for each in Population))
"""In which gains are judged; modes are judged by the distance from their regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worlds:
    """The study; its cells are worlds and seeds, the first seed of every world first."""

    name: str = "worlds"
    title: str = "Other worlds, judged by their truth"
    revision: int = 1
    sizes: Mapping[str, PlatformSize] = field(default_factory=lambda: dict(SIZES))
    """Of a world, by the name of the scale."""

    def cells(self, scale: Scale) -> list[Cell]:
        """Return the base world on every seed of the scale, and each perturbed one on half as many."""
        again = max(1, scale.seeds // 2)
        return [
            Cell(study=self.name, settings=(("world", world), ("seed", seed)))
            for seed in range(scale.seeds)
            for world in (BASE, *(each.label for each in every_perturbation()))
            if world == BASE or seed < again
        ]

    def refuses(self, description: LogDescription) -> str | None:
        """Return why a log of real listeners cannot serve."""
        return None if description.simulated else "other worlds are variations of the simulated platform"

    def reads(self, scale: Scale) -> object:
        """Return what fixes a cell's numbers besides its world and seed."""
        return read_by_cells(scale), self.sizes[scale.name], PlatformParameters()

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return what every policy truly gains over Copycat in the cell's world."""
        del log
        seed, preset = cell.number("seed"), scale.preset
        perturbations = read_perturbations([] if cell.text("world") == BASE else [cell.text("world")])
        world = World.of(perturbations, self.sizes[scale.name], seed=_FIRST_SEED + seed, preset=preset)
        rollouts, absent = _played(world, preset, seed, advance)
        groups = {name: rows for name, rows in groups_of(rollouts[COPYCAT]).items() if name in _GROUPS}
        gains = judge_by_truth(
            rollouts, world.listeners, reference=COPYCAT, oracle=BELIEVER, seed=_RESAMPLING, groups=groups
        )
        distances = distance_from_regions(rollouts, world.listeners, reference=COPYCAT, seed=_RESAMPLING)
        return {
            "about": [world.about],
            "absent": [{"policy": name, "reason": reason} for name, reason in absent.items()],
            "gains": [gain_row(each) for each in gains],
            "distances": [_distance_row(each) for each in distances],
            "diversity": list(diversity_rows(rollouts, world.material.embeddings)),
        }

    def tables(self, results: Results) -> list[ResultTable]:
        """Return the gains of every recipe in every world, and the distances from the modes' target regions."""
        return world_tables(results)

    def figures(self, results: Results) -> list[Figure]:
        """Return what each recipe was promised and what was true, in every world."""
        return gain_figures(results)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """One simulated world: the log that is trained on, and strangers who hear the same songs."""

    material: Material
    truth: Truth
    """Of the strangers."""
    start: Start
    """Where their rollouts begin: one window each."""
    listeners: Int[ndarray, " R"]

    @classmethod
    def of(
        cls, perturbations: Sequence[Perturbation], size: PlatformSize, *, seed: int, preset: Preset
    ) -> "World":
        """Simulate it; half as many strangers as listeners."""
        parameters = perturbed(PlatformParameters(), perturbations)
        log = simulated_log(simulate(parameters, size, seed), perturbations)
        half = sized_like_paper(size.listener_count // 2, size.song_count)
        strangers = simulate(parameters, half, seed + _FRESH, catalogue_seed=seed)
        truth, listening = Truth(strangers), simulated_log(strangers, perturbations).listening()
        everybody = np.arange(listening.listener_count)
        once = replace(preset.windows, windows_per_listener=1)
        windows = draw_windows(listening, everybody, once, np.random.default_rng([seed, 1]))
        return cls(
            material=prepare(
                log, space=None, reading=preset.world.reading, held_out=(), rng=np.random.default_rng([seed, 0])
            ),
            truth=truth,
            start=Start(
                listening=listening_in(listening, windows),
                truth=truth,
                state=truth.start(windows.listener, windows.stop),
            ),
            listeners=windows.listener,
        )

    @property
    def about(self) -> Row:
        """What a reader must know of it."""
        return {
            "songs": len(self.material.catalogue),
            "training listeners": len(self.material.split.train),
            "strangers": len(self.listeners),
        }


def every_perturbation() -> list[Perturbation]:
    """Return each perturbation at its least and at its largest factor."""
    return [Perturbation(name=name, factor=factor) for name in PERTURBATIONS for factor in FACTORS]


def _played(
    world: World, preset: Preset, seed: int, advance: Advance
) -> tuple[dict[str, Rollouts], Mapping[str, str]]:
    """Return every policy's rollouts for the strangers, Copycat's first, and why a policy is absent."""
    material = world.material
    models = train_world(material, preset, seed=seed, advance=advance)
    windows = PolicyWindows.of(material, preset, seed=seed)
    made = train_contenders(material, models, windows, preset, seed=seed, advance=advance)
    rivals = rivals_of(made)
    rivals[RANDOM] = Rival(Random(len(material.catalogue)))
    for name, truth in ((BELIEVER, believed(world.truth)), (ORACLE, world.truth)):
        copycat, depth = rivals[COPYCAT].policy, preset.candidate_count
        rivals[name] = Rival(Oracle(policy=copycat, truth=truth, utility=PAPER_UTILITY, depth=depth))
    free = no_limits(mean_reports(material.listening.select(material.split.train)))
    setting = setting_with(material, models, preset, free)
    return play_all(rivals, world.start, setting, seed, advance), made.absent


def gain_row(gain: TrueGain) -> Row:
    """Return one gain as a flat record."""
    return {
        "policy": gain.policy,
        "group": gain.group,
        "signal": gain.signal,
        "true": gain.true,
        "predicted": gain.predicted,
        "reason": gain.reason,
        **interval_fields("true_gain", gain.true_gain),
        **interval_fields("predicted_gain", gain.predicted_gain),
        **interval_fields("gap", gain.gap),
        **interval_fields("oracle_share", gain.oracle_share),
    }


def _distance_row(distance: RegionDistance) -> Row:
    return {
        "policy": distance.policy,
        "mode": distance.mode,
        "listeners": distance.listener_count,
        "true": distance.true,
        "copycat": distance.reference,
        **interval_fields("change", distance.change),
    }


def diversity_rows(rollouts: Mapping[str, Rollouts], embeddings: Float[ndarray, "N E"]) -> Iterator[Row]:
    """Yield coverage, entropy and intra-list diversity of each policy."""
    distance = mean_cosine_distance(embeddings)
    for name, each in rollouts.items():
        counts = np.bincount(each.song[each.song != NO_SONG], minlength=len(embeddings))
        yield {
            "policy": name,
            "coverage": coverage(counts),
            "entropy": normalized_entropy(counts),
            "intra_list_diversity": intra_list_diversity(each.song, embeddings, catalogue_distance=distance),
        }
