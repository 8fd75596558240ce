"""One map over cells: in processes on this machine, or on a Ray cluster; each result is stored when it is there.

A cell that fails does not stop the others; an interruption loses only the cells that were running.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from models.errors import DataError
from models.log import read_log
from training.studies.cache import plain_records
from training.studies.cells import Cell, Records, Study
from training.studies.on_ray import each_done_on_ray
from training.studies.scales import Scale
from training.studies.workers import Failure, each_done
from training.tasks import Advance


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A cell and all that its run needs."""

    study: Study
    cell: Cell
    log: Path
    log_digest: str
    """A log of another digest at the same place, on another machine or since then, is refused."""
    scale: Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a cell came to."""

    records: Records
    seconds: float


def run_job(job: Job, advance: Advance) -> Done:
    """Return a cell's records, plain and finite.

    Raises:
        DataError: the log is not the one that was asked for, or a record is not plain.
    """
    began = perf_counter()
    digest = read_log(job.log).digest()
    if digest != job.log_digest:
        raise DataError(
            f"{job.log} is another log here: expected digest {job.log_digest[:12]}, found {digest[:12]}"
        )
    records = job.study.run(job.cell, job.log, job.scale, advance)
    return Done(records=plain_records(job.cell, records), seconds=perf_counter() - began)


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Processes on this machine."""

    processes: int

    def __call__(self, jobs: Sequence[Job], advance: Advance) -> Iterator[tuple[int, Done | Failure]]:
        """Yield each job's place and what became of it."""
        return each_done(run_job, jobs, processes=self.processes, advance=advance)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRay:
    """A Ray cluster; progress is told by whole cells."""

    address: str
    processes: int
    """Cores of a Ray that is started for this; a running one knows its own."""

    def __call__(self, jobs: Sequence[Job], advance: Advance) -> Iterator[tuple[int, Done | Failure]]:
        """Yield each job's place and what became of it."""
        del advance
        return each_done_on_ray(run_job, jobs, address=self.address, processes=self.processes)


@runtime_checkable
class Place(Protocol):
    """Where jobs are run."""

    def __call__(self, jobs: Sequence[Job], advance: Advance) -> Iterator[tuple[int, Done | Failure]]:
        """Yield each job's place and what became of it, in the order in which they are done."""
        ...


def run_jobs(
    jobs: Sequence[Job], place: Place, *, store: Callable[[Job, Done], None], console: Console
) -> list[tuple[Job, Failure]]:
    """Run the jobs, hand each result to `store` as soon as it is there, and return those that failed."""
    failed: list[tuple[Job, Failure]] = []
    if not jobs:
        return failed
    with _progress(console) as progress:
        bar = progress.add_task("cells", total=len(jobs), work=0, failed=0)
        work = 0

        def advance(amount: int) -> None:
            nonlocal work
            work += amount
            progress.update(bar, work=work)

        for number, outcome in place(jobs, advance):
            if isinstance(outcome, Failure):
                failed.append((jobs[number], outcome))
                console.print(f"[red]failed[/] {jobs[number].cell.label}: {outcome.message}", highlight=False)
            else:
                store(jobs[number], outcome)
            progress.update(bar, advance=1, failed=len(failed))
    return failed


class _Rate(ProgressColumn):
    """Cells an hour and the time left, by what is done so far; the units of work that the running ones tell of.

    Cells end in bursts, several processes at a time, so the rate is that of the whole run.
    """

    def render(self, task: Task) -> Text:
        elapsed, done = task.elapsed or 0.0, task.completed
        told = [f"{task.fields['work'] / max(elapsed, 1.0):,.0f} units/s"]
        if done:
            told.append(f"{3600 * done / max(elapsed, 1.0):,.0f} cells/h")
            told.append(f"{timedelta(seconds=round(elapsed * (task.total or done) / done - elapsed))} left")
        if task.fields["failed"]:
            told.append(f"{task.fields['failed']} failed")
        return Text(" · ".join(told))


def _progress(console: Console) -> Progress:
    """Return a bar with a rate and the time left; nothing is drawn where nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), _Rate())
    return Progress(*columns, console=console, disable=not console.is_terminal)
