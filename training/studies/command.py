"""`amrs study`: from a name and a log to a report; what is done is cached, what is missing is run.

read the log → list the cells → take what the cache has → run the rest → draw the report.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from models.errors import AmrsError, ConfigError, DataError
from models.log import Log, read_log
from training.code_version import code_version
from training.studies.cache import COMMITTED, Cache, Found, Result, cell_key
from training.studies.cells import Cell, Choosy, Study
from training.studies.jobs import Done, Job, Place, run_jobs
from training.studies.report.origin import Origin, origin_of
from training.studies.report.page import Chapter, Drawn
from training.studies.report.tables import on_terminal
from training.studies.report.write import draw, write_chapter, write_page
from training.studies.scales import Scale, scale_named
from training.studies.workers import Failure

ALL: Final = "all"
_SPLIT_BY_LISTENER: Final = frozenset({"split", "seed"})
"""Settings of cells whose runs split the listeners."""


def _table1() -> Study:
    from training.studies.table1 import Table1

    return Table1()


def _table4() -> Study:
    from training.studies.table4 import Table4

    return Table4()


def _table5() -> Study:
    from training.studies.table5 import Table5

    return Table5()


def _table2() -> Study:
    from training.studies.table2 import Table2

    return Table2()


def _table3() -> Study:
    from training.studies.table3 import Table3

    return Table3()


def _worlds() -> Study:
    from training.studies.worlds import Worlds

    return Worlds()


def _ingredients() -> Study:
    from training.studies.ingredients import Ingredients

    return Ingredients()


def _judges() -> Study:
    from training.studies.judges import Judges

    return Judges()


def _off_policy() -> Study:
    from training.studies.off_policy import OffPolicy

    return OffPolicy()


def _coverage() -> Study:
    from training.studies.coverage import Coverage

    return Coverage()


def _situnes() -> Study:
    from training.studies.situnes import SiTunes

    return SiTunes()


STUDIES: Final[Mapping[str, Callable[[], Study]]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "table5": _table5,
    "worlds": _worlds,
    "ingredients": _ingredients,
    "judges": _judges,
    "off_policy": _off_policy,
    "situnes": _situnes,
    "coverage": _coverage,
}
"""Every study by name, in the order of `all`; its file is imported when it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of a study's cells are wanted: all of them, unless told otherwise."""

    splits: int | None = None
    """So many splits in place of the scale's."""
    seeds: int | None = None
    """So many seeds in place of the scale's."""
    only: tuple[str, ...] = ()
    """Texts of which a cell's label must hold one."""

    def narrowed(self, scale: Scale) -> Scale:
        """Return the scale with its repetitions replaced."""
        return replace(scale, splits=self.splits or scale.splits, seeds=self.seeds or scale.seeds)

    def holds(self, cell: Cell) -> bool:
        """Whether the cell is wanted."""
        return not self.only or any(text.casefold() in cell.label.casefold() for text in self.only)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked on the command line."""

    study: str
    log: Path
    scale: str
    home: Path
    """AMRS_HOME: the cache and the reports stand below it."""
    place: Place
    resume: bool = True
    """Whether cached results count."""
    only_report: bool = False
    """Whether nothing is run."""
    adopt: bool = False
    """Whether results under another recipe count for the same cells: whoever asks vouches for the numbers."""
    keep: bool = False
    """Whether results are written into the project, to be committed."""
    selection: Selection = Selection()
    committed: Path = COMMITTED
    """Where the project's own results stand."""

    @property
    def command(self) -> str:
        """Return what gives these numbers again, LOG standing for the log."""
        return self.command_for(self.study)

    def command_for(self, study: str) -> str:
        """Return the same for one of the studies."""
        chosen = self.selection
        repeated = [
            f"--{name} {count}" for name, count in (("splits", chosen.splits), ("seeds", chosen.seeds)) if count
        ]
        return " ".join(
            [
                f"amrs study {study} LOG --scale {self.scale}",
                *repeated,
                *(f'--only "{text}"' for text in chosen.only),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One study's cells, and which of them are done."""

    study: Study
    cells: Mapping[str, Cell]
    """By key."""
    cache: Cache
    found: Found

    def with_results(self, made: Mapping[str, Result]) -> "Plan":
        """Return the plan with results that were made since."""
        ours = {key: result for key, result in made.items() if key in self.cells}
        return replace(self, found=replace(self.found, results={**self.found.results, **ours}))


def run_study(
    request: Request,
    *,
    now: datetime,
    console: Console,
    studies: Mapping[str, Callable[[], Study]] = STUDIES,
) -> None:
    """Run what is missing of a study, or of all, and write the report.

    Raises:
        ConfigError: the study or the scale is unknown.
        LogError: the log breaks its schema.
        DataError: the log cannot serve the study.
        AmrsError: cells failed; the others are done and in the report.
    """
    scale = request.selection.narrowed(scale_named(request.scale))
    chosen = chosen_studies(request.study, studies)
    log = read_log(request.log)
    digest = log.digest()
    chosen = _those_served(chosen, log, console, insist=request.study != ALL)
    plans = [_plan(study, log, digest, scale, request, console) for study in chosen]
    made: dict[str, Result] = {}
    failed = [] if request.only_report else _run_missing(plans, digest, scale, request, made, console)
    plans = [plan.with_results(made) for plan in plans]
    origin = origin_of(log, digest, scale, request.command)
    chapters: list[Chapter] = []
    broken: list[str] = []
    for plan in plans:
        try:
            chapters.append(_report(plan, failed, origin, scale, request, now, console))
        except Exception as error:  # noqa: BLE001 — one study's table must not cost the others theirs
            failure = Failure.of(error)
            broken.append(f"the report of {plan.study.name} could not be made: {failure.message}")
            console.print(failure.trace, style="dim", markup=False, highlight=False)
    if request.study == ALL:
        title = f"AMRS studies, {scale.name} scale"
        path = write_page(_folder(request, ALL), title, origin, chapters, made_at=now)
        console.print(f"All together: {path}", soft_wrap=True)
    if failed or broken:
        cell_count = len({key for plan in plans for key in plan.cells})
        raise AmrsError("\n".join([*_failures_in_words(failed, cell_count), *broken]))


def chosen_studies(name: str, studies: Mapping[str, Callable[[], Study]] = STUDIES) -> list[Study]:
    """Return the study of that name, or every one.

    Raises:
        ConfigError: there is none; the message lists those that there are.
    """
    if name == ALL:
        return [make() for make in studies.values()]
    if name not in studies:
        raise ConfigError(f"expected a study out of {', '.join(studies)} or {ALL}; got {name!r}")
    return [studies[name]()]


def _those_served(studies: Sequence[Study], log: Log, console: Console, *, insist: bool) -> list[Study]:
    """Return the studies that this log can serve; say why not of the others."""
    served = []
    for study in studies:
        reason = study.refuses(log.description) if isinstance(study, Choosy) else None
        if reason is None:
            served.append(study)
        elif insist:
            raise DataError(f"{study.name} cannot be run on log {log.description.name!r}: {reason}")
        else:
            console.print(f"{study.name} is left out: {reason}")
    return served


def _plan(study: Study, log: Log, digest: str, scale: Scale, request: Request, console: Console) -> Plan:
    cells = [cell for cell in study.cells(scale) if request.selection.holds(cell)]
    if not cells:
        raise ConfigError(
            f"no cell of {study.name} has {' or '.join(map(repr, request.selection.only))} in its label"
        )
    keyed = {cell_key(study, cell, scale, digest): cell for cell in cells}
    assert len(keyed) == len(cells), f"{study.name} has two cells of the same settings"
    if any(name in _SPLIT_BY_LISTENER for cell in cells for name, _ in cell.settings):
        _require_listeners(log)
    cache = Cache.of(study, scale, home=request.home, committed=request.committed)
    if request.adopt:
        console.print(f"{study.name}: results taken over from another recipe: {cache.adopt(study, keyed, digest)}")
    found = cache.find(study, keyed, digest) if request.resume or request.only_report else Found(results={})
    console.print(f"{study.name}: {len(found.results)} of {len(cells)} cells are cached")
    for note in found.notes():
        console.print(f"  {note}", highlight=False, soft_wrap=True)
    return Plan(study=study, cells=keyed, cache=cache, found=found)


def _require_listeners(log: Log) -> None:
    """Raise unless the log can be split by listener.

    Raises:
        DataError: naming the counts.
    """
    consented = log.select_listeners(log.listening_ids())
    playing = consented.sessions.join(consented.plays, on="session_id", how="semi")["listener_id"].n_unique()
    if playing < 3:
        raise DataError(
            f"log {log.description.name!r} is too small to split: expected at least 3 listeners who consented and "
            f"played something (training, validation, test), found {playing} of {len(log.listeners)} listeners"
        )


def _run_missing(
    plans: Sequence[Plan],
    digest: str,
    scale: Scale,
    request: Request,
    made: dict[str, Result],
    console: Console,
) -> list[tuple[Job, Failure]]:
    """Run the cells that no cache has; store each in the cache and in `made` as soon as it is done."""
    commit = code_version()
    caches = {plan.study.name: plan.cache for plan in plans}
    jobs = {  # by key: a cell that two studies read is run once
        key: Job(study=plan.study, cell=cell, log=request.log.resolve(), log_digest=digest, scale=scale)
        for plan in plans
        for key, cell in plan.cells.items()
        if key not in plan.found.results
    }

    def store(job: Job, done: Done) -> None:
        result = Result(
            key=cell_key(job.study, job.cell, scale, digest),
            cell=job.cell,
            revision=job.study.revision,
            log_digest=digest,
            records=done.records,
            seconds=round(done.seconds, 1),
            commit=commit,
        )
        caches[job.study.name].store(result)
        made[result.key] = result

    try:
        return run_jobs(list(jobs.values()), request.place, store=store, console=console)
    except KeyboardInterrupt:
        console.print("Interrupted. The cells that were done are kept; the same command goes on from there.")
        raise


def _report(
    plan: Plan,
    failed: Sequence[tuple[Job, Failure]],
    origin: Origin,
    scale: Scale,
    request: Request,
    now: datetime,
    console: Console,
) -> Chapter:
    """Write one study's report, print its tables, and return it as a chapter."""
    study, results = plan.study, plan.found.results
    done = [(cell, results[key].records) for key, cell in plan.cells.items() if key in results]
    command = request.command_for(study.name)
    ours = [(job, failure) for job, failure in failed if job.cell in plan.cells.values()]
    chapter = Chapter(
        name=study.name,
        title=study.title,
        command=command,
        cell_count=len(plan.cells),
        done_count=len(done),
        seconds=sum((results[key].seconds for key in plan.cells if key in results), 0.0),
        commits=tuple(sorted({results[key].commit for key in plan.cells if key in results})),
        notes=(
            *plan.found.notes(),
            *_adopted_in_words([results[key] for key in plan.cells if key in results]),
            *(f"failed: {job.cell.label}: {failure.message}" for job, failure in ours),
        ),
        tables=study.tables(done) if done else (),
        figures=[Drawn(figure=figure, png=draw(figure)) for figure in study.figures(done)] if done else (),
    )
    for table in chapter.tables:
        console.print(on_terminal(table))
        if table.note:
            console.print(table.note, style="dim", highlight=False, markup=False)
    if chapter.missing_count:
        console.print(f"{study.name}: {chapter.missing_count} of {chapter.cell_count} cells are missing")
    folder = _folder(request, study.name)
    origin = replace(origin, command=command)
    write_chapter(folder, origin, chapter)
    path = write_page(folder, study.title, origin, [chapter], made_at=now)
    console.print(f"Report: {path}", soft_wrap=True)
    if request.keep and done:
        kept = plan.cache.keep([results[key] for key in plan.cells if key in results])
        write_chapter(
            request.committed.parent / f"{study.name}-{scale.name}", origin, replace(chapter, figures=())
        )
        console.print(f"Kept: {kept}", soft_wrap=True)
    return chapter


def _adopted_in_words(results: Sequence[Result]) -> list[str]:
    count = sum(result.adopted for result in results)
    return [f"taken over by hand from another description of the recipe: {count} cells"] if count else []


def _folder(request: Request, name: str) -> Path:
    return request.home / "studies" / f"{name}-{request.scale}"


def _failures_in_words(failed: Sequence[tuple[Job, Failure]], cell_count: int) -> list[str]:
    if not failed:
        return []
    lines = [f"  {job.cell.label}: {failure.message}" for job, failure in failed]
    return [f"{len(failed)} of {cell_count} cells failed; the others are in the report", *lines]
