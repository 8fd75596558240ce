"""`amrs bench cost`: how the cost of training grows with listeners and with songs.

One line in log-log through what was measured: its slope tells how a stage grows, and it gives what a platform too
large to be measured would cost, which is a guess and is said to be one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from models.errors import ConfigError
from training.cost import QUICK_SHARE as QUICK_SHARE
from training.cost import USUAL_SHARE as USUAL_SHARE
from training.cost import Share, Stage, StageCost, measure_platforms
from training.platform.parameters import PAPER, PlatformSize, sized_like_paper
from training.presets import Preset
from training.report import showing
from training.studies.cells import ResultTable
from training.studies.report.tables import as_csv, as_markdown, on_terminal

EXTRAPOLATED_TO: Final = 100_000
"""Listeners."""
_FEWEST_POINTS: Final = 3
"""From fewer nothing is extrapolated: a line through two says nothing of how straight it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Which platforms are measured: every number of listeners with the same songs, and the other way round."""

    listeners: tuple[int, ...] = (PAPER.listener_count, 3_000, 10_000)
    songs: tuple[int, ...] = (1_500, PAPER.song_count, 20_000, 70_000)

    def __post_init__(self) -> None:
        if not self.listeners or not self.songs:
            raise ConfigError("cost is measured for at least one number of listeners and one of songs; got none")

    @property
    def by_listeners(self) -> list[PlatformSize]:
        """Platforms of growing listeners, with the paper's songs or, without it, the fewest."""
        songs = PAPER.song_count if PAPER.song_count in self.songs else min(self.songs)
        return [sized_like_paper(each, songs) for each in sorted(set(self.listeners))]

    @property
    def by_songs(self) -> list[PlatformSize]:
        """Platforms of growing catalogues, with the paper's listeners or, without them, the fewest."""
        listeners = PAPER.listener_count if PAPER.listener_count in self.listeners else min(self.listeners)
        return [sized_like_paper(listeners, each) for each in sorted(set(self.songs))]

    @property
    def command(self) -> str:
        """What asks for them."""
        listeners = [f"--listeners {each}" for each in self.listeners]
        return " ".join(["amrs bench cost", *listeners, *(f"--songs {each}" for each in self.songs)])


USUAL: Final = Sizes()
QUICK: Final = Sizes(listeners=(60, 120, 240), songs=(200, 400, 800))


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """Cost = factor · sizeᵉˣᵖᵒⁿᵉⁿᵗ, fitted by least squares to the logarithms."""

    factor: float
    exponent: float
    farthest: float
    """The largest ratio between what was measured and what the line says, at least 1."""

    def __call__(self, size: float | int) -> float:
        """Return what the line says of a size."""
        return self.factor * size**self.exponent


def fit_power_law(costs: Mapping[int, float]) -> PowerLaw | None:
    """Return the line through costs by size; None where there are fewer than two, or one is not above 0."""
    if len(costs) < 2 or min(costs.values()) <= 0:
        return None
    x = [math.log(size) for size in costs]
    y = [math.log(cost) for cost in costs.values()]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    offset = mean_y - slope * mean_x
    farthest = max(abs(b - offset - slope * a) for a, b in zip(x, y, strict=True))
    return PowerLaw(factor=math.exp(offset), exponent=slope, farthest=math.exp(farthest))


def bench_cost(
    sizes: Sizes,
    *,
    preset: Preset,
    seed: int,
    share: Share,
    console: Console,
    out: Path | None = None,
) -> None:
    """Measure, print both tables, and write them where a folder is given.

    Args:
        sizes: of the platforms.
        preset: the recipe of every stage.
        seed: draws everything.
        share: how much of a stage is timed.
        console: where the tables are printed.
        out: gets `cost.md`, and `cost.csv` with every number; nothing is written when None.
    """
    platforms = list(dict.fromkeys([*sizes.by_listeners, *sizes.by_songs]))
    with showing(console) as stages:
        costs = measure_platforms(
            platforms,
            preset=preset,
            seed=seed,
            share=share,
            advance=stages.stage("cost", total=len(platforms), unit="platforms"),
        )
    tables = [
        growth_table(
            "cost-by-listeners",
            f"Against listeners, {sizes.by_listeners[0].song_count:,} songs",
            _of(costs, sizes.by_listeners),
            size_of=lambda cost: cost.listener_count,
            beyond=EXTRAPOLATED_TO,
        ),
        growth_table(
            "cost-by-songs",
            f"Against the catalogue, {sizes.by_songs[0].listener_count:,} listeners",
            _of(costs, sizes.by_songs),
            size_of=lambda cost: cost.song_count,
        ),
    ]
    for table in tables:
        console.print(on_terminal(table))
        console.print(table.note)
    if out is not None:
        command = f"{sizes.command} --preset {preset.name} --seed {seed}"
        out.mkdir(parents=True, exist_ok=True)
        (out / "cost.md").write_text("\n".join(as_markdown(table, command=command) for table in tables))
        (out / "cost.csv").write_text(as_csv(measured_table(costs)))
        console.print(f"Written to {out}")


def _of(costs: Iterable[StageCost], sizes: Sequence[PlatformSize]) -> list[StageCost]:
    """Return the costs of the given platforms."""
    wanted = {(each.listener_count, each.song_count) for each in sizes}
    return [each for each in costs if (each.listener_count, each.song_count) in wanted]


def growth_table(
    name: str,
    title: str,
    costs: Sequence[StageCost],
    *,
    size_of: Callable[[StageCost], int],
    beyond: int | None = None,
) -> ResultTable:
    """Return processor seconds of each stage and of a run by size, peak memory, growth, and a guess beyond.

    Args:
        name: of the table.
        title: what grows, and what does not.
        costs: of platforms that differ in one size alone.
        size_of: that size.
        beyond: the size of which a guess is given; no guess when None, nor from fewer than three sizes.
    """
    sizes = sorted({size_of(each) for each in costs})
    by_stage = {
        str(stage): {size_of(each): each.seconds for each in costs if each.stage is stage}
        for stage in Stage
        if any(each.stage is stage for each in costs)
    }
    run = {size: sum(each.seconds * each.times for each in costs if size_of(each) == size) for size in sizes}
    peak = {size: max(each.peak_mib for each in costs if size_of(each) == size) / 1024 for size in sizes}
    rows = [
        (label, *_cells(by_size, sizes, beyond))
        for label, by_size in [*by_stage.items(), ("all, as often as a run asks", run), ("peak memory, GiB", peak)]
    ]
    guess = "" if beyond is None else f"; ≈ {beyond:,} is extrapolated along that line and was not measured"
    return ResultTable(
        name=name,
        title=title,
        header=(
            "processor seconds",
            *(f"{size:,}" for size in sizes),
            "grows as",
            "off the line",
            *([] if beyond is None else [f"≈ {beyond:,}, extrapolated"]),
        ),
        rows=tuple(rows),
        note=(
            "One thread. A stage is timed on a share of its work and counted up where its units are alike. Growth "
            "is the slope of a straight line in log-log, with the farthest ratio of a point to it"
            f"{guess}. A run asks for epochs, steps and looks as often as the preset allows, and may stop before; "
            "stress test, limits and calibration are not among the stages."
        ),
    )


def _cells(by_size: Mapping[int, float], sizes: Sequence[int], beyond: int | None) -> list[str]:
    line = fit_power_law(by_size)
    cells = [_digits(by_size[size]) if size in by_size else "–" for size in sizes]
    cells += ["–", "–"] if line is None else [f"n^{line.exponent:.2f}", f"×{line.farthest:.2f}"]
    if beyond is not None:
        cells.append("–" if line is None or len(by_size) < _FEWEST_POINTS else f"≈ {_digits(line(beyond))}")
    return cells


def _digits(number: float) -> str:
    """Return three significant digits, and no fewer than those before the point."""
    rounded = float(f"{number:.2e}")
    decimals = 2 - math.floor(math.log10(rounded)) if rounded > 0 else 0
    return f"{number:,.{max(0, decimals)}f}"


def measured_table(costs: Sequence[StageCost]) -> ResultTable:
    """Return everything that was measured, a row for each stage of each platform."""
    return ResultTable(
        name="cost",
        title="What was measured",
        header=(
            *("listeners", "songs", "stage", "unit", "timed_units", "timed_cpu_seconds"),
            *("whole_units", "whole_cpu_seconds", "times_in_a_run", "peak_mib_so_far"),
        ),
        rows=tuple(
            (
                *(
                    each.listener_count,
                    each.song_count,
                    str(each.stage),
                    each.unit,
                    each.timed,
                    each.timed_seconds,
                ),
                *(each.whole, each.seconds, each.times, each.peak_mib),
            )
            for each in costs
        ),
    )
