"""The runs behind Tables 4 and 5: a cell trains every policy with one seed, and all play to the same listeners.

The split, the windows and the listeners are the same in every cell and for every policy, as in the paper: seeds
differ in training alone, and every comparison is paired by seed and by listener. Both tables read the same cells,
so a policy is trained once.

world models → contenders and references → rollouts of all → records (`policy_records`)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from models.decoder import POLICY_ORDER, Decoder
from models.errors import DataError
from models.log import read_log
from models.utility import PAPER_UTILITY
from training.choosing import Setting
from training.decoding import pessimistic_rerank
from training.judging import BALANCED, UPWARD
from training.learning import PolicyWindows, train_world
from training.limits import mean_reports
from training.material import Material, prepare
from training.policies.neighbours import session_neighbours
from training.policies.oracle import Oracle, believed
from training.policies.plain import Greedy, Learned, Random
from training.policies.policy import Policy
from training.policies.popularity import Popularity, play_counts
from training.policies.sasrec import train_sasrec
from training.policies.tag_order import TagOrder, affect_tags
from training.presets import Preset
from training.rollout import Rollouts, Start, roll_out
from training.situations import StartWindows, draw_windows
from training.stages import no_limits, setting_with, start_of
from training.studies import policy_records as records
from training.studies.cells import Cell, Records, Row
from training.studies.contenders import COPYCAT, OUR_DPO, RECIPES, Contenders, train_contenders
from training.studies.scales import Scale
from training.tasks import Advance

RUNS: Final = "policies"
"""What the cells are called in the cache, whichever table asked for them."""
REVISION: Final = 1

RANDOM: Final = "Random"
GREEDY: Final = "Greedy"
POPULARITY: Final = "Popularity"
NEIGHBOURS: Final = "Neighbours"
SASREC: Final = "SASRec"
TAG_ORDER: Final = "Tag order"
RERANKED_COPYCAT: Final = "Copycat, re-ranked"
RERANKED_DPO: Final = "DPO, ours, re-ranked"
BELIEVER: Final = "Oracle, Kalman filter"
ORACLE: Final = "Oracle, the truth"
"""Both re-rank Copycat's first songs."""

_SHARED_SEED: Final = 0
"""Of what no cell may differ in: the split and the windows."""
_TRAINING_WINDOWS: Final = 1
"""Windows of each training listener in which adherence is measured: five would cost more than all training."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A policy as it plays: with its own order, or behind a decoder."""

    policy: Policy
    decoder: Decoder = POLICY_ORDER


def policy_cells(scale: Scale) -> list[Cell]:
    """Return one cell per seed."""
    return [Cell(study=RUNS, settings=(("seed", seed),)) for seed in range(scale.seeds)]


def read_by_cells(scale: Scale) -> object:
    """Return what fixes the numbers of cells besides log and seed: the stages of the preset, and the recipes."""
    preset = scale.preset
    stages = (preset.world, preset.copycat, preset.dpo, preset.windows)
    counts = (preset.situations_per_window, preset.candidate_count)
    recipes = tuple(
        (name, each.pairs, each.utility_in.__name__, each.kl_budget_nats, each.variety)
        for name, each in RECIPES.items()
    )
    return stages, counts, recipes, UPWARD, BALANCED, pessimistic_rerank(PAPER_UTILITY)


def run_policies(cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
    """Return what every policy comes to with the cell's seed.

    Raises:
        LogError: the log breaks its schema.
        DataError: it has too few listeners.
    """
    seed, preset = cell.number("seed"), scale.preset
    material = prepare(read_log(log), space=None, reading=preset.world.reading, held_out=(), rng=_shared_stream(0))
    learned_from = PolicyWindows.of(material, preset, seed=_SHARED_SEED)
    test = draw_windows(material.listening, material.split.test, preset.windows, _shared_stream(1))
    world = train_world(material, preset, seed=seed, advance=advance)
    contenders = train_contenders(material, world, learned_from, preset, seed=seed, advance=advance)
    rivals = rivals_of(contenders)
    absent = dict(contenders.absent)
    rivals |= {RANDOM: Rival(Random(len(material.catalogue))), GREEDY: Rival(Greedy(world, PAPER_UTILITY))}
    _add_references(rivals, material, preset, np.random.default_rng([seed, 3]), advance)
    _add_if_known(rivals, absent, material, preset)

    priors = mean_reports(material.listening.select(material.split.train))
    setting = setting_with(material, world, preset, no_limits(priors))
    start = start_of(material, test)
    rollouts = play_all(rivals, start, setting, seed, advance)
    return {
        "about": [_about(material, test)],
        "absent": [{"policy": name, "reason": reason} for name, reason in absent.items()],
        "policies": list(
            records.policy_rows(
                rollouts,
                contenders.networks,
                start,
                setting,
                embeddings=material.embeddings,
                temperature=preset.copycat.temperature,
            )
        ),
        "listeners": list(records.listener_rows(rollouts, test.listener)),
        "trajectories": list(records.trajectory_rows(rollouts, start)),
        "exposure": list(records.exposure_rows(rollouts, len(material.catalogue))),
        "looks": list(records.look_rows(contenders.looks)),
        "adherence": [
            *_adherence_elsewhere(rivals, material, learned_from, setting, seed, advance),
            *records.adherence_rows(rollouts, "test", test, material.histories),
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStudy:
    """What Tables 4 and 5 have in common: the cells, how one is run, and what fixes its numbers."""

    runs: str = RUNS
    revision: int = REVISION

    def cells(self, scale: Scale) -> list[Cell]:
        """Return one cell per seed."""
        return policy_cells(scale)

    def reads(self, scale: Scale) -> object:
        """Return the preset and every recipe."""
        return read_by_cells(scale)

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return what every policy comes to with the cell's seed."""
        return run_policies(cell, log, scale, advance)


def rivals_of(contenders: Contenders) -> dict[str, Rival]:
    """Return the contenders as they play, and Copycat and our DPO behind a decoder by our DPO's utility."""
    rivals = {name: Rival(Learned(network)) for name, network in contenders.networks.items()}
    if OUR_DPO in rivals:
        decoder = pessimistic_rerank(contenders.utilities[OUR_DPO])
        for name, base in ((RERANKED_COPYCAT, COPYCAT), (RERANKED_DPO, OUR_DPO)):
            rivals[name] = Rival(rivals[base].policy, decoder)
    return rivals


def _add_references(
    rivals: dict[str, Rival], material: Material, preset: Preset, rng: np.random.Generator, advance: Advance
) -> None:
    """Add what a reader of recommender papers expects beside the paper's policies."""
    histories, split = material.histories, material.split
    sasrec = train_sasrec(
        histories,
        split,
        lookback=preset.lookback,
        config=preset.copycat,
        rng=rng,
        advance=lambda _: advance(1),
    )
    rivals[POPULARITY] = Rival(Popularity(play_counts(histories, split.train)))
    rivals[NEIGHBOURS] = Rival(session_neighbours(material.listening.select(split.train), material.catalogue))
    rivals[SASREC] = Rival(sasrec)


def _add_if_known(rivals: dict[str, Rival], absent: dict[str, str], material: Material, preset: Preset) -> None:
    """Add the policies that rest on what not every log tells, or why they are missing: tags and the truth."""
    try:
        rivals[TAG_ORDER] = Rival(TagOrder.by(affect_tags(material.log), PAPER_UTILITY))
    except DataError as error:
        absent[TAG_ORDER] = str(error)
    if material.truth is None:
        absent[BELIEVER] = absent[ORACLE] = "what real listeners truly feel is not known"
        return
    for name, truth in ((BELIEVER, believed(material.truth)), (ORACLE, material.truth)):
        copycat, depth = rivals[COPYCAT].policy, preset.candidate_count
        rivals[name] = Rival(Oracle(policy=copycat, truth=truth, utility=PAPER_UTILITY, depth=depth))


def play_all(
    rivals: Mapping[str, Rival], start: Start, setting: Setting, seed: int, advance: Advance
) -> dict[str, Rollouts]:
    """Return every policy's rollouts from the same windows, without guardrails."""
    return {
        name: roll_out(
            rival.policy,
            start,
            replace(setting, decoder=rival.decoder),
            guarded=False,
            rng=np.random.default_rng([seed, 4]),
            advance=advance,
        )
        for name, rival in rivals.items()
    }


def _adherence_elsewhere(
    rivals: Mapping[str, Rival],
    material: Material,
    windows: PolicyWindows,
    setting: Setting,
    seed: int,
    advance: Advance,
) -> Iterator[Row]:
    """Yield adherence on training and validation listeners."""
    first = np.unique(windows.train.listener, return_index=True)[1]
    some = np.sort((first[:, None] + np.arange(_TRAINING_WINDOWS)).ravel())
    for split, chosen in (("train", windows.train.take(some)), ("validation", windows.validation)):
        rollouts = play_all(rivals, start_of(material, chosen), setting, seed, advance)
        yield from records.adherence_rows(rollouts, split, chosen, material.histories)


def _about(material: Material, test: StartWindows) -> Row:
    """Return what a reader must know of a cell."""
    return {
        "simulated": material.log.description.simulated,
        "songs": len(material.catalogue),
        "songs heard by training listeners": len(material.heard),
        "training listeners": len(material.split.train),
        "test listeners": len(np.unique(test.listener)),
        "test windows": len(test),
        "test listeners left out": test.left_out_count,
    }


def _shared_stream(stage: int) -> np.random.Generator:
    return np.random.default_rng([_SHARED_SEED, stage])
