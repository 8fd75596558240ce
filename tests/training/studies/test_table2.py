"""Table 2 has every configuration on splits that all share, its references and ceilings, and never a NaN."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from models.errors import DataError
from models.log import read_log, write_log
from tests.training import small_run
from tests.training.studies.drawn import panels
from training.studies.cache import plain_records
from training.studies.cells import Cell, Records, Results, ResultTable
from training.studies.scales import PAPER, SMALL, Scale
from training.studies.table2 import CONFIGURATIONS, DEPLOYED, Table2

STUDY = Table2()
TINY = Scale(name="tiny", preset=small_run.PRESET, splits=1, seeds=1)
FEW = (
    DEPLOYED.name,
    "Transformer MERT + PE",
    "the paper's inputs alone",
    "a fifth of the songs held out",
    "references",
)


def run(cell: Cell, log: Path) -> Records:
    return plain_records(cell, STUDY.run(cell, log, TINY, lambda _: None))


@pytest.fixture(scope="module")
def results(log: Path) -> Results:
    cells = [cell for cell in STUDY.cells(TINY) if cell.text("contender") in FEW]
    return [(cell, run(cell, log)) for cell in cells]


def table(results: Results, name: str) -> ResultTable:
    return next(each for each in STUDY.tables(results) if each.name == name)


def test_on_the_papers_scale_four_run_on_every_split_and_all_on_three():
    cells = STUDY.cells(PAPER)
    counts = {each.name: sum(cell.text("contender") == each.name for cell in cells) for each in CONFIGURATIONS}

    assert sorted(counts.values()) == [3, 3, 3, 3, 10, 10, 10, 10]
    assert counts[DEPLOYED.name] == 10
    assert len(STUDY.cells(SMALL)) == 3 * len({cell.text("contender") for cell in cells})


def test_the_same_cell_gives_the_same_records(log: Path, results: Results):
    cell, records = results[1]

    assert run(cell, log) == records


def test_every_signal_is_scored_and_calibrated_and_its_epochs_are_told(results: Results):
    _, records = results[0]

    assert [row["signal"] for row in records["scores"]] == ["engagement", "rating", "valence", "arousal"]
    assert {row["signal"] for row in records["calibration"]} == {"engagement", "rating", "valence", "arousal"}
    assert sum(row["best"] is True for row in records["curve"]) == 4
    assert len(records["song_order"]) == 4


def test_each_row_stands_above_the_papers(results: Results):
    made = table(results, "table2")
    places = [place for place, row in enumerate(made.rows) if row[1] == "ours"]

    assert [made.rows[place][0] for place in places] == ["Transformer MERT + PE", DEPLOYED.name]
    assert made.rows[places[1] + 1][1:5] == ("paper", "0.055 (0.014)", "16.4 (7.1)", "74.1 (7.8)")


def test_ranks_are_of_the_configurations_that_ran(results: Results):
    made = table(results, "table2")
    ranks = [row[made.header.index("mean rank")] for row in made.rows if row[1] == "ours"]

    assert sum(float(str(rank)) for rank in ranks) == pytest.approx(3.0)


def test_references_and_songs_never_trained_on_have_their_rows(results: Results):
    names = {row[0] for row in table(results, "table2-references").rows}

    assert {"persistence", "listener mean", "ridge on 14 hand-made features", "linear part alone"} <= names
    assert {"new songs", "songs trained on, beside the new ones", "the paper's inputs alone"} <= names
    assert {"best from the observed history", "knows the latent state"} <= names


def test_every_signal_has_its_learning_curve_and_its_calibration(results: Results):
    assert panels(STUDY.figures(results)) == {
        "table2-curves": ["engagement, R²", "rating, AUC", "valence, R²", "arousal, R²"],
        "table2-calibration": ["engagement", "rating", "valence", "arousal"],
    }


def test_a_log_without_the_space_is_refused(log: Path, tmp_path: Path):
    read = read_log(log)
    spaces = {"mert_sim": read.description.embeddings["mert_sim"]}
    bare = replace(
        read,
        description=read.description.model_copy(update={"embeddings": spaces}),
        embeddings={"mert_sim": read.embeddings["mert_sim"]},
    )
    write_log(bare, tmp_path / "bare")

    with pytest.raises(DataError, match="clamp3_sim"):
        run(STUDY.cells(TINY)[0], tmp_path / "bare")


def test_without_a_dislike_there_is_no_auc_and_the_table_says_so(log: Path, tmp_path: Path):
    read = read_log(log)
    liked = read.plays.with_columns(pl.when(pl.col("rating").is_not_null()).then(pl.lit(1)).alias("rating"))
    happy = replace(
        read,
        plays=liked.with_columns(pl.col("rating").cast(read.plays["rating"].dtype)),
        description=read.description.model_copy(update={"simulated": False, "provenance": {}}),
    )
    write_log(happy, tmp_path / "happy")
    cells = [cell for cell in STUDY.cells(TINY) if cell.text("contender") in (DEPLOYED.name, "references")]
    results = [(cell, run(cell, tmp_path / "happy")) for cell in cells]
    made = table(results, "table2")

    assert made.rows[0][made.header.index("rating AUC (%)")] is None
    assert "No estimate of rating AUC (%) on 1 of 1 splits" in made.note
    assert not table(results, "table2-song-order").rows


def test_signals_never_observed_leave_dashes(log: Path, tmp_path: Path):
    read = read_log(log)
    silent = replace(
        read,
        sessions=read.sessions.with_columns(
            *(pl.lit(None, pl.Float32).alias(f"after_{name}") for name in ("valence", "arousal"))
        ),
        description=read.description.model_copy(update={"simulated": False, "provenance": {}}),
    )
    write_log(silent, tmp_path / "silent")
    cell = next(cell for cell in STUDY.cells(TINY) if cell.text("contender") == DEPLOYED.name)
    scores = {str(row["signal"]): row for row in run(cell, tmp_path / "silent")["scores"]}

    assert scores["valence"]["r_squared"] is None
    assert scores["valence"]["labels"] == 0
    assert isinstance(scores["engagement"]["r_squared"], float)


def test_every_contender_is_judged_by_the_same_labels(results: Results):
    labels = {
        row["labels"]
        for cell, records in results
        for row in records["scores"]
        if row["signal"] == "engagement" and cell.text("contender") != "a fifth of the songs held out"
    }

    assert len(labels) == 1
