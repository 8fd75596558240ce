"""A world is simulated, trained on and judged by its own truth; its tables end with the mean and the worst."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models.log_schema import LogDescription
from tests.training.studies import hasty
from training.platform.parameters import sized_like_paper
from training.platform.perturbations import read_perturbations
from training.studies.cache import plain_records
from training.studies.cells import Cell, Records
from training.studies.contenders import COPYCAT, OUR_DPO
from training.studies.policy_runs import BELIEVER, ORACLE, RANDOM
from training.studies.scales import Scale
from training.studies.worlds import World, Worlds, every_perturbation
from training.studies.worlds_tables import world_tables

SCALE = Scale(name="tiny", preset=hasty.PRESET, splits=2, seeds=2)
STUDY = Worlds(sizes={"tiny": sized_like_paper(40, 150)})
CELL = Cell(study="worlds", settings=(("world", "noise=2.0"), ("seed", 0)))


@cache
def ran() -> Records:
    return STUDY.run(CELL, Path("no log is read"), SCALE, lambda _: None)


def test_every_perturbation_stands_at_half_and_double_beside_the_base_world():
    cells = STUDY.cells(SCALE)

    assert len(every_perturbation()) == 12
    assert [cell.label for cell in cells[:2]] == [
        "worlds: world base, seed 0",
        "worlds: world responsiveness=0.5, seed 0",
    ]
    assert [cell.text("world") for cell in cells if cell.number("seed") == 1] == ["base"]


def test_strangers_hear_the_same_songs_and_are_nobody_that_was_trained_on():
    world = World.of(read_perturbations(["inertia=0.5"]), sized_like_paper(40, 150), seed=5, preset=hasty.PRESET)
    trained, strangers = world.material.truth.simulation, world.truth.simulation

    np.testing.assert_array_equal(trained.songs.content, strangers.songs.content)
    assert strangers.parameters == trained.parameters
    assert strangers.parameters.listeners.inertia_mean == pytest.approx(0.88)
    assert not np.isin(strangers.listeners.baseline, trained.listeners.baseline).any()
    assert len(world.listeners) == len(np.unique(world.listeners))


def test_a_cell_judges_every_policy_by_the_truth():
    records = ran()
    judged = {row["policy"] for row in records["gains"]}

    plain_records(CELL, records)  # refuses NaN
    assert COPYCAT not in judged
    assert {RANDOM, ORACLE, BELIEVER} < judged
    assert {row["group"] for row in records["gains"]} == {"all", "population consumer", "population clinical"}
    assert {row["policy"] for row in records["diversity"]} == judged | {COPYCAT}


def test_the_oracle_gains_and_chance_does_not():
    gained = {
        row["policy"]: row["true_gain"]
        for row in ran()["gains"]
        if (row["group"], row["signal"]) == ("all", "valence")
    }

    assert gained[ORACLE] > max(0, gained[RANDOM])


@pytest.mark.prove
def test_the_same_cell_gives_the_same_records():
    assert STUDY.run(CELL, Path("no log is read"), SCALE, lambda _: None) == ran()


def test_real_listeners_have_no_other_worlds():
    assert STUDY.refuses(LogDescription(name="real", simulated=False)) is not None
    assert STUDY.refuses(LogDescription(name="invented", simulated=True)) is None


def told(gain: float | None) -> Records:
    """Return the records of a world in which our policy gains so much of every signal, and half of it untold."""
    fields = ("true_gain", "predicted_gain", "gap", "oracle_share")
    interval = {f"{name}{end}": gain for name in fields for end in ("", "_low", "_high")}
    return {
        "gains": [
            {"policy": OUR_DPO, "group": "all", "signal": signal, **interval}
            for signal in ("engagement", "rating", "valence", "arousal")
        ],
        "distances": [],
        "diversity": [
            {"policy": name, "coverage": share, "entropy": share, "intra_list_diversity": share}
            for name, share in ((COPYCAT, 0.5), (OUR_DPO, 0.45))
        ],
    }


def of(world: str, seed: int = 0) -> Cell:
    return Cell(study="worlds", settings=(("world", world), ("seed", seed)))


def test_the_mean_and_the_worst_are_those_of_the_perturbed_worlds():
    gains, _ = world_tables(
        [(of("base"), told(0.2)), (of("noise=0.5"), told(0.05)), (of("noise=2.0"), told(0.01))]
    )

    assert [row[0] for row in gains.rows] == [
        "base",
        "noise=0.5",
        "noise=2.0",
        "mean of the perturbed",
        "worst of the perturbed",
    ]
    valence = gains.header.index("true valence")
    assert [row[valence] for row in gains.rows] == [
        "+20.0 [+20.0, +20.0]",
        "+5.0 [+5.0, +5.0]",
        "+1.0 [+1.0, +1.0]",
        "+3.0",
        "+1.0",
    ]
    assert gains.rows[-1][gains.header.index("gap valence")] == "+5.0"
    assert gains.rows[0][gains.header.index("coverage")] == "90.0"


def test_a_number_that_is_none_in_one_world_is_left_out_of_the_mean():
    gains, _ = world_tables([(of("noise=0.5"), told(0.05)), (of("noise=2.0"), told(None))])

    valence = gains.header.index("true valence")
    assert [row[valence] for row in gains.rows] == ["+5.0 [+5.0, +5.0]", None, "+5.0", "+5.0"]


def test_the_base_world_alone_has_no_summary():
    gains, distances = world_tables([(of("base"), told(0.2)), (of("base", 1), told(0.1))])

    assert [row[:2] for row in gains.rows] == [("base", 2)]
    assert len(distances.rows) == 1
