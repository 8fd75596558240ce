"""Table 3 removes one input at a time, in training and in test, for the linear part as for the network."""

from pathlib import Path

import pytest

from tests.training import small_run
from tests.training.studies.drawn import panels
from training.studies.cache import plain_records
from training.studies.cells import Results
from training.studies.scales import PAPER, Scale
from training.studies.table3 import ABLATIONS, BASE, Table3

STUDY = Table3()
TINY = Scale(name="tiny", preset=small_run.PRESET, splits=1, seeds=1)


@pytest.fixture(scope="module")
def results(log: Path) -> Results:
    return [(cell, plain_records(cell, STUDY.run(cell, log, TINY, lambda _: None))) for cell in STUDY.cells(TINY)]


def test_every_ablation_runs_on_three_splits_of_the_papers_scale():
    assert len(STUDY.cells(PAPER)) == 3 * len(ABLATIONS)


def test_without_history_or_feedback_affect_collapses(results: Results):
    score = {
        cell.text("contender"): next(row["r_squared"] for row in records["scores"] if row["signal"] == "valence")
        for cell, records in results
    }

    for gone in ("– User history", "– Feedback signals"):
        assert float(str(score[gone])) < float(str(score[BASE.name])) - 0.1


def test_without_the_candidate_songs_have_no_order(results: Results):
    rows = {cell.text("contender"): records["song_order"] for cell, records in results}

    assert not rows["– Recommended song"]
    assert len(rows["– User history"]) == 4


def test_each_row_stands_above_the_papers(results: Results):
    made = STUDY.tables(results)[0]

    assert [row[0] for row in made.rows if row[1] == "ours"] == [each.name for each in ABLATIONS]
    assert sum(row[1] == "paper" for row in made.rows) == len(ABLATIONS)


def test_every_signal_has_its_learning_curve_and_its_calibration(results: Results):
    assert panels(STUDY.figures(results)) == {
        "table3-curves": ["engagement, R²", "rating, AUC", "valence, R²", "arousal, R²"],
        "table3-calibration": ["engagement", "rating", "valence", "arousal"],
    }
