"""A cell tells how every model did on one published seed, and the tables set it beside what was published."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import ConfigError, DataError
from models.log_schema import LogDescription
from tests.training.situnes.invented import invent_situnes
from tests.training.situnes.test_encoding import BRIEF
from tests.training.studies import hasty
from training.situnes import published
from training.studies.cache import plain_records
from training.studies.cells import Cell, Records, Results
from training.studies.scales import PAPER, SMALL, Scale
from training.studies.situnes import DATA, SiTunes
from training.studies.situnes_runs import FOREST, LIKES, MEANS, OURS, TRUE_CONTEXT, RunConfig, run_likes, run_moods
from training.studies.situnes_tables import heads_table, likes_table, moods_table, reached_table, reports_table
from training.tasks import Advance

HASTY = RunConfig(encoding=BRIEF, tree_count=10, reference_trees=20)
SCALE = Scale(name="tiny", preset=hasty.PRESET, splits=1, seeds=1)
REAL = LogDescription.model_construct(name="situnes", simulated=False)


def cell(inputs: str, seed: int = 101) -> Cell:
    return Cell(study="situnes", settings=(("inputs", inputs), ("published seed", seed)))


def unheard(_: int) -> None:
    pass


ADVANCE: Advance = unheard


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return invent_situnes(tmp_path_factory.mktemp("benchmark") / "data")


@pytest.fixture(scope="module")
def results(invented: Path) -> Results:
    """Of the only seed that was invented."""
    ran = [(cell(inputs), run_likes(invented, inputs, 101, config=HASTY, advance=ADVANCE)) for inputs in LIKES]
    return [*ran, (cell("report before"), run_moods(invented, 101, config=HASTY, advance=ADVANCE))]


def test_records_are_plain_and_every_column_has_every_model(results: Results):
    for of, records in results:
        plain_records(of, records)  # refuses NaN

    by_column: dict[str, set[str]] = {}
    for _, records in results:
        for row in records.get("likes", ()):
            by_column.setdefault(str(row["column"]), set()).add(str(row["model"]))
    assert set(by_column) == {*published.COLUMNS, TRUE_CONTEXT}
    assert all({MEANS, FOREST, OURS} <= models for models in by_column.values())


def test_the_published_rows_stand_first_and_ours_last(results: Results):
    likes, moods = likes_table(results), moods_table(results)

    assert likes.header == ("model", *published.COLUMNS, TRUE_CONTEXT)
    assert likes.rows[0][:2] == ("FM, published", "0.6235 / 0.4325 / 0.4464")
    assert likes.rows[0][-1] is None  # nothing was published of the true context
    assert [table.rows[-1][0] for table in (likes, moods, reports_table(results))] == [OURS] * 3
    assert moods.rows[0][0] == "LR, objective, published"


def test_what_was_reached_is_said_of_every_column(results: Results):
    table = reached_table(results)
    columns = [str(row[0]) for row in table.rows]

    assert columns[0] == "S1 no sit.: AUC"
    assert "S3: accuracy" in columns
    assert "S2: valence R²" in columns
    assert len(columns) == 2 * 6 + 2 + 4


def test_shares_of_heads_are_of_the_whole(results: Results):
    table = heads_table(results)

    for row in table.rows:
        assert sum(share for share in row[3:] if isinstance(share, float)) == pytest.approx(1, abs=0.01)


def scored(seed: int, **auc: float) -> tuple[Cell, Records]:
    rows = [
        {"column": "S2 sit.", "model": model.replace("_", " "), "auc": value, "mae": 0.2, "rmse": 0.3}
        for model, value in auc.items()
    ]
    return cell("situation", seed), {"likes": rows}


def test_a_column_is_reached_above_the_published_and_the_best_reference():
    """Published is .8188; gains are .04 and .06: .05, give or take 12.706 · .014142 · √(1/2 + 195/613)."""
    told = [scored(102, ours=0.86, random_forest=0.80), scored(101, ours=0.84, random_forest=0.80)]
    row = reached_table(told).rows[0]

    assert row[:5] == ("S2 sit.: AUC", "0.8188 (FM)", FOREST, 0.8, 0.85)
    assert row[5:] == ("+0.0500 [-0.1125, +0.2125]", "yes")


def test_a_column_below_the_published_is_not_reached():
    told = [scored(101, ours=0.81, random_forest=0.80), scored(102, ours=0.81, random_forest=0.79)]

    assert reached_table(told).rows[0][-1] == "no"


def test_a_paired_gain_of_one_sign_is_reached_surely():
    told = [scored(seed, ours=0.85 + seed / 1e5, random_forest=0.80) for seed in (101, 102, 103)]

    assert reached_table(told).rows[0][-1] == "surely"


def test_where_all_seeds_have_one_test_nothing_is_sure():
    told = [scored(seed, ours=0.85 + seed / 1e5, random_forest=0.70) for seed in (101, 102, 103)]
    other = [(cell, {"likes": [row | {"column": "S3 sit."} for row in rows["likes"]]}) for cell, rows in told]

    assert reached_table(other).rows[0][-1] == "yes"


def test_cells_are_inputs_by_published_seeds():
    assert len(SiTunes().cells(PAPER)) == 4 * 10
    assert {each.number("published seed") for each in SiTunes().cells(SMALL)} == {101, 102, 103}


def test_a_study_that_has_no_data_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv(DATA, raising=False)
    assert f"set {DATA}" in (SiTunes().refuses(REAL) or "")
    with pytest.raises(ConfigError, match=f"set {DATA}"):
        SiTunes().run(cell("laboratory"), tmp_path, SCALE, ADVANCE)

    monkeypatch.setenv(DATA, str(tmp_path))
    assert "published_splits" in (SiTunes().refuses(REAL) or "")
    with pytest.raises(ConfigError, match="published_splits"):
        SiTunes().run(cell("report before"), tmp_path, SCALE, ADVANCE)


def test_the_log_of_others_is_refused(monkeypatch: pytest.MonkeyPatch, invented: Path):
    monkeypatch.setenv(DATA, str(invented))

    assert SiTunes().refuses(REAL) is None
    assert "SiTunes alone" in (SiTunes().refuses(REAL.model_copy(update={"name": "others"})) or "")


def test_a_seed_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, invented: Path):
    monkeypatch.setenv(DATA, str(invented))

    with pytest.raises(DataError, match=r"setting2-102\.test"):
        SiTunes().run(cell("laboratory", 102), Path(), SCALE, ADVANCE)


def test_what_fixes_the_numbers_is_in_the_key():
    assert SiTunes().reads(SCALE) == SiTunes().reads(replace(SCALE, seeds=2))
