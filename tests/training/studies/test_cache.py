"""A result is found again by everything that fixes its numbers, and by nothing else."""

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.affect import Signal
from models.errors import ConfigError, DataError
from tests.training.studies.toy import Toy
from training.studies.cache import (
    COMMITTED,
    IN_ROWS,
    SCHEMA,
    Cache,
    Result,
    cell_key,
    plain_records,
    read_result,
    write_whole,
)
from training.studies.cells import Cell
from training.studies.scales import PAPER, SMALL, Scale
from training.studies.table1 import Table1

DIGEST = "d" * 64
CELL = Cell(study="toy", settings=(("variant", "fine"), ("split", 1)))
KEY = cell_key(Toy(), CELL, SMALL, DIGEST)


def result(cell: Cell = CELL, *, value: float = 0.5, revision: int = 1, digest: str = DIGEST) -> Result:
    return Result(
        key=cell_key(replace(Toy(), revision=revision), cell, SMALL, digest),
        cell=cell,
        revision=revision,
        log_digest=digest,
        records={"scores": [{"value": value, "note": None}]},
        seconds=1.5,
        commit="abc",
    )


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    (tmp_path / "docs").mkdir()
    return Cache.of(Toy(), SMALL, home=tmp_path / "home", committed=tmp_path / "docs" / "cells")


def test_the_key_hangs_on_study_revision_settings_recipe_and_log():
    other_cell = Cell(study="toy", settings=(("variant", "fine"), ("split", 2)))

    keys = {
        KEY,
        cell_key(replace(Toy(), name="other"), CELL, SMALL, DIGEST),
        cell_key(replace(Toy(), revision=2), CELL, SMALL, DIGEST),
        cell_key(Toy(), other_cell, SMALL, DIGEST),
        cell_key(Toy(), CELL, PAPER, DIGEST),
        cell_key(Toy(), CELL, SMALL, "e" * 64),
    }

    assert len(keys) == 6


def test_the_key_does_not_hang_on_the_order_of_settings_or_the_number_of_repetitions():
    turned = replace(CELL, settings=CELL.settings[::-1])

    assert cell_key(Toy(), turned, replace(SMALL, splits=9, seeds=9), DIGEST) == KEY


def test_a_study_that_reads_no_recipe_has_the_same_key_on_every_scale():
    assert cell_key(Table1(), CELL, SMALL, DIGEST) == cell_key(Table1(), CELL, PAPER, DIGEST)


def test_what_is_stored_is_found(cache: Cache):
    cache.store(result())

    found = cache.find(Toy(), {KEY: CELL}, DIGEST)

    assert found.results == {KEY: result()}
    assert found.notes() == []


def test_nothing_stored_is_nothing_found(cache: Cache):
    assert cache.find(Toy(), {KEY: CELL}, DIGEST).results == {}


def test_a_committed_result_counts(cache: Cache):
    write_whole(cache.committed, result().as_json() + "\n")

    assert cache.find(Toy(), {KEY: CELL}, DIGEST).results == {KEY: result()}


def in_rows(made: Result) -> str:
    """A result as it was written first."""
    return json.dumps({**json.loads(made.as_json()), "schema": IN_ROWS, "records": made.records})


def test_a_result_that_was_written_as_rows_counts(cache: Cache):
    write_whole(cache.committed, in_rows(result()) + "\n")

    assert cache.find(Toy(), {KEY: CELL}, DIGEST).results == {KEY: result()}


def test_keeping_rewrites_what_was_written_as_rows(cache: Cache):
    elsewhere = result(digest="e" * 64)
    write_whole(cache.committed, in_rows(elsewhere) + "\n")

    cache.keep([result()])

    assert cache.committed.read_text().splitlines() == [result().as_json(), elsewhere.as_json()]


@pytest.mark.parametrize("path", sorted(COMMITTED.glob("*.jsonl")), ids=lambda path: path.stem)
def test_what_is_committed_loses_nothing_by_being_written_again(path: Path):
    committed = read_result(path.read_text().splitlines()[0])

    assert read_result(committed.as_json()) == committed


def test_what_was_made_here_comes_before_what_was_committed(cache: Cache):
    write_whole(cache.committed, result(value=0.1).as_json() + "\n")
    cache.store(result(value=0.2))

    assert cache.find(Toy(), {KEY: CELL}, DIGEST).results[KEY].records["scores"][0]["value"] == 0.2


def test_results_of_another_schema_are_counted_and_not_used(cache: Cache):
    cache.store(result())
    path = cache.folder / f"{KEY}.json"
    path.write_text(path.read_text().replace(SCHEMA, "amrs-study/0"))

    found = cache.find(Toy(), {KEY: CELL}, DIGEST)

    assert found.results == {}
    assert found.notes() == [f"cached results not used: 1 of schema amrs-study/0 (this is {SCHEMA})"]


def test_results_of_another_revision_are_counted_and_not_used(cache: Cache):
    cache.store(result(revision=1))
    later = replace(Toy(), revision=2)

    found = cache.find(later, {cell_key(later, CELL, SMALL, DIGEST): CELL}, DIGEST)

    assert found.results == {}
    assert found.notes() == ["cached results not used: 1 of another revision of the study (this is 2)"]


def test_results_of_another_recipe_are_counted_and_not_used(cache: Cache):
    cache.store(result())

    found = cache.find(Toy(), {cell_key(Toy(), CELL, PAPER, DIGEST): CELL}, DIGEST)

    assert found.notes() == ["cached results not used: 1 of another recipe for the same cells"]


def test_results_of_other_logs_are_not_mentioned(cache: Cache):
    cache.store(result(digest="e" * 64))

    assert cache.find(Toy(), {KEY: CELL}, DIGEST).notes() == []


@pytest.mark.parametrize(
    "damage", ["", "{", "[1, 2]", f'{{"schema": "{SCHEMA}"}}', f'{{"schema": "{IN_ROWS}"}}', "\x00\xff"]
)
def test_what_cannot_be_read_is_named_and_made_again(cache: Cache, damage: str):
    write_whole(cache.folder / f"{KEY}.json", damage)

    found = cache.find(Toy(), {KEY: CELL}, DIGEST)

    assert found.results == {}
    assert f"{KEY}.json" in found.notes()[0]
    assert "made again" in found.notes()[0]


def test_a_damaged_line_is_named_by_its_number_and_the_others_count(cache: Cache):
    write_whole(cache.committed, f"{result().as_json()[:-9]}\n{result().as_json()}\n")

    found = cache.find(Toy(), {KEY: CELL}, DIGEST)

    assert found.results == {KEY: result()}
    assert "toy-small.jsonl, line 1" in found.notes()[0]


def test_kept_results_stand_sorted_one_to_a_line(cache: Cache):
    cells = [replace(CELL, settings=(("variant", "fine"), ("split", split))) for split in (10, 9, 2)]

    cache.keep([result(cell) for cell in cells])

    lines = [json.loads(line) for line in cache.committed.read_text().splitlines()]
    assert [dict(line["settings"])["split"] for line in lines] == [2, 9, 10]


def test_keeping_replaces_the_same_cell_and_leaves_other_logs(cache: Cache):
    cache.keep([result(value=0.1), result(digest="e" * 64)])

    cache.keep([result(value=0.2)])

    kept = [read_result(line) for line in cache.committed.read_text().splitlines()]
    assert kept == [result(value=0.2), result(digest="e" * 64)]


def test_keeping_drops_other_revisions_and_what_cannot_be_read(cache: Cache):
    write_whole(cache.committed, f"damaged\n{result(digest='e' * 64, revision=0).as_json()}\n")

    cache.keep([result()])

    assert len(cache.committed.read_text().splitlines()) == 1


def test_nothing_can_be_kept_outside_a_repository(tmp_path: Path):
    cache = Cache.of(Toy(), SMALL, home=tmp_path, committed=tmp_path / "nowhere" / "docs" / "cells")

    with pytest.raises(ConfigError, match="repository"):
        cache.keep([result()])


def test_a_number_is_the_same_made_now_and_read_back(cache: Cache):
    records = plain_records(CELL, {"scores": [{"value": 1 / 3, "count": np.int64(3)}]})
    cache.store(replace(result(), records=records))

    found = cache.find(Toy(), {KEY: CELL}, DIGEST)

    assert found.results[KEY].records == records == {"scores": [{"value": 0.3333333, "count": 3}]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan"), [1.0], object()])
def test_a_value_that_is_not_plain_is_refused_by_its_place(value: object):
    with pytest.raises(DataError, match=r"split 1: scores, row 0, value: expected .* got"):
        plain_records(CELL, {"scores": [{"value": value}]})


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "file"
    write_whole(path, "old")

    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")

    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


@dataclass(frozen=True)
class Choice:
    """A piece of a recipe."""

    form: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads(Toy):
    """A study that reads one choice."""

    choice: object

    def reads(self, scale: Scale) -> object:
        return Choice(self.choice)


def key_of(choice: object) -> str:
    return cell_key(Reads(choice=choice), CELL, SMALL, DIGEST)


def loss(kind: str) -> None:
    """A function that a recipe may name."""


@pytest.mark.parametrize("choice", [int, loss, partial(loss, "a"), {"a": (1, None)}, Signal.VALENCE])
def test_a_recipe_may_name_classes_functions_and_plain_values(choice: object):
    assert key_of(choice) == key_of(choice) != key_of(None)


@pytest.mark.parametrize("choice", [lambda: 1, object(), np.zeros(3)])
def test_a_recipe_that_no_other_process_could_know_is_refused(choice: object):
    with pytest.raises(ConfigError, match="a recipe is made of"):
        key_of(choice)
