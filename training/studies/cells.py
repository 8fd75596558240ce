"""A study and the cells it falls into: what every table of the paper has in common.

A cell is one run of at most twenty minutes on one core, named by its settings; it gives records, flat rows of
plain values that outlive the run as JSON. Tables and figures are made from the records of all cells, so they can
be drawn again without training anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from matplotlib.figure import Figure as Canvas

from models.log_schema import LogDescription
from training.studies.scales import Scale
from training.tasks import Advance

Scalar = str | int | float | bool | None
Row = Mapping[str, Scalar]
"""One flat record. A number that could not be computed is None; NaN is refused."""
Records = Mapping[str, Sequence[Row]]
"""Rows by the kind of record: scores, curve, trajectory, …"""
Value = str | int | float | None
"""What stands in one field of a table; None is shown as a dash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of a study."""

    study: str
    settings: tuple[tuple[str, Scalar], ...]
    """What sets this run apart from the study's others, seeds and splits included; part of its key."""

    @property
    def label(self) -> str:
        """The cell in words: the study's name and every setting."""
        return f"{self.study}: " + ", ".join(f"{name} {value}" for name, value in self.settings)

    def __getitem__(self, name: str) -> Scalar:
        return dict(self.settings)[name]

    def text(self, name: str) -> str:
        """Return a setting that is text."""
        value = self[name]
        assert isinstance(value, str), f"{name} of {self.label} is not text"
        return value

    def number(self, name: str) -> int:
        """Return a setting that is a whole number, such as a split's or a seed's."""
        value = self[name]
        assert isinstance(value, int), f"{name} of {self.label} is not a whole number"
        return value


Results = Sequence[tuple[Cell, Records]]
"""The cells that are done, in the study's order; some may be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """One table of a report."""

    name: str
    """Short and without spaces: its files are named by it."""
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    """As wide as the header; text is shown as it is."""
    note: str = ""
    """What a reader must know: over what the numbers run, what the marks mean, what is the paper's."""
    command: str = ""
    """The command that prints it again, LOG standing for the log; the study's own when left empty."""
    quoted: tuple[int, ...] = ()
    """Places of rows that are the paper's own numbers: set apart from ours."""
    selected: tuple[int, ...] = ()
    """Places of rows to be shaded, as the paper shades the configuration it selected."""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), f"{self.name}: a row has another width"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a report."""

    name: str
    """Short and without spaces: its file is named by it."""
    title: str
    caption: str
    draw: Callable[[Canvas], None]
    """Draws on an empty matplotlib figure whose layout is constrained; `training.studies.report.plots` helps."""
    width: float | int = 8.0
    """Inches."""
    height: float | int = 4.5
    """Inches."""


@runtime_checkable
class Study(Protocol):
    """One study; an implementation is a frozen dataclass that can be pickled."""

    @property
    def name(self) -> str:
        """What the command line calls it: table2."""
        ...

    @property
    def title(self) -> str:
        """One line for the head of the report."""
        ...

    @property
    def revision(self) -> int:
        """Raised when the meaning of the numbers changes: cells of other revisions no longer count."""
        ...

    def cells(self, scale: Scale) -> Sequence[Cell]:
        """Return every cell; no two have the same settings."""
        ...

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return a cell's records, the same wherever it runs: every generator is seeded from the cell.

        Args:
            log: the folder, read with `models.log.read_log`.
            advance: told how many units of work were just done, whatever a unit is.
        """
        ...

    def tables(self, results: Results) -> Sequence[ResultTable]:
        """Return the tables of the cells that are done."""
        ...

    def figures(self, results: Results) -> Sequence[Figure]:
        """Return the figures of the cells that are done."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """A study that some logs cannot serve."""

    def refuses(self, description: LogDescription) -> str | None:
        """Return why this log cannot serve, in words; None if it can."""
        ...


@runtime_checkable
class ReadsPart(Protocol):
    """A study whose numbers hang on less than the whole preset, so that other changes leave its cells valid."""

    def reads(self, scale: Scale) -> object:
        """Return what a cell's key holds instead of `scale.preset`: a dataclass, or a tuple of them."""
        ...


@runtime_checkable
class SharesRuns(Protocol):
    """A study whose cells another one reads too: they are run once, and kept under a name of their own."""

    @property
    def runs(self) -> str:
        """The name; every study that gives it has the same cells and the same revision."""
        ...


def runs_of(study: Study) -> str:
    """Return the name under which a study's cells are kept: its own, unless it shares them."""
    return study.runs if isinstance(study, SharesRuns) else study.name
