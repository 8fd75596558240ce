"""Every ingredient is tried alone and with the others, in worlds of their own, and judged by the truth."""

from functools import cache
from pathlib import Path

import pytest

from models.log_schema import LogDescription
from tests.training.studies import hasty
from training.dpo import DpoLook
from training.platform.parameters import sized_like_paper
from training.studies.cache import plain_records
from training.studies.cells import Cell, Records
from training.studies.contenders import COPYCAT, PAPER_DPO
from training.studies.ingredients import BY_MODE, EVERYTHING, RECIPES, UNVARIED, Ingredients, _reach
from training.studies.ingredients_tables import ALONE, CHANGED, TOGETHER, gain_figure, gain_table
from training.studies.policy_runs import RERANKED_COPYCAT
from training.studies.scales import Scale

SCALE = Scale(name="tiny", preset=hasty.PRESET, splits=2, seeds=2)
FEW = {
    ALONE: ("DPO, the paper's", "overplayed songs rejected", "sequences"),
    TOGETHER: (UNVARIED, EVERYTHING),
    CHANGED: (BY_MODE, "by mode, sequences"),
}
STUDY = Ingredients(
    sizes={"tiny": sized_like_paper(40, 150)},
    recipes={group: {name: RECIPES[group][name] for name in names} for group, names in FEW.items()},
)
PARTS = ("alone", "together", "targets")


def of(part: str) -> Cell:
    return Cell(study="ingredients", settings=(("seed", 0), ("part", part)))


@cache
def ran(part: str) -> Records:
    return STUDY.run(of(part), Path("no log is read"), SCALE, lambda _: None)


def results() -> list[tuple[Cell, Records]]:
    return [(of(part), ran(part)) for part in PARTS]


def test_every_recipe_has_a_name_of_its_own():
    names = [name for group in RECIPES.values() for name in group]

    assert len(names) == len(set(names))
    assert {PAPER_DPO, EVERYTHING} <= set(names)


def test_every_seed_has_every_part():
    assert [cell.label for cell in STUDY.cells(SCALE)] == [
        f"ingredients: seed {seed}, part {part}" for seed in (0, 1) for part in PARTS
    ]


@pytest.mark.parametrize("part", PARTS)
def test_a_cell_judges_every_recipe_by_the_truth(part: str):
    records = ran(part)
    plain_records(of(part), records)  # refuses NaN

    made = {row["policy"] for row in records["policies"]}
    assert COPYCAT in made
    assert {row["policy"] for row in records["gains"]} == made - {COPYCAT}
    assert {row["policy"] for row in records["distances"]} == made - {COPYCAT}
    assert all(row["true_gain"] is not None for row in records["gains"])


def test_every_part_has_the_same_copycat():
    first, *others = ([row for row in ran(part)["diversity"] if row["policy"] == COPYCAT] for part in PARTS)

    assert all(other == first for other in others)


def test_the_table_has_a_row_for_every_policy_but_copycat():
    table = gain_table(results())

    names = [row[1] for row in table.rows]
    absent = {row["policy"] for _, run in results() for row in run["absent"]}
    expected = {name for group in FEW.values() for name in group} - absent
    assert expected | {RERANKED_COPYCAT, f"{COPYCAT}, raw targets"} <= set(names)
    assert COPYCAT not in names
    assert len(names) == len(set(names))
    assert {row[2] for row in table.rows} == {1}
    assert len(gain_figure(results())) == 1


def test_what_one_seed_could_not_make_is_counted_out():
    run = ran("together")
    lacking = {kind: [row for row in rows if row.get("policy") != EVERYTHING] for kind, rows in run.items()}
    table = gain_table([(of("together"), run), (of("together"), lacking)])

    assert {row[1]: row[2] for row in table.rows}[EVERYTHING] == 1


def test_nothing_is_drawn_of_no_cell():
    assert STUDY.tables([]) == STUDY.figures([]) == []


def look(step: int, kl_nats: float) -> DpoLook:
    return DpoLook(step=step, loss_nats=0.6, kl_nats=kl_nats, flattening=0.5)


@pytest.mark.parametrize(("budget", "steps"), [(0.25, 8), (0.1, 4), (0.01, 0), (float("inf"), 12)])
def test_a_policy_reaches_as_far_as_the_last_look_within_its_budget(budget: float, steps: int):
    looks = [look(4, 0.05), look(8, 0.2), look(12, 0.4)]

    assert _reach(looks, budget)["steps"] == steps


def test_real_listeners_have_no_truth():
    assert STUDY.refuses(LogDescription(name="real", simulated=False)) is not None
    assert STUDY.refuses(LogDescription(name="invented", simulated=True)) is None


@pytest.mark.prove
def test_the_same_cell_gives_the_same_records():
    assert STUDY.run(of("targets"), Path("no log is read"), SCALE, lambda _: None) == ran("targets")
