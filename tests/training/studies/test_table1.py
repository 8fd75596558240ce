"""Table 1 counts a log as it is, beside the paper's numbers, and tells ceilings only where the truth is known."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from models.log import Log, read_log, write_log
from training.platform.parameters import PAPER
from training.studies.cache import plain_records
from training.studies.cells import Records, ResultTable
from training.studies.scales import SMALL
from training.studies.table1 import Table1

STUDY = Table1()
(CELL,) = STUDY.cells(SMALL)


def records_of(log: Path) -> Records:
    return plain_records(CELL, STUDY.run(CELL, log, SMALL, lambda _: None))


@pytest.fixture(scope="module")
def simulated(log: Path) -> Records:
    return records_of(log)


def column(table: ResultTable, name: str) -> dict[object, object]:
    place = table.header.index(name)
    return {row[0]: row[place] for row in table.rows}


def test_counts_stand_beside_the_papers(simulated: Records):
    logged, _ = STUDY.tables([(CELL, simulated)])

    assert column(logged, "simulated")["users"] == 40
    assert column(logged, "paper")["users"] == PAPER.listener_count
    assert column(logged, "difference")["users"] == "-95.7%"


def test_rates_say_what_does_not_hang_on_size(simulated: Records):
    """57,822 plays in 8,784 sessions are 6.583 each; 16,927 of 19,488 ratings are positive: .869."""
    logged, _ = STUDY.tables([(CELL, simulated)])

    paper = column(logged, "paper")
    assert paper["plays per session"] == pytest.approx(6.5827, abs=1e-4)
    assert paper["share of ratings positive"] == pytest.approx(0.8686, abs=1e-4)
    assert column(logged, "simulated")["plays per session"] == pytest.approx(6.58, abs=0.1)


def test_ceilings_are_told_of_the_simulated_platform(simulated: Records):
    _, ceilings = STUDY.tables([(CELL, simulated)])

    assert [row[0] for row in ceilings.rows] == [
        "knows the latent state",
        "best from the observed history",
        "the same, candidate song hidden",
    ]
    latent, observed, hidden = (row[3] for row in ceilings.rows)
    assert isinstance(latent, float)
    assert isinstance(observed, float)
    assert isinstance(hidden, float)
    assert latent > observed > hidden


def written(log: Log, folder: Path) -> Path:
    write_log(log, folder)
    return folder


def test_real_listeners_have_no_ceilings_and_a_reason(log: Path, tmp_path: Path):
    read = read_log(log)
    real = replace(read, description=read.description.model_copy(update={"simulated": False}))

    (logged,) = STUDY.tables([(CELL, records_of(written(real, tmp_path / "real")))])

    assert "this log" in logged.header
    assert "No ceilings: " in logged.note


def test_a_simulated_log_that_cannot_be_made_again_has_a_reason_too(log: Path, tmp_path: Path):
    read = read_log(log)
    other = {**read.description.provenance, "parameters": "others"}
    strange = replace(read, description=read.description.model_copy(update={"provenance": other}))

    (logged,) = STUDY.tables([(CELL, records_of(written(strange, tmp_path / "strange")))])

    assert "its truth is unknown" in logged.note


def test_signals_that_were_never_observed_are_a_dash(log: Path, tmp_path: Path):
    read = read_log(log)
    silent = replace(
        read,
        description=read.description.model_copy(update={"simulated": False}),
        sessions=read.sessions.with_columns(
            pl.lit(None, pl.Float32).alias("after_valence"), pl.lit(None, pl.Float32).alias("after_arousal")
        ),
    )

    (logged,) = STUDY.tables([(CELL, records_of(written(silent, tmp_path / "silent")))])

    assert column(logged, "this log")["SD of valence"] is None
    assert column(logged, "this log")["post-session reports"] == 0


def test_reports_after_single_songs_are_counted_where_there_are_any(log: Path, tmp_path: Path):
    read = read_log(log)
    everywhere = replace(
        read,
        description=read.description.model_copy(update={"simulated": False}),
        plays=read.plays.with_columns(
            pl.lit(0.5, pl.Float32).alias("valence"), pl.lit(0.25, pl.Float32).alias("arousal")
        ),
    )

    (logged,) = STUDY.tables([(CELL, records_of(written(everywhere, tmp_path / "everywhere")))])

    assert column(logged, "this log")["reports after a song"] == len(read.plays)
    assert column(logged, "paper")["reports after a song"] is None
