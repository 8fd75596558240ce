"""SiTunes, the published splits and scores: likes and changes of mood of real listeners.

    AMRS_SITUNES_DIR=DATA amrs study situnes LOG --scale paper

LOG is the data set as `amrs logs import situnes` makes it, by which results are cached; the published split files,
which no log holds, are read from DATA. One cell is one published seed with the inputs of one group of columns.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.errors import ConfigError
from models.log_schema import LogDescription
from training.situnes.benchmark import SEEDS
from training.studies.cells import Cell, Figure, Records, Results, ResultTable
from training.studies.scales import Scale
from training.studies.situnes_runs import LIKES, RUN, run_likes, run_moods
from training.studies.situnes_tables import (
    heads_table,
    likes_table,
    moods_table,
    reached_table,
    reports_table,
)
from training.tasks import Advance

DATA: Final = "AMRS_SITUNES_DIR"
_MOODS: Final = "report before"


def data_folder() -> Path:
    """Return the folder of the data set.

    Raises:
        ConfigError: nobody said where it is, or no published splits are in it.
    """
    named = os.environ.get(DATA)
    if not named:
        raise ConfigError(
            f"the published splits stand in no log: set {DATA} to the folder of the data set that holds them"
        )
    folder = Path(named)
    if not (folder / "published_splits").is_dir():
        raise ConfigError(f"{DATA} must name a folder with published_splits in it; {folder} has none")
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class SiTunes:
    """One cell per group of inputs and published seed."""

    name: str = "situnes"
    title: str = "SiTunes: likes and moods of real listeners, beside the published results"
    revision: int = 1

    def cells(self, scale: Scale) -> list[Cell]:
        """Return the cells of as many of the ten published seeds as the scale has splits."""
        return [
            Cell(study=self.name, settings=(("inputs", inputs), ("published seed", seed)))
            for inputs in (*LIKES, _MOODS)
            for seed in SEEDS[: scale.splits]
        ]

    def refuses(self, description: LogDescription) -> str | None:
        """Return why a log cannot serve: it is not SiTunes, or its splits were not found."""
        if description.name != "situnes":
            return "the published splits are of SiTunes alone"
        try:
            data_folder()
        except ConfigError as error:
            return str(error)
        return None

    def reads(self, scale: Scale) -> object:
        """Return what fixes a cell's numbers besides log, inputs and seed."""
        del scale
        return RUN

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return the scores of references and predictors.

        Raises:
            ConfigError: nobody said where the data is.
            DataError: a published file is missing or is not what was published.
        """
        del log, scale
        folder, seed, inputs = data_folder(), cell.number("published seed"), cell.text("inputs")
        if inputs == _MOODS:
            return run_moods(folder, seed, advance=advance)
        return run_likes(folder, inputs, seed, advance=advance)

    def tables(self, results: Results) -> list[ResultTable]:
        """Return the published tables with ours in them, then what was reached, and what the predictors are."""
        made = [
            likes_table(results),
            moods_table(results),
            reports_table(results),
            reached_table(results),
            heads_table(results),
        ]
        return [table for table in made if table.rows]

    def figures(self, results: Results) -> list[Figure]:
        """Return none: the tables are the published ones."""
        del results
        return []
