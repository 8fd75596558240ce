"""What costs follow a power of the size lie on one line, and what the line says beyond them is called a guess."""

from pathlib import Path

import pytest
from rich.console import Console

from models.errors import ConfigError
from tests.training.small_run import PRESET
from training.cost import Share, Stage, StageCost
from training.studies.growth import Sizes, bench_cost, fit_power_law, growth_table, measured_table


def cost(
    stage: Stage, listener_count: int, seconds: float, *, times: int = 1, peak_mib: float = 512.0
) -> StageCost:
    return StageCost(
        listener_count=listener_count,
        song_count=150,
        stage=stage,
        unit="plays",
        timed=10,
        whole=10,
        timed_seconds=seconds,
        times=times,
        peak_mib=peak_mib,
    )


def test_a_power_of_the_size_is_found_and_goes_on():
    line = fit_power_law({size: 3.0 * size**1.5 for size in (10, 100, 1_000)})

    assert line is not None
    assert line.exponent == pytest.approx(1.5)
    assert line.farthest == pytest.approx(1.0)
    assert line(10_000) == pytest.approx(3e6)


def test_a_point_off_the_line_is_told():
    line = fit_power_law(
        {1: 1.0, 10: 40.0, 100: 100.0}
    )  # the middle one is four times the line through the others

    assert line is not None
    assert line.exponent == pytest.approx(1.0)
    assert line.farthest == pytest.approx(4 ** (2 / 3))


def test_there_is_no_line_through_one_point_or_through_nothing():
    assert fit_power_law({10: 1.0}) is None
    assert fit_power_law({10: 1.0, 100: 0.0}) is None


def test_a_table_has_each_stage_the_run_and_the_memory_and_says_what_is_extrapolated():
    costs = [
        each
        for size in (10, 100, 1_000)
        for each in (cost(Stage.SIMULATE, size, 0.1 * size), cost(Stage.STEP, size, 0.5, times=4))
    ]

    table = growth_table("t", "T", costs, size_of=lambda each: each.listener_count, beyond=10_000)

    assert table.header[1:] == ("10", "100", "1,000", "grows as", "off the line", "≈ 10,000, extrapolated")
    assert table.rows == (
        ("simulate", "1.00", "10.0", "100", "n^1.00", "×1.00", "≈ 1,000"),
        ("DPO, a step", "0.500", "0.500", "0.500", "n^0.00", "×1.00", "≈ 0.500"),
        ("all, as often as a run asks", "3.00", "12.0", "102", "n^0.77", "×1.29", "≈ 525"),
        ("peak memory, GiB", "0.500", "0.500", "0.500", "n^0.00", "×1.00", "≈ 0.500"),
    )
    assert "extrapolated" in table.note


def test_two_sizes_give_a_slope_and_no_guess():
    costs = [cost(Stage.SIMULATE, size, 0.1 * size) for size in (10, 100)]

    table = growth_table("t", "T", costs, size_of=lambda each: each.listener_count, beyond=1_000)

    assert table.rows[0] == ("simulate", "1.00", "10.0", "n^1.00", "×1.00", "–")


def test_what_was_measured_has_a_row_for_each_stage():
    table = measured_table([cost(Stage.SIMULATE, 10, 1.0)])

    assert table.rows == ((10, 150, "simulate", "plays", 10, 1.0, 10, 1.0, 1, 512.0),)


def test_listeners_and_songs_grow_about_the_papers_size_or_the_smallest():
    usual, small = Sizes(), Sizes(listeners=(60, 40), songs=(150, 200))

    assert {each.song_count for each in usual.by_listeners} == {6_988}
    assert {each.listener_count for each in usual.by_songs} == {939}
    assert [(each.listener_count, each.song_count) for each in small.by_listeners] == [(40, 150), (60, 150)]
    assert [(each.listener_count, each.song_count) for each in small.by_songs] == [(40, 150), (40, 200)]
    assert small.command == "amrs bench cost --listeners 60 --listeners 40 --songs 150 --songs 200"


def test_no_size_is_refused():
    with pytest.raises(ConfigError, match="at least one"):
        Sizes(songs=())


def test_the_command_writes_both_tables_and_every_number(tmp_path: Path):
    with (tmp_path / "shown.txt").open("w") as shown:
        bench_cost(
            Sizes(listeners=(40,), songs=(150,)),
            preset=PRESET,
            seed=0,
            share=Share(tokens=300, plays=200, windows=40, watched=4, starts=4, repeats=1),
            console=Console(file=shown, width=140),
            out=tmp_path / "cost",
        )

    page, numbers = (tmp_path / "cost" / "cost.md").read_text(), (tmp_path / "cost" / "cost.csv").read_text()
    assert "Against listeners, 150 songs" in (tmp_path / "shown.txt").read_text()
    assert page.count("`amrs bench cost --listeners 40 --songs 150 --preset test --seed 0`") == 2
    assert len(numbers.splitlines()) == 1 + len(Stage)
