"""Anyone's listening as a log: CSV or Parquet files, and a mapping that says what their columns mean.

One pass finds everything that is wrong, told by the file, row and column it stands in; docs/importing.md works
an import through. No row is dropped and none is invented.
"""

from collections.abc import Mapping as Lookup
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from models.context import ContextSchema
from models.errors import Complaint, DataError, LogError
from models.log import Log
from models.log_check import complain_of_rows, shortened
from models.log_schema import (
    LISTENERS_FILE,
    PLAYS_FILE,
    SESSIONS_FILE,
    SONGS_FILE,
    EmbeddingSpace,
    LogDescription,
    context_column,
)
from models.storage import open_matrix
from training.importers.mapping import (
    MODES,
    POPULATIONS,
    ConsentColumn,
    EmbeddingsMapping,
    HeardColumn,
    LabelColumn,
    Mapping,
    SessionsFile,
    SessionsFromPlays,
    UnitColumn,
    read_mapping,
)
from training.importers.source import Source

_REPORTS: Final = ("before_valence", "before_arousal", "after_valence", "after_arousal")


def import_tabular(mapping_file: Path, folder: Path) -> Log:
    """Return the listening that the folder's files hold, read as the mapping file says.

    Raises:
        LogError: the mapping or the files break a rule; every place is named, rows counted from 0 after a header.
    """
    mapping = read_mapping(mapping_file)
    files = _Files(mapping, folder)
    songs = _songs(mapping, files)
    plays = _plays(mapping, files, songs)
    if isinstance(mapping.sessions, SessionsFile):
        sessions = _sessions_of_file(mapping, mapping.sessions, files)
    else:
        sessions = _sessions_of_plays(mapping, mapping.sessions, files, plays)
    listeners = _listeners(mapping, files, sessions)
    embeddings = {space: _matrix(space, entry, mapping, files) for space, entry in mapping.embeddings.items()}
    files.raise_complaints()
    given = {SONGS_FILE: songs, LISTENERS_FILE: listeners, SESSIONS_FILE: sessions, PLAYS_FILE: plays}
    try:
        return Log.from_tables(
            description=_description(mapping, embeddings),
            songs=songs.frame,
            listeners=listeners.frame,
            sessions=sessions.frame,
            plays=plays.frame,
            embeddings=embeddings,
        )
    except LogError as error:
        raise LogError(str(folder), [_in_their_words(c, given) for c in error.complaints]) from None


@dataclass(slots=True)
class _Table:
    """A table of the log in the making: its columns, and where each was read."""

    file: str
    columns: dict[str, pl.Series] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, origin: str, column: pl.Series) -> None:
        """Add a column of the log that was read from a column of the file."""
        self.columns[name] = column.alias(name)
        self.origins[name] = origin

    @property
    def frame(self) -> pl.DataFrame:
        """The table."""
        return pl.DataFrame(list(self.columns.values()))


class _Files:
    """The files of one import, each opened once, and every complaint about them."""

    def __init__(self, mapping: Mapping, folder: Path) -> None:
        self.folder = folder
        self.complaints: list[Complaint] = []
        self._mapping = mapping
        self._sources: dict[str, Source] = {}

    def open(self, file: str) -> Source:
        """Return the file's table."""
        if file not in self._sources:
            self._sources[file] = Source.open(
                self.folder,
                file,
                separator=self._mapping.separator,
                absent=self._mapping.absent,
                complaints=self.complaints,
            )
        return self._sources[file]

    def raise_complaints(self) -> None:
        """Raise what was found so far, if anything."""
        if self.complaints:
            raise LogError(str(self.folder), self.complaints)


def _songs(mapping: Mapping, files: _Files) -> _Table:
    songs, source = mapping.songs, files.open(mapping.songs.file)
    table = _Table(songs.file)
    table.add("song_id", songs.song, source.text("songs.song", songs.song))
    for name, column in (("title", songs.title), ("artist", songs.artist)):
        if column is not None:
            table.add(name, column, source.text(f"songs.{name}", column))
    if songs.duration is not None:
        table.add("duration_seconds", songs.duration.column, songs.duration.read(source, "songs.duration"))
    if songs.tags is not None:
        table.add("tags", songs.tags.column, songs.tags.read(source, "songs.tags"))
    _add_units(table, source, "songs", {"tag_valence": songs.tag_valence, "tag_arousal": songs.tag_arousal})
    return table


def _plays(mapping: Mapping, files: _Files, songs: _Table) -> _Table:
    """Return the plays in their file's order, each in its session and place."""
    plays, source = mapping.plays, files.open(mapping.plays.file)
    table = _Table(plays.file)
    table.add("song_id", plays.song, source.text("plays.song", plays.song))
    if plays.played_at is not None:
        table.add("played_at", plays.played_at.column, plays.played_at.read(source, "plays.played_at"))
    if isinstance(plays.engagement, HeardColumn):
        seconds = plays.engagement.read_seconds(source, "plays.engagement")
        table.add("engagement", plays.engagement.heard, _fraction_heard(seconds, table, songs))
    elif isinstance(plays.engagement, UnitColumn):
        _add_units(table, source, "plays", {"engagement": plays.engagement})
    if plays.rating is not None:
        table.add("rating", plays.rating.column, plays.rating.read(source, "plays.rating"))
    if plays.mode is not None:
        table.add("mode", plays.mode.column, plays.mode.read(source, "plays.mode", labels=MODES))
    if plays.propensity is not None:
        table.add("propensity", plays.propensity, source.number("plays.propensity", plays.propensity))
    _add_units(table, source, "plays", {"valence": plays.valence, "arousal": plays.arousal})
    if plays.session is not None:
        table.add("session_id", plays.session, source.text("plays.session", plays.session))
    elif isinstance(mapping.sessions, SessionsFromPlays) and mapping.sessions.gap_minutes is not None:
        listeners = source.text("plays.listener", str(plays.listener))
        sessions = _sessions_by_gap(listeners, table.columns["played_at"], mapping.sessions.gap_minutes)
        table.add("session_id", str(plays.listener), sessions)
    _add_positions(table, source, mapping)
    return table


def _fraction_heard(seconds: pl.Series, plays: _Table, songs: _Table) -> pl.Series:
    """Return what part of its song each play heard; null where the song or its duration is unknown."""
    durations = songs.frame.select("song_id", "duration_seconds").unique("song_id", keep="first")
    lengths = plays.frame.select("song_id").join(durations, on="song_id", how="left", maintain_order="left")
    length = lengths["duration_seconds"]
    return (seconds / length.set(length <= 0, None)).clip(upper_bound=1.0)


def _sessions_by_gap(listeners: pl.Series, played_at: pl.Series, gap_minutes: float) -> pl.Series:
    """Return session ids `listener:number`; a new one begins after a silence longer than the gap."""
    silence = pl.col("played_at").diff().over("listener")
    begins = silence.is_null() | (silence > pl.duration(seconds=gap_minutes * 60))
    return (
        pl.DataFrame({"listener": listeners, "played_at": played_at})
        .with_row_index("row")
        .sort("listener", "played_at", "row")
        .with_columns(number=begins.cum_sum().over("listener") - 1)
        .sort("row")
        .select(pl.format("{}:{}", "listener", "number"))
        .to_series()
    )


def _add_positions(table: _Table, source: Source, mapping: Mapping) -> None:
    """Add each play's place in its session, 0, 1, 2, ..., in the order that the mapping names."""
    plays = mapping.plays
    if plays.position is not None:
        column, order = plays.position, source.number("plays.position", plays.position)
    else:
        column, order = table.origins["played_at"], table.columns["played_at"]
    expected = "a value, which orders the plays of a session"
    source.complaints += complain_of_rows(source.file, column, order.is_null(), expected, order)
    places = pl.DataFrame({"session": table.columns["session_id"], "order": order}).with_row_index("row")
    if plays.position is not None:
        first = places.select(pl.struct("session", "order").is_first_distinct()).to_series()
        repeated = order.is_not_null() & ~first
        expected = "a position that no earlier play of the session has"
        source.complaints += complain_of_rows(source.file, column, repeated, expected, order)
    ordered = places.sort("session", "order", "row").with_columns(place=pl.int_range(pl.len()).over("session"))
    table.add("position", column, ordered.sort("row")["place"])


def _sessions_of_file(mapping: Mapping, sessions: SessionsFile, files: _Files) -> _Table:
    source = files.open(sessions.file)
    table = _Table(sessions.file)
    table.add("session_id", sessions.session, source.text("sessions.session", sessions.session))
    table.add("listener_id", sessions.listener, source.text("sessions.listener", sessions.listener))
    started_at = sessions.started_at.read(source, "sessions.started_at")
    table.add("started_at", sessions.started_at.column, started_at)
    if sessions.ended_at is not None:
        table.add("ended_at", sessions.ended_at.column, sessions.ended_at.read(source, "sessions.ended_at"))
    if sessions.mode is not None:
        modes = sessions.mode.read(source, "sessions.mode", labels=MODES).fill_null("unspecified")
        table.add("mode", sessions.mode.column, modes)
    else:
        table.add("mode", "mode", pl.Series(["unspecified"] * len(started_at), dtype=pl.String))
    _add_units(table, source, "sessions", {name: getattr(sessions, name) for name in _REPORTS})
    _add_context(table, source, mapping, started_at)
    return table


def _sessions_of_plays(mapping: Mapping, sessions: SessionsFromPlays, files: _Files, plays: _Table) -> _Table:
    """Return sessions in the order in which their first plays stand in the file.

    A session starts with its first play and has that play's mode and context. Of a report, all its plays must
    agree; where a play leaves it out, the others tell it.
    """
    source = files.open(mapping.plays.file)
    rows = _Table(mapping.plays.file)
    rows.add("session_id", plays.origins["session_id"], plays.columns["session_id"])
    listener = str(mapping.plays.listener)
    rows.add("listener_id", listener, source.text("plays.listener", listener))
    rows.add("started_at", plays.origins["played_at"], plays.columns["played_at"])
    modes = plays.columns.get("mode", pl.Series([None] * len(rows.frame), dtype=pl.String))
    rows.add("mode", plays.origins.get("mode", "mode"), modes.fill_null("unspecified"))
    _add_units(rows, source, "sessions", {name: getattr(sessions, name) for name in _REPORTS})
    _add_context(rows, source, mapping, plays.columns["played_at"])

    agreed = [name for name in ("listener_id", *_REPORTS) if name in rows.columns]
    frame = rows.frame.with_columns(position=plays.columns["position"]).with_row_index("row")
    for name in agreed:
        told = frame.select(pl.col(name).drop_nulls().first().over("session_id")).to_series()
        other = (frame[name] != told).fill_null(value=False)
        expected = "the same value in all plays of a session"
        source.complaints += complain_of_rows(source.file, rows.origins[name], other, expected, frame[name])
    first = [name for name in rows.columns if name not in ("session_id", *agreed)]
    made = (
        frame.sort("position", "row")
        .group_by("session_id", maintain_order=True)
        .agg(pl.col("row").min(), pl.col(agreed).drop_nulls().first(), pl.col(first).first())
        .sort("row")
        .drop("row")
    )
    columns = {name: made[name] for name in rows.columns}
    return replace(rows, file=f"sessions made from {mapping.plays.file}", columns=columns)


def _listeners(mapping: Mapping, files: _Files, sessions: _Table) -> _Table:
    listeners = mapping.listeners
    if listeners.file is None or listeners.listener is None:
        table = _Table(f"listeners of {sessions.file}")
        ids = sessions.columns["listener_id"].drop_nulls().unique(maintain_order=True)
        table.add("listener_id", sessions.origins["listener_id"], ids)
        source = None
    else:
        source = files.open(listeners.file)
        table = _Table(listeners.file)
        table.add("listener_id", listeners.listener, source.text("listeners.listener", listeners.listener))
    count = len(table.columns["listener_id"])
    if source is not None and isinstance(listeners.population, LabelColumn):
        populations = listeners.population.read(source, "listeners.population", labels=POPULATIONS)
        table.add("population", listeners.population.column, populations.fill_null("unspecified"))
    else:
        table.add("population", "population", pl.Series([listeners.population] * count, dtype=pl.String))
    if source is not None and isinstance(listeners.consent, ConsentColumn):
        table.add("consent", listeners.consent.column, listeners.consent.read(source, "listeners.consent"))
    else:
        table.add("consent", "consent", pl.Series([listeners.consent] * count, dtype=pl.Boolean))
    return table


def _add_units(table: _Table, source: Source, key: str, columns: Lookup[str, UnitColumn | None]) -> None:
    for name, column in columns.items():
        if column is not None:
            table.add(name, column.column, column.read(source, f"{key}.{name}"))


def _add_context(table: _Table, source: Source, mapping: Mapping, started_at: pl.Series) -> None:
    """Add the raw values of the context, one row for each row of the source."""
    for name, entry in mapping.context.items():
        raw = entry.read(source, f"context.{name}", started_at)
        table.add(context_column(name), entry.column or table.origins["started_at"], raw)


def _matrix(space: str, entry: EmbeddingsMapping, mapping: Mapping, files: _Files) -> Float[ndarray, "rows width"]:
    """Return a space's embeddings; the log's own check has the last word on how many rows there are."""
    if entry.file is not None:
        return _matrix_of_file(entry.file, files)
    source = files.open(mapping.songs.file)
    names = [name for name in source.frame.columns if name.startswith(str(entry.prefix))]
    if not names:
        expected = f"columns beginning with {entry.prefix!r}, which the mapping's embeddings.{space}.prefix names"
        found = f"columns {', '.join(source.frame.columns)}"
        files.complaints.append(Complaint(source.file, None, None, expected, found))
        return np.zeros((1, 1), np.float32)
    numbers = [source.number(f"embeddings.{space}.prefix", name).cast(pl.Float32) for name in names]
    return np.column_stack([column.to_numpy() for column in numbers])


def _matrix_of_file(file: str, files: _Files) -> Float[ndarray, "rows width"]:
    """Return a NumPy file's matrix as float32; a zero, and a complaint, if it does not hold one."""
    try:
        found = open_matrix(files.folder / file)
    except DataError as error:
        reason = shortened(str(error))
    else:
        if np.issubdtype(found.dtype, np.floating) and found.ndim == 2:
            with np.errstate(over="ignore"):
                return found.astype(np.float32)
        reason = f"shape {found.shape}, {found.dtype}"
    files.complaints.append(Complaint(file, None, None, "a NumPy matrix of fractional numbers", reason))
    return np.zeros((1, 1), np.float32)


def _description(mapping: Mapping, embeddings: Lookup[str, Float[ndarray, "_ _"]]) -> LogDescription:
    """Return the log's description: where it is from, and what was done to its scales."""
    songs, plays, sessions = mapping.songs, mapping.plays, mapping.sessions
    entries = {name: getattr(sessions, name) for name in _REPORTS} | {
        "engagement": plays.engagement,
        "rating": plays.rating,
        "valence": plays.valence,
        "arousal": plays.arousal,
        "tag_valence": songs.tag_valence,
        "tag_arousal": songs.tag_arousal,
    }
    return LogDescription(
        name=mapping.name,
        simulated=mapping.simulated,
        scales={name: entry.conversion for name, entry in entries.items() if entry is not None},
        context=ContextSchema(fields=tuple(entry.field(name) for name, entry in mapping.context.items())),
        embeddings={
            space: EmbeddingSpace(width=matrix.shape[1], source=entry.source, licence=entry.licence)
            for (space, entry), matrix in zip(mapping.embeddings.items(), embeddings.values(), strict=True)
        },
        provenance=mapping.provenance,
    )


def _in_their_words(complaint: Complaint, given: Lookup[str, _Table]) -> Complaint:
    """Return the complaint with the names of the importer's file and column, where there is such a file."""
    table = given.get(complaint.file)
    if table is None:
        return complaint
    column = table.origins.get(complaint.column or "", complaint.column)
    return replace(complaint, file=table.file, column=column)
