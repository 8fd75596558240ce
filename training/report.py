"""What `amrs train` shows while it works and when it is done; quiet where nobody watches.

Progress has a bar, a rate and a time left for each stage; tables are printed everywhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from models.affect import SIGNALS
from models.gates import GateReport
from training.card import SHOWN_COLUMNS, cells, gap_in_words
from training.metrics.rollouts import PolicyRow

Advance = Callable[[int], None]


class _Rate(ProgressColumn):
    """Units of work per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} {task.fields['unit']}/s", style="progress.data.speed")


@contextmanager
def showing(console: Console) -> Iterator["Stages"]:
    """Give a place to show stages; bars are drawn on a terminal only."""
    columns = (
        TextColumn("{task.description:>13}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Stages(progress)


class Stages:
    """The stages of a run, as bars."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str, *, total: int, unit: str) -> Advance:
        """Begin a stage; return what is told of its progress."""
        task = self._progress.add_task(name, total=total, unit=unit)
        return lambda done: self._progress.advance(task, done)

    def end(self) -> None:
        """Fill the bars of all stages begun so far: cloning and fine-tuning may stop early and be done."""
        for task in self._progress.tasks:
            self._progress.update(task.id, total=task.completed)


def print_signals(console: Console, title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print one number per signal for each predictor."""
    table = Table("predictor", *SIGNALS, title=title)
    for name, scores in rows.items():
        table.add_row(name, *(f"{scores[signal]:.3f}" if signal in scores else "" for signal in SIGNALS))
    console.print(table)


def print_policies(console: Console, rows: Sequence[PolicyRow]) -> None:
    """Print the policy table in two halves: what listeners feel, and what they are shown."""
    felt = Table("policy", *SIGNALS, title="Five songs each: predicted / true (G: under guardrails)")
    shown = Table("policy", *SHOWN_COLUMNS, title="What was shown; violations predicted / true")
    for row in rows:
        name, *values = cells(row)
        felt.add_row(name, *values[: len(SIGNALS)])
        shown.add_row(name, *values[len(SIGNALS) :])
    console.print(felt)
    console.print(shown)
    console.print(gap_in_words(rows))


def print_gates(console: Console, gates: GateReport) -> None:
    """Print what had to hold, and what was found."""
    table = Table("gate", "required", "measured", "", title="Gates")
    for gate in gates.gates:
        verdict = "[green]passed[/]" if gate.passed else "[red]failed[/]"
        table.add_row(gate.name, gate.required, gate.measured, verdict)
    console.print(table)
