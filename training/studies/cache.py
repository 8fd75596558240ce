"""Results of cells that are done: on disk below AMRS_HOME, and committed with the project.

A result is found by its key, the SHA-256 of everything that fixes its numbers: study, revision, settings,
recipe and log. Committed results count as much as those made here. A result of another schema, of another
revision, or that cannot be read is left alone, counted, and made again.

Floats are kept to seven significant digits wherever they come from, so that a result is the same number whether it
was made a moment ago, read back or committed. Records are written column by column, as JSON that can be read by
eye (`training.studies.columns`): about a quarter of what rows take, and not a digit less, so that tables and
intervals stay what they were. Results that were written as rows are read as well; `--keep` rewrites them.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import FunctionType
from typing import Any, Final
from uuid import uuid4

import numpy as np
from pydantic import BaseModel

from models.errors import ConfigError, DataError
from training.studies.cells import Cell, ReadsPart, Records, Scalar, Study, runs_of
from training.studies.columns import as_columns, as_rows
from training.studies.scales import Scale

SCHEMA: Final = "amrs-study/2"
"""Records column by column."""
IN_ROWS: Final = "amrs-study/1"
"""Records row by row, as results were written first."""
_DIGITS: Final = 7

COMMITTED: Final = Path(__file__).parents[2] / "docs" / "results" / "cells"
"""Where committed results stand; absent where the package is installed without its repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One cell that is done."""

    key: str
    cell: Cell
    revision: int
    log_digest: str
    records: Records
    seconds: float
    """How long it ran, on whatever machine that was."""
    commit: str
    """The code that made it."""
    adopted: bool = False
    """Whether it was made under another description of the recipe, and taken over by hand."""

    def as_json(self) -> str:
        """Return the result as one line."""
        written = {
            "schema": SCHEMA,
            "key": self.key,
            "study": self.cell.study,
            "settings": [list(setting) for setting in self.cell.settings],
            "revision": self.revision,
            "log": self.log_digest,
            "seconds": self.seconds,
            "commit": self.commit,
            **({"adopted": True} if self.adopted else {}),
            "records": as_columns(self.records),
        }
        return json.dumps(written, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class _OtherSchema(Exception):
    """What was read is sound, and of another version."""


def read_result(text: str) -> Result:
    """Return the result that a line of JSON holds.

    Raises:
        _OtherSchema: it was written by another version.
        ValueError: it is no result, or its records are damaged.
    """
    read = json.loads(text)
    if not isinstance(read, dict) or not isinstance(read.get("schema"), str):
        raise ValueError("expected the result of a cell")  # noqa: TRY004 — it is the file that is wrong
    if read["schema"] not in (SCHEMA, IN_ROWS):
        raise _OtherSchema(read["schema"])
    try:
        records = read["records"] if read["schema"] == IN_ROWS else as_rows(read["records"])
        cell = Cell(study=read["study"], settings=tuple((name, value) for name, value in read["settings"]))
        return Result(
            key=read["key"],
            cell=cell,
            revision=int(read["revision"]),
            log_digest=read["log"],
            records=plain_records(cell, records),
            seconds=float(read["seconds"]),
            commit=read["commit"],
            adopted=bool(read.get("adopted", False)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
        raise ValueError(f"the result of a cell is damaged: {error!r}") from error


def plain_records(cell: Cell, records: Mapping[str, Sequence[Mapping[str, object]]]) -> Records:
    """Return records as they are kept: plain values, floats to seven significant digits.

    Raises:
        DataError: a value is no text, number, truth value or None; or it is NaN or infinite.
    """
    return {
        kind: [
            {name: _plain(value, f"{cell.label}: {kind}, row {place}, {name}") for name, value in row.items()}
            for place, row in enumerate(rows)
        ]
        for kind, rows in records.items()
    }


def _plain(value: object, place: str) -> Scalar:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if not isinstance(value, float) or not math.isfinite(value):
        raise DataError(f"{place}: expected text, a finite number or None; got {value!r}")
    return float(f"{value:.{_DIGITS}g}")


def cell_key(study: Study, cell: Cell, scale: Scale, log_digest: str) -> str:
    """Return what a cell's result is found by, in hex."""
    recipe = study.reads(scale) if isinstance(study, ReadsPart) else scale.preset
    whole = {
        "study": runs_of(study),
        "revision": study.revision,
        "settings": sorted(cell.settings, key=lambda setting: setting[0]),
        "recipe": _canonical(recipe),
        "log": log_digest,
    }
    return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _canonical(value: object) -> Any:
    """Return a configuration as JSON that two processes agree on."""
    match value:
        case Enum():
            return value.name
        case None | str() | int() | float():
            return value
        case BaseModel():
            return [type(value).__name__, value.model_dump(mode="json")]
        case type() | FunctionType() if "<" not in value.__qualname__:
            return f"{value.__module__}.{value.__qualname__}"
        case partial():
            return [_canonical(value.func), _canonical(value.args), _canonical(value.keywords)]
        case tuple() | list():
            return [_canonical(each) for each in value]
        case Mapping():
            return {str(name): _canonical(each) for name, each in value.items()}
        case _ if is_dataclass(value):
            return [
                type(value).__name__,
                {part.name: _canonical(getattr(value, part.name)) for part in fields(value)},
            ]
    raise ConfigError(
        f"a recipe is made of dataclasses, plain values and a module's own classes and functions; got {value!r}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look into the cache brought up."""

    results: Mapping[str, Result]
    """By key."""
    unused: Counter[str] = field(default_factory=Counter)
    """How many results were left alone, by reason."""
    damaged: tuple[str, ...] = ()
    """Files and lines that cannot be read."""

    def notes(self) -> list[str]:
        """Return what a reader must know, one line each."""
        told = [f"cached results not used: {count} {reason}" for reason, count in sorted(self.unused.items())]
        return told + [
            f"cached result not readable, made again if it is needed: {place}" for place in self.damaged
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """The results of one study."""

    folder: Path
    """Below AMRS_HOME; made when the first result is stored."""
    committed: Path
    """A file of one result per line; may be absent."""

    @classmethod
    def of(cls, study: Study, scale: Scale, *, home: Path, committed: Path = COMMITTED) -> "Cache":
        """Return the cache of a study on a scale."""
        name = runs_of(study)
        return cls(folder=home / "studies" / name, committed=committed / f"{name}-{scale.name}.jsonl")

    def find(self, study: Study, cells: Mapping[str, Cell], log_digest: str) -> Found:
        """Return the results of these cells, by key; what was made here comes before what was committed.

        Results of other logs, and of cells that are not asked for, are nobody's business and not counted.
        """
        settings = {frozenset(cell.settings) for cell in cells.values()}
        unused, damaged = Counter[str](), []
        results: dict[str, Result] = {}
        for place, text in self._texts():
            try:
                result = read_result(text)
            except _OtherSchema as other:
                unused[f"of schema {other} (this is {SCHEMA})"] += 1
            except ValueError as error:
                damaged.append(f"{place} ({str(error).splitlines()[0]})")
            else:
                if result.key in cells:
                    results[result.key] = result
                elif result.revision != study.revision:
                    unused[f"of another revision of the study (this is {study.revision})"] += 1
                elif result.log_digest == log_digest and frozenset(result.cell.settings) in settings:
                    unused["of another recipe for the same cells"] += 1
        return Found(results=results, unused=unused, damaged=tuple(damaged))

    def adopt(self, study: Study, cells: Mapping[str, Cell], log_digest: str) -> int:
        """Take over results of the same cells, revision and log under another recipe; return how many.

        For changes of a recipe that change no number, such as a new field. Whoever asks for it vouches for that;
        the results say so from then on. Of several for one cell, the newest counts.
        """
        missing = cells.keys() - self.find(study, cells, log_digest).results.keys()
        key_of = {frozenset(cells[key].settings): key for key in missing}
        taken: dict[str, Result] = {}
        for _, text in self._texts():
            try:
                result = read_result(text)
            except (_OtherSchema, ValueError):
                continue
            key = key_of.get(frozenset(result.cell.settings))
            if key and result.revision == study.revision and result.log_digest == log_digest:
                taken[key] = replace(result, key=key, cell=cells[key], adopted=True)
        for result in taken.values():
            self.store(result)
        return len(taken)

    def store(self, result: Result) -> None:
        """Write a result; it is there whole or not at all."""
        write_whole(self.folder / f"{result.key}.json", result.as_json() + "\n")

    def keep(self, results: Sequence[Result]) -> Path:
        """Write results into the project's own file, and return it.

        Results of other logs stay; those of the same log and settings, of another revision or schema, or that
        cannot be read give way.
        """
        if not self.committed.parent.parent.is_dir():
            raise ConfigError(
                f"keeping results needs the project's repository; there is no {self.committed.parent.parent}"
            )
        kept = {
            _place(result): result
            for result in self._committed_results()
            if result.revision == results[0].revision
        }
        kept |= {_place(result): result for result in results}
        lines = [kept[place].as_json() for place in sorted(kept)]
        write_whole(self.committed, "\n".join(lines) + "\n")
        return self.committed

    def _texts(self) -> Iterable[tuple[str, str]]:
        """Yield where each result stands, and its text: what is committed first, then the newest last."""
        if self.committed.is_file():
            lines = self.committed.read_text(encoding="utf-8", errors="replace").splitlines()
            yield from ((f"{self.committed}, line {number}", line) for number, line in enumerate(lines, start=1))
        for path in sorted(self.folder.glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name)):
            yield str(path), path.read_text(encoding="utf-8", errors="replace")

    def _committed_results(self) -> list[Result]:
        if not self.committed.is_file():
            return []
        found = []
        for line in self.committed.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(read_result(line))
            except (_OtherSchema, ValueError):
                continue
        return found


def _place(result: Result) -> tuple[str, str]:
    """Return what a committed result is sorted by: its log, then its settings, numbers by size."""
    settings = [
        f"{name}={value:012.3f}" if isinstance(value, int | float) else f"{name}={value}"
        for name, value in result.cell.settings
    ]
    return result.log_digest, " ".join(settings)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that whoever reads it finds all of the old one or all of the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
