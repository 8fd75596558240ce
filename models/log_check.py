"""Every way in which a listening log can be wrong, each told by file, row, column, expected and found.

The checks are exact and complete: one pass finds all complaints, and a rule broken by a million rows gives a
few complaints with their rows and the count of the others. Source: the contract of `models.log_schema`.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Int
from numpy import ndarray

from models.errors import Complaint
from models.listening import song_keys
from models.log_schema import (
    DESCRIPTION_FILE,
    EMBEDDINGS_FOLDER,
    LISTENERS_FILE,
    PLAYS_FILE,
    REPORTS,
    SESSIONS_FILE,
    SONGS_FILE,
    Column,
    LogDescription,
    Table,
    tables,
)

SHOWN_ROWS: Final = 10
"""How many rows that break one rule get a complaint of their own; the rest are counted in the last of them."""

KeysOf = Callable[[list[str]], Int[ndarray, " N"]]

_CHUNK_VALUES: Final = 1 << 22
"""Embedding values looked at at once, so that a matrix larger than memory can be checked."""


def check_tables(
    description: LogDescription,
    frames: Mapping[str, pl.DataFrame],
    embeddings: Mapping[str, ndarray],
    *,
    keys_of: KeysOf = song_keys,
) -> list[Complaint]:
    """Return every complaint about a log in memory; none means that it keeps the contract.

    Args:
        description: what `log.json` says.
        frames: the tables by file name, rows in the order that complaints count; a table left out was
            unreadable, has its complaint already, and is not compared with the others.
        embeddings: the matrices by space.
        keys_of: gives the stable keys of song ids.
    """
    complaints: list[Complaint] = []
    sound: dict[str, pl.DataFrame] = {}
    for file, frame in frames.items():
        table = tables(description.context)[file]
        complaints += _check_columns(table, frame)
        usable = [column for column in table.columns if column.is_readable_in(frame)]
        sound[file] = frame.select(column.name for column in usable)
        for column in usable:
            complaints += _check_values(file, column, frame[column.name])
    for check in (
        _check_unique,
        _check_pairs,
        _check_references,
        _check_ends,
        _check_positions,
        partial(_check_songs, keys_of=keys_of),
    ):
        complaints += check(sound)
    song_count = len(frames[SONGS_FILE]) if SONGS_FILE in frames else None
    for space in description.embeddings.keys() | embeddings.keys():
        complaints += _check_embeddings(space, description, embeddings, song_count)
    return complaints


def complain_of_rows(
    file: str, column: str, broken: Bool[ndarray, " N"] | pl.Series, expected: str, values: pl.Series
) -> Iterator[Complaint]:
    """Yield one complaint for each of the first broken rows; the last of them counts those not shown."""
    rows = np.flatnonzero(np.asarray(broken))
    found = values.gather(rows[:SHOWN_ROWS]).to_list()
    for place, (row, value) in enumerate(zip(rows[:SHOWN_ROWS].tolist(), found, strict=True), start=1):
        more = len(rows) - SHOWN_ROWS if place == SHOWN_ROWS else 0
        yield Complaint(file, row, column, expected, shown(value), more)


def shown(value: object) -> str:
    """Return a value as a complaint shows it: short, strings quoted, null by that name."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:.7g}"
    return shortened(repr(value) if isinstance(value, str) else str(value))


def shortened(text: str) -> str:
    """Return the text, cut off where a line of complaints would be hard to read."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_columns(table: Table, frame: pl.DataFrame) -> Iterator[Complaint]:
    """Complain of columns that are missing, unknown, or of another type."""
    for column in table.columns:
        if column.name not in frame.columns:
            present = ", ".join(frame.columns) or "no columns"
            yield Complaint(table.file, None, column.name, f"a column of type {column.stored.dtype}", present)
        elif not column.is_readable_in(frame):
            found = f"type {frame.schema[column.name]}"
            yield Complaint(table.file, None, column.name, f"type {column.stored.dtype}", found)
    for name in frame.columns:
        if table.column(name) is None:
            expected = f"only the columns {', '.join(column.name for column in table.columns)}"
            yield Complaint(table.file, None, name, expected, "a column of that name")


def _check_values(file: str, column: Column, values: pl.Series) -> Iterator[Complaint]:
    """Complain of nulls where a value is needed and of values that break the column's rule."""
    if not column.nullable:
        yield from complain_of_rows(file, column.name, values.is_null(), "a value", values)
    if column.rule is None or values.dtype == pl.Null:
        return
    if column.stored.dtype.is_float():
        values = values.cast(column.stored.dtype)
    broken = values.is_not_null() & ~column.rule.holds(values).fill_null(value=True)
    yield from complain_of_rows(file, column.name, broken, column.rule.expected, values)


def _has(frames: Mapping[str, pl.DataFrame], file: str, *columns: str) -> bool:
    return file in frames and set(columns) <= set(frames[file].columns)


def _check_unique(frames: Mapping[str, pl.DataFrame]) -> Iterator[Complaint]:
    """Complain of an id that stands for two rows; the first keeps it."""
    for file, column in (
        (SONGS_FILE, "song_id"),
        (LISTENERS_FILE, "listener_id"),
        (SESSIONS_FILE, "session_id"),
    ):
        if _has(frames, file, column):
            ids = frames[file][column]
            repeated = ids.is_not_null() & ~ids.is_first_distinct()
            yield from complain_of_rows(file, column, repeated, "an id that no earlier row has", ids)


def _check_pairs(frames: Mapping[str, pl.DataFrame]) -> Iterator[Complaint]:
    """Complain of a valence without its arousal, or the reverse."""
    for file, valence, arousal in REPORTS:
        if _has(frames, file, valence, arousal):
            frame = frames[file]
            for present, absent in ((valence, arousal), (arousal, valence)):
                half = frame[present].is_not_null() & frame[absent].is_null()
                yield from complain_of_rows(file, absent, half, f"a value where {present} has one", frame[absent])


def _check_references(frames: Mapping[str, pl.DataFrame]) -> Iterator[Complaint]:
    """Complain of ids that stand in one table and are missing from the table they point to."""
    for file, column, target in (
        (SESSIONS_FILE, "listener_id", LISTENERS_FILE),
        (PLAYS_FILE, "session_id", SESSIONS_FILE),
        (PLAYS_FILE, "song_id", SONGS_FILE),
    ):
        if _has(frames, file, column) and _has(frames, target, column):
            ids = frames[file][column].cast(pl.String)
            known = frames[target][column].cast(pl.String).drop_nulls().unique()
            unknown = ids.is_not_null() & ~ids.is_in(known.implode())
            yield from complain_of_rows(file, column, unknown, f"a {column} of {target}", ids)


def _check_ends(frames: Mapping[str, pl.DataFrame]) -> Iterator[Complaint]:
    """Complain of sessions that end before they start."""
    if _has(frames, SESSIONS_FILE, "started_at", "ended_at"):
        sessions = frames[SESSIONS_FILE]
        early = (sessions["ended_at"] < sessions["started_at"]).fill_null(value=False)
        yield from complain_of_rows(
            SESSIONS_FILE, "ended_at", early, "a time not before started_at", sessions["ended_at"]
        )


def _check_positions(frames: Mapping[str, pl.DataFrame]) -> Iterator[Complaint]:
    """Complain of plays that share a place in their session, and of places that nobody holds."""
    if not _has(frames, PLAYS_FILE, "session_id", "position"):
        return
    plays = frames[PLAYS_FILE].select(pl.col("session_id").cast(pl.String), "position")
    known = plays["session_id"].is_not_null() & plays["position"].is_not_null()
    repeated = known & ~plays.select(pl.struct("session_id", "position").is_first_distinct()).to_series()
    yield from complain_of_rows(
        PLAYS_FILE,
        "position",
        repeated,
        "a position that no earlier play of the session has",
        plays["position"],
    )
    session_plays = plays.select(pl.len().over("session_id")).to_series()
    beyond = known & (plays["position"] >= session_plays)
    yield from complain_of_rows(
        PLAYS_FILE,
        "position",
        beyond,
        "positions 0, 1, 2, ... without a gap in each session",
        plays["position"],
    )


def _check_songs(frames: Mapping[str, pl.DataFrame], *, keys_of: KeysOf) -> Iterator[Complaint]:
    """Complain of an empty catalogue, and of two songs whose ids share one stable key."""
    if not _has(frames, SONGS_FILE, "song_id"):
        return
    ids = frames[SONGS_FILE]["song_id"].cast(pl.String)
    if ids.is_empty():
        yield Complaint(SONGS_FILE, None, None, "at least one song", "no rows")
    keys = pl.Series(keys_of(ids.fill_null("").to_list()))
    colliding = ids.is_first_distinct() & ids.is_not_null() & ~keys.is_first_distinct()
    yield from complain_of_rows(
        SONGS_FILE, "song_id", colliding, "an id whose 63-bit key no earlier song has", ids
    )


def _check_embeddings(
    space: str, description: LogDescription, embeddings: Mapping[str, ndarray], song_count: int | None
) -> Iterator[Complaint]:
    """Complain of a matrix that is undeclared, of another shape or type, or not finite."""
    file = f"{EMBEDDINGS_FOLDER}/{space}.npy"
    declared = description.embeddings.get(space)
    if declared is None:
        known = ", ".join(sorted(description.embeddings)) or "none"
        expected = f"a space declared in {DESCRIPTION_FILE} ({known})"
        yield Complaint(file, None, None, expected, f"a matrix of the space {space!r}")
        return
    matrix = embeddings.get(space)
    if matrix is None:
        return
    if matrix.dtype != np.float32:
        yield Complaint(file, None, None, "float32", str(matrix.dtype))
    rows = song_count if song_count is not None or matrix.ndim != 2 else len(matrix)
    if matrix.shape != (rows, declared.width):
        expected = f"{rows} rows, one per song, of {declared.width} numbers"
        yield Complaint(file, None, None, expected, f"shape {matrix.shape}")
    elif np.issubdtype(matrix.dtype, np.floating):
        finite = _finite_rows(matrix)
        bad = np.flatnonzero(~finite)
        for place, row in enumerate(bad[:SHOWN_ROWS], start=1):
            column = int(np.flatnonzero(~np.isfinite(matrix[row]))[0])
            more = len(bad) - SHOWN_ROWS if place == SHOWN_ROWS else 0
            yield Complaint(
                file, int(row), str(column), "a finite number", shown(float(matrix[row, column])), more
            )


def _finite_rows(matrix: ndarray) -> Bool[ndarray, " N"]:
    """Return whether all numbers of each row are finite."""
    step = max(1, _CHUNK_VALUES // matrix.shape[1])
    chunks = [np.isfinite(matrix[i : i + step]).all(axis=1) for i in range(0, len(matrix), step)]
    return np.concatenate([np.zeros(0, bool), *chunks])
