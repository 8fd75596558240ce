"""A study of one second: its numbers come from the log and the cell's seed, and some of its cells go wrong."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from models.errors import DataError
from models.log import read_log
from models.log_schema import LogDescription
from training.studies.cells import Cell, Figure, Records, Results, ResultTable
from training.studies.jobs import Done, Job, run_job
from training.studies.scales import Scale
from training.studies.workers import Failure, attempt
from training.tasks import Advance

FINE, FAILS, DIES, NAN = "fine", "fails", "dies", "not a number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """Each variant on every split."""

    name: str = "toy"
    title: str = "A toy <study> & its table"
    revision: int = 1
    variants: tuple[str, ...] = (FINE,)

    def cells(self, scale: Scale) -> Sequence[Cell]:
        return [
            Cell(study=self.name, settings=(("variant", variant), ("split", split)))
            for variant in self.variants
            for split in range(scale.splits)
        ]

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        variant, split = cell.text("variant"), cell.number("split")
        if variant == FAILS:
            raise DataError(f"split {split} cannot be had")
        if variant == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        plays = len(read_log(log).plays)
        advance(plays)
        drawn = np.random.default_rng(split).normal()
        return {"scores": [{"value": float("nan") if variant == NAN else plays + drawn, "plays": plays}]}

    def tables(self, results: Results) -> Sequence[ResultTable]:
        rows = tuple((cell.label, records["scores"][0]["value"]) for cell, records in results)
        return [ResultTable(name="values", title="Values", header=("cell", "value"), rows=rows, note="x < y & z")]

    def figures(self, results: Results) -> Sequence[Figure]:
        def draw(canvas: Canvas) -> None:
            canvas.subplots().plot(range(len(results)))

        return [Figure(name="line", title="A line", caption="It rises.", draw=draw)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosy(Toy):
    """It asks for listeners who live."""

    name: str = "choosy"

    def refuses(self, description: LogDescription) -> str | None:
        return "its listeners are invented" if description.simulated else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn(Toy):
    """Its table cannot be made."""

    name: str = "torn"

    def tables(self, results: Results) -> Sequence[ResultTable]:
        raise ZeroDivisionError("division by zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Toy):
    """It says what it reads."""

    recipe: tuple[object, ...]

    def reads(self, scale: Scale) -> object:
        return self.recipe


def in_this_process(jobs: Sequence[Job], advance: Advance) -> Iterator[tuple[int, Done | Failure]]:
    """A place for cells that is there at once."""
    return ((place, attempt(run_job, job, advance)) for place, job in enumerate(jobs))
