"""The listening log: what a platform knows of its listeners, on disk and in memory.

The simulated platform, every importer and the service's export write this one format (`models.log_schema`
says which); training reads it. A `Log` in memory has passed every check of `models.log_check`.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import ValidationError

from models.context import ContextSchema
from models.errors import Complaint, DataError, LogError
from models.listening import Listening, Mode, Population, song_keys
from models.log_check import check_tables, shortened, shown
from models.log_schema import (
    DESCRIPTION_FILE,
    EMBEDDINGS_FOLDER,
    LISTENERS,
    LISTENERS_FILE,
    PLAYS,
    PLAYS_FILE,
    SESSIONS_FILE,
    SONGS,
    SONGS_FILE,
    EmbeddingSpace,
    LogDescription,
    Table,
    context_column,
    sessions_table,
    tables,
)
from models.storage import first_line, growing_table, open_matrix, read_table, write_table

__all__ = ["EmbeddingSpace", "Log", "LogDescription", "check_log", "read_log", "write_log", "write_log_in_parts"]

_MODES: Final = {mode.label: int(mode) for mode in Mode}
_POPULATIONS: Final = {population.label: int(population) for population in Population}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Log:
    """A valid listening log in memory; made by `Log.from_tables` or `read_log`, never by hand.

    Sessions stand by listener (in the order of `listeners`), start and id; plays by session and position.
    Columns are those of `models.log_schema`, absent values null.
    """

    description: LogDescription
    songs: pl.DataFrame
    listeners: pl.DataFrame
    sessions: pl.DataFrame
    plays: pl.DataFrame
    embeddings: Mapping[str, Float[ndarray, "songs _"]]
    """By space, float32; memory-mapped when read from disk."""

    @classmethod
    def from_tables(
        cls,
        *,
        description: LogDescription,
        songs: pl.DataFrame,
        listeners: pl.DataFrame,
        sessions: pl.DataFrame,
        plays: pl.DataFrame,
        embeddings: Mapping[str, Float[ndarray, "songs _"]],
    ) -> "Log":
        """Return the log that the tables make, checked, converted to the stored types and put in order.

        Columns whose values may be absent, and tags, may be left out.

        Raises:
            LogError: a table breaks the contract; rows are counted as they were given.
        """
        given = {SONGS_FILE: songs, LISTENERS_FILE: listeners, SESSIONS_FILE: sessions, PLAYS_FILE: plays}
        frames = {
            file: _with_absent_columns(table, given[file]) for file, table in tables(description.context).items()
        }
        complaints = check_tables(description, frames, embeddings)
        complaints += [
            Complaint(_matrix_file(space), None, None, "a matrix of this declared space", "none")
            for space in description.embeddings.keys() - embeddings.keys()
        ]
        if complaints:
            raise LogError(f"log {description.name!r}", complaints)
        return cls(description=description, **_in_order(frames, description.context), embeddings=embeddings)

    def song_keys(self) -> Int[ndarray, " songs"]:
        """Return the stable key of each song, in the order of `songs`."""
        return song_keys(self.songs["song_id"].to_list())

    def listening_ids(self) -> list[str]:
        """Return the ids of the listeners who consented, in the order of `listening()`."""
        return self.listeners.filter("consent")["listener_id"].to_list()

    def listening(self) -> Listening:
        """Return what the listeners who consented did and said; rows without consent go nowhere else."""
        consented = self.select_listeners(self.listening_ids())
        listeners, sessions, plays = consented.listeners, consented.sessions, consented.plays
        session_place = _places(sessions["listener_id"], listeners["listener_id"])
        play_place = _places(plays["session_id"], sessions["session_id"])
        session_mode = _codes(sessions["mode"], _MODES)
        play_mode = plays["mode"].replace_strict(_MODES, return_dtype=pl.Int64).to_numpy()
        keys = dict(zip(self.songs["song_id"], self.song_keys().tolist(), strict=True))
        names = [context_column(name) for name in self.description.context.names]
        return Listening(
            population=_codes(listeners["population"], _POPULATIONS),
            session_start=_offsets(session_place, len(listeners)),
            mode=session_mode,
            started_at=_unix_seconds(sessions["started_at"]),
            before=_columns(sessions, ["before_valence", "before_arousal"]),
            after=_columns(sessions, ["after_valence", "after_arousal"]),
            context=_columns(sessions, names),
            play_start=_offsets(play_place, len(sessions)),
            song=_codes(plays["song_id"], keys),
            engagement=plays["engagement"].to_numpy(),
            rating=plays["rating"].cast(pl.Float32).to_numpy(),
            report=_columns(plays, ["valence", "arousal"]),
            play_mode=np.where(np.isnan(play_mode), session_mode[play_place], play_mode).astype(np.int64),
            played_at=_unix_seconds(plays["played_at"]),
        )

    def select_listeners(self, listener_ids: Collection[str]) -> "Log":
        """Return the log of these listeners alone, in this log's order; songs and embeddings stay whole.

        Raises:
            DataError: the log does not hold one of the listeners.
        """
        unknown = sorted(set(listener_ids) - set(self.listeners["listener_id"]))
        if unknown:
            raise DataError(
                f"listener {unknown[0]!r} is not among the {len(self.listeners)} of log {self.description.name!r}"
            )
        wanted = pl.Series(list(listener_ids), dtype=pl.String).implode()
        sessions = self.sessions.filter(pl.col("listener_id").is_in(wanted))
        return replace(
            self,
            listeners=self.listeners.filter(pl.col("listener_id").is_in(wanted)),
            sessions=sessions,
            plays=self.plays.filter(pl.col("session_id").is_in(sessions["session_id"].implode())),
        )

    def digest(self) -> str:
        """Return the SHA-256 of everything the log says, in hex; the same however the files are encoded."""
        whole = sha256(self.description.model_dump_json().encode())
        for file, frame in self._frames().items():
            whole.update(f"\n{file} {len(frame)}".encode())
            for series in frame:
                whole.update(f"\n{series.name}".encode())
                for part in _plain_bytes(series):
                    whole.update(part)
        for space in sorted(self.embeddings):
            whole.update(f"\n{space}".encode())
            whole.update(np.ascontiguousarray(self.embeddings[space]).data)
        return whole.hexdigest()

    def _frames(self) -> dict[str, pl.DataFrame]:
        return {
            SONGS_FILE: self.songs,
            LISTENERS_FILE: self.listeners,
            SESSIONS_FILE: self.sessions,
            PLAYS_FILE: self.plays,
        }


def read_log(folder: Path) -> Log:
    """Return the log that the folder holds, embeddings memory-mapped.

    Raises:
        LogError: anything in the folder breaks the contract; the error carries every complaint.
    """
    loaded, complaints = _load(folder)
    if complaints or loaded is None:
        raise LogError(str(folder), complaints)
    return loaded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoggedSongs:
    """The songs of a log, without who listened to them; made by `read_songs`."""

    songs: pl.DataFrame
    embeddings: Mapping[str, Float[ndarray, "songs _"]]
    """By space, float32, memory-mapped: read as they are needed."""


def read_songs(folder: Path) -> LoggedSongs:
    """Return the songs of the log that the folder holds; its other tables are neither read nor checked.

    Raises:
        LogError: anything about the songs breaks the contract; the error carries every complaint.
    """
    description, complaints = _read_description(folder)
    if description is None:
        raise LogError(str(folder), complaints)
    frames, embeddings, complaints = _read_parts(folder, description, [SONGS_FILE])
    if complaints:
        raise LogError(str(folder), complaints)
    return LoggedSongs(songs=SONGS.conform(frames[SONGS_FILE]), embeddings=embeddings)


def check_log(folder: Path) -> list[Complaint]:
    """Return everything that is wrong with the log in the folder; an empty list if nothing is."""
    return _load(folder)[1]


def write_log(log: Log, folder: Path) -> None:
    """Write the log; the folder appears whole or not at all.

    Raises:
        DataError: the folder exists and is not empty, or is not a folder.
    """
    write_log_in_parts([log], folder)


def write_log_in_parts(parts: Iterable[Log], folder: Path) -> dict[str, int]:
    """Write several listeners' logs as one, a few in memory at a time; return how many rows each table has.

    The folder appears whole or not at all.

    Args:
        parts: at least one, all over the same songs, each of other listeners; asked for one by one.
        folder: the log's own.

    Raises:
        DataError: the folder exists and is not empty, or is not a folder; or a listener is in two parts.
    """
    refuse_occupied(folder)
    partial = folder.with_name(f".{folder.name}.{uuid4().hex}.partial")
    (partial / EMBEDDINGS_FOLDER).mkdir(parents=True)
    listeners: set[str] = set()
    counts: dict[str, int] = {}
    try:
        with ExitStack() as open_files:
            append = {
                file: open_files.enter_context(growing_table(partial / file))
                for file in (LISTENERS_FILE, SESSIONS_FILE, PLAYS_FILE)
            }
            for log in parts:
                if not counts:
                    _write_songs(log, partial)
                    counts = {SONGS_FILE: len(log.songs)}
                if not listeners.isdisjoint(log.listeners["listener_id"]):
                    raise DataError("expected each listener in one part of the log alone")
                listeners.update(log.listeners["listener_id"])
                frames = log._frames()
                for file in append:
                    append[file](frames[file])
                    counts[file] = counts.get(file, 0) + len(frames[file])
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _write_songs(log: Log, folder: Path) -> None:
    """Write what the parts of a log share: its description, its songs and their embeddings."""
    text = log.description.model_dump_json(indent=2)
    (folder / DESCRIPTION_FILE).write_text(f"{text}\n", encoding="utf-8")
    write_table(log.songs, folder / SONGS_FILE)
    for space, matrix in log.embeddings.items():
        np.save(folder / _matrix_file(space), matrix, allow_pickle=False)


def refuse_occupied(folder: Path) -> None:
    """Raise unless a log could be written there: to be asked before the work that makes the log.

    Raises:
        DataError: the folder exists and is not empty, or is not a folder.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"expected {folder} to be a new or empty folder; nothing there was touched")


def _load(folder: Path) -> tuple[Log | None, list[Complaint]]:
    """Return the log if it is sound, and everything that is wrong with it if not."""
    description, complaints = _read_description(folder)
    if description is None:
        return None, complaints
    frames, embeddings, complaints = _read_parts(folder, description, tables(description.context))
    if complaints:
        return None, complaints
    frames_in_order = _in_order(frames, description.context)
    return Log(description=description, **frames_in_order, embeddings=embeddings), []


def _read_parts(
    folder: Path, description: LogDescription, files: Iterable[str]
) -> tuple[dict[str, pl.DataFrame], dict[str, ndarray], list[Complaint]]:
    """Return tables and every matrix, and what is wrong with them."""
    complaints: list[Complaint] = []
    frames: dict[str, pl.DataFrame] = {}
    for file in files:
        try:
            frames[file] = read_table(folder / file)
        except DataError as error:
            complaints.append(Complaint(file, None, None, "a Parquet file", shortened(str(error))))
    embeddings: dict[str, ndarray] = {}
    for space in sorted(description.embeddings.keys() | _spaces_on_disk(folder)):
        file = _matrix_file(space)
        try:
            embeddings[space] = open_matrix(folder / file)
        except DataError as error:
            complaints.append(Complaint(file, None, None, "a NumPy array of numbers", shortened(str(error))))
    return frames, embeddings, complaints + check_tables(description, frames, embeddings)


def _read_description(folder: Path) -> tuple[LogDescription | None, list[Complaint]]:
    try:
        text = (folder / DESCRIPTION_FILE).read_bytes()
    except OSError as error:
        return None, [Complaint(DESCRIPTION_FILE, None, None, "a JSON file", shortened(first_line(error)))]
    try:
        return LogDescription.model_validate_json(text), []
    except ValidationError as error:
        return None, [
            Complaint(
                DESCRIPTION_FILE,
                None,
                ".".join(map(str, problem["loc"])) or None,
                problem["msg"],
                shown(problem["input"]),
            )
            for problem in error.errors(include_url=False)
        ]


def _matrix_file(space: str) -> str:
    return f"{EMBEDDINGS_FOLDER}/{space}.npy"


def _spaces_on_disk(folder: Path) -> set[str]:
    return {path.stem for path in (folder / EMBEDDINGS_FOLDER).glob("*.npy")}


def _with_absent_columns(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with the columns left out whose values may be absent, null in every row."""
    left_out = [column for column in table.columns if column.name not in frame.columns]
    absent = [pl.lit(None, column.stored.dtype).alias(column.name) for column in left_out if column.nullable]
    absent += [pl.lit([], column.stored.dtype).alias(column.name) for column in left_out if column.name == "tags"]
    return frame.with_columns(absent)


def _in_order(frames: Mapping[str, pl.DataFrame], context: ContextSchema) -> dict[str, pl.DataFrame]:
    """Return valid tables in their stored types and order, by the name of the log's attribute."""
    songs, listeners = SONGS.conform(frames[SONGS_FILE]), LISTENERS.conform(frames[LISTENERS_FILE])
    sessions = sessions_table(context).conform(frames[SESSIONS_FILE])
    plays = PLAYS.conform(frames[PLAYS_FILE])
    by_listener = pl.Series("place", _places(sessions["listener_id"], listeners["listener_id"]))
    sessions = sessions.with_columns(by_listener).sort("place", "started_at", "session_id").drop("place")
    by_session = pl.Series("place", _places(plays["session_id"], sessions["session_id"]))
    plays = plays.with_columns(by_session).sort("place", "position").drop("place")
    return {"songs": songs, "listeners": listeners, "sessions": sessions, "plays": plays}


def _places(ids: pl.Series, among: pl.Series) -> Int[ndarray, " N"]:
    """Return the row at which each id stands among the others."""
    rows = among.to_frame("id").with_row_index("row")
    found = ids.to_frame("id").join(rows, on="id", how="left", maintain_order="left")
    return found["row"].cast(pl.Int64).to_numpy()


def _codes(labels: pl.Series, codes: Mapping[str, int]) -> Int[ndarray, " N"]:
    """Return the number of each label."""
    return labels.replace_strict(codes, return_dtype=pl.Int64).to_numpy()


def _offsets(places: Int[ndarray, " N"], row_count: int) -> Int[ndarray, " {row_count}+1"]:
    """Return where the members of each row begin, given the row of each member in ascending order."""
    return np.concatenate([[0], np.cumsum(np.bincount(places, minlength=row_count))]).astype(np.int64)


def _columns(frame: pl.DataFrame, names: list[str]) -> Float[ndarray, "N C"]:
    """Return columns side by side as float32, NaN where a value is absent."""
    if not names:
        return np.zeros((len(frame), 0), np.float32)
    return np.stack([frame[name].to_numpy() for name in names], axis=1)


def _unix_seconds(times: pl.Series) -> Float[ndarray, " N"]:
    """Return seconds since 1970, UTC, NaN where a time is absent."""
    return (times.dt.epoch("us").cast(pl.Float64) / 1e6).to_numpy()


def _plain_bytes(series: pl.Series) -> Iterable[bytes]:
    """Yield a column as bytes that depend on its values alone: which are absent, how long, and what."""
    if isinstance(series.dtype, pl.List):
        yield series.list.len().cast(pl.Int64).to_numpy().tobytes()
        series = series.explode(empty_as_null=False)
    yield series.is_null().to_numpy().tobytes()
    if series.dtype == pl.String:
        yield series.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy().tobytes()
        yield "".join(series.fill_null("")).encode()
    else:
        numbers = series.cast(pl.Int64) if isinstance(series.dtype, pl.Datetime) else series.to_physical()
        yield numbers.fill_null(0 if numbers.dtype != pl.Boolean else False).to_numpy().tobytes()
