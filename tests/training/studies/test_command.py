"""A study runs what is missing and no more, tells what it could not do, and always leaves a report."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from models.errors import AmrsError, ConfigError, DataError
from models.log import read_log, write_log
from tests.training.studies.toy import FAILS, FINE, Choosy, Recipe, Torn, Toy, in_this_process
from training.studies.cells import Study, runs_of
from training.studies.command import STUDIES, Request, Selection, chosen_studies, run_study
from training.studies.jobs import Done, Job
from training.studies.scales import SMALL
from training.studies.workers import Failure
from training.tasks import Advance

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Counting:
    """Runs cells here, and remembers which."""

    ran: list[str] = field(default_factory=list)

    def __call__(self, jobs: Sequence[Job], advance: Advance) -> Iterator[tuple[int, Done | Failure]]:
        self.ran += [job.cell.label for job in jobs]
        return in_this_process(jobs, advance)


@pytest.fixture
def place() -> Counting:
    return Counting()


@pytest.fixture
def request_(log: Path, tmp_path: Path, place: Counting) -> Request:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    committed = tmp_path / "docs" / "results" / "cells"
    return Request(study="toy", log=log, scale="small", home=tmp_path / "home", place=place, committed=committed)


def run(request: Request, *studies: Study) -> str:
    """Run a study of the given ones; return what the terminal showed."""
    makers: Mapping[str, Callable[[], Study]] = {each.name: lambda each=each: each for each in studies or (Toy(),)}
    shown = io.StringIO()
    run_study(request, now=NOW, console=Console(file=shown, width=140), studies=makers)
    return shown.getvalue()


def report(request: Request, name: str = "report.html", study: str = "toy") -> str:
    return (request.home / "studies" / f"{study}-small" / name).read_text()


def test_every_cell_is_run_once_and_the_report_is_there(request_: Request, place: Counting):
    shown = run(request_)

    assert place.ran == [f"toy: variant fine, split {split}" for split in range(SMALL.splits)]
    assert "toy: 0 of 3 cells are cached" in shown
    assert "Values" in shown
    folder = request_.home / "studies" / "toy-small"
    assert {each.name for each in folder.iterdir()} == {"values.csv", "tables.md", "line.png", "report.html"}


def test_a_study_goes_on_where_it_stopped(request_: Request, place: Counting):
    run(replace(request_, selection=Selection(splits=2)))
    shown = run(request_)

    assert place.ran[2:] == ["toy: variant fine, split 2"]
    assert "toy: 2 of 3 cells are cached" in shown


def test_a_study_that_is_done_runs_nothing_and_says_the_same(request_: Request, place: Counting):
    run(request_)
    first = report(request_)

    run(request_)

    assert len(place.ran) == 3
    assert report(request_) == first


def test_without_resuming_everything_is_made_again(request_: Request, place: Counting):
    run(request_)
    run(replace(request_, resume=False))

    assert len(place.ran) == 6


def test_only_the_report_runs_nothing_and_says_how_much_is_missing(request_: Request, place: Counting):
    run(replace(request_, selection=Selection(splits=1)))

    shown = run(replace(request_, only_report=True))

    assert len(place.ran) == 1
    assert "2 of 3 cells are missing" in shown
    assert "2 cells are missing" in report(request_)


def test_a_report_on_nothing_is_a_report(request_: Request):
    run(replace(request_, only_report=True))

    assert "3 cells are missing" in report(request_)


def test_committed_results_count_on_another_machine(request_: Request, place: Counting, tmp_path: Path):
    run(replace(request_, keep=True))

    run(replace(request_, home=tmp_path / "elsewhere"))

    assert len(place.ran) == 3


def test_kept_results_come_with_their_tables(request_: Request):
    run(replace(request_, keep=True))

    folder = request_.committed.parent / "toy-small"
    assert {each.name for each in folder.iterdir()} == {"values.csv", "tables.md"}
    assert "amrs study toy LOG --scale small" in (folder / "tables.md").read_text()


def test_only_the_cells_that_are_asked_for_are_run(request_: Request, place: Counting):
    run(replace(request_, selection=Selection(only=("split 1", "split 2"))))

    assert place.ran == ["toy: variant fine, split 1", "toy: variant fine, split 2"]
    assert "amrs study toy LOG --scale small --only &quot;split 1&quot;" in report(request_)


def test_no_such_cell_is_an_error_in_words(request_: Request):
    with pytest.raises(ConfigError, match="no cell of toy has 'split 9' in its label"):
        run(replace(request_, selection=Selection(only=("split 9",))))


def test_cells_that_fail_are_listed_at_the_end_and_the_others_are_kept(request_: Request):
    with pytest.raises(AmrsError) as refusal:
        run(request_, Toy(variants=(FAILS, FINE)))

    lines = str(refusal.value).splitlines()
    assert lines[0] == "3 of 6 cells failed; the others are in the report"
    assert lines[1] == "  toy: variant fails, split 0: DataError: split 0 cannot be had"
    assert "failed: toy: variant fails, split 0" in report(request_)
    assert "toy: variant fine, split 0" in report(request_, "values.csv")


def test_a_table_that_cannot_be_made_does_not_cost_the_others_theirs(request_: Request):
    with pytest.raises(AmrsError, match="the report of torn could not be made: ZeroDivisionError"):
        run(replace(request_, study="all"), Torn(), Toy())

    assert "Values" in report(request_)


def test_results_under_another_recipe_count_when_somebody_vouches(request_: Request, place: Counting):
    run(request_, Recipe(recipe=(1.0,)))
    shown = run(request_, Recipe(recipe=(1.0, "a new field")))
    assert "3 of another recipe for the same cells" in shown
    assert len(place.ran) == 6

    shown = run(replace(request_, adopt=True), Recipe(recipe=(2.0,)))

    assert len(place.ran) == 6
    assert "results taken over from another recipe: 3" in shown
    assert "taken over by hand from another description of the recipe: 3 cells" in report(request_)


def test_all_studies_share_one_page(request_: Request):
    run(replace(request_, study="all"), Toy(), Toy(name="second", title="The second"))

    page = report(request_, study="all")
    assert 'id="toy"' in page
    assert 'id="second"' in page
    assert "The second" in page


def test_a_study_that_the_log_cannot_serve_says_why(request_: Request):
    with pytest.raises(DataError, match="choosy cannot be run on log .*: its listeners are invented"):
        run(replace(request_, study="choosy"), Choosy())


def test_all_leaves_out_what_the_log_cannot_serve(request_: Request, place: Counting):
    shown = run(replace(request_, study="all"), Toy(), Choosy())

    assert "choosy is left out: its listeners are invented" in shown
    assert len(place.ran) == 3


def test_a_log_too_small_to_split_is_said_with_its_counts(request_: Request, tmp_path: Path):
    read = read_log(request_.log)
    write_log(read.select_listeners(read.listeners["listener_id"].to_list()[:2]), tmp_path / "two")

    with pytest.raises(DataError, match="at least 3 listeners .* found 2 of 2 listeners"):
        run(replace(request_, log=tmp_path / "two"))


def test_listeners_without_consent_do_not_count(request_: Request, tmp_path: Path):
    read = read_log(request_.log)
    silent = replace(read, listeners=read.listeners.with_columns(pl.lit(False).alias("consent")))
    write_log(silent, tmp_path / "silent")

    with pytest.raises(DataError, match="found 0 of 40 listeners"):
        run(replace(request_, log=tmp_path / "silent"))


def test_unknown_names_list_the_known_ones(request_: Request):
    with pytest.raises(ConfigError, match="a study out of toy or all; got 'table9'"):
        run(replace(request_, study="table9"))
    with pytest.raises(ConfigError, match="small, paper; got 'huge'"):
        run(replace(request_, scale="huge"))


@pytest.mark.parametrize("name", STUDIES)
def test_every_registered_study_answers_to_its_name(name: str):
    (study,) = chosen_studies(name)

    assert study.name == name
    assert len({cell.settings for cell in study.cells(SMALL)}) == len(study.cells(SMALL)) > 0
    assert all(cell.study == runs_of(study) for cell in study.cells(SMALL))
