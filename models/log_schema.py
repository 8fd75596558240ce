"""What a listening log is made of: its tables, their columns, and the description beside them.

A log (schema `amrs-log/1`) is a folder: `log.json`, four Parquet tables, and one `embeddings/<space>.npy`
for each embedding space, whose row i belongs to song i of `songs.parquet`. An absent value is null, never NaN.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models.context import ContextField, ContextSchema
from models.listening import Mode, Population

LOG_SCHEMA: Final = "amrs-log/1"
DESCRIPTION_FILE: Final = "log.json"
SONGS_FILE: Final = "songs.parquet"
LISTENERS_FILE: Final = "listeners.parquet"
SESSIONS_FILE: Final = "sessions.parquet"
PLAYS_FILE: Final = "plays.parquet"
EMBEDDINGS_FOLDER: Final = "embeddings"

ID_PATTERN: Final = r"^[A-Za-z0-9._:-]{1,128}$"
"""Every id, on disk and on the wire."""

SpaceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""An embedding space's name, which is also its file's."""

Text = Annotated[str, StringConstraints(min_length=1)]


class EmbeddingSpace(BaseModel):
    """Where one matrix of song embeddings comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    width: Annotated[int, Field(ge=1)]
    """Numbers per song."""
    source: Text
    licence: Text


class LogDescription(BaseModel):
    """What `log.json` holds: everything a reader must know that no table says."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    schema_version: Literal["amrs-log/1"] = Field(LOG_SCHEMA, alias="schema")
    name: Text
    simulated: Annotated[bool, Field(strict=True)]
    """Whether the listeners are invented; a report on such a log must say so."""
    scales: dict[str, str] = Field(default_factory=dict)
    """The conversion made on a field, in words; a field left out was on its scale from the start."""
    context: ContextSchema = ContextSchema()
    embeddings: dict[SpaceName, EmbeddingSpace] = Field(default_factory=dict)
    provenance: dict[str, str | int | float] = Field(default_factory=dict)
    """Origin, licence, versions, counts. Part of the digest, so it holds no clock time."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value that is present must be: in words, and as a test of a column."""

    expected: str
    holds: Callable[[pl.Series], pl.Series]
    """True for each value that may stand; nulls give null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table."""

    stored: pl.Field
    """Name and type on disk; any width of the same family of types is read and converted."""
    nullable: bool = False
    rule: Rule | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return self.stored.name

    def is_readable_in(self, frame: pl.DataFrame) -> bool:
        """Whether the frame has this column in a type that can be converted without a change of meaning."""
        if self.name not in frame.columns:
            return False
        stored, found = self.stored.dtype, frame.schema[self.name]
        if found == pl.Null:
            return self.nullable
        if stored.is_float():
            return found.is_float()
        if stored.is_integer():
            return found.is_integer()
        if isinstance(stored, pl.Datetime):
            return isinstance(found, pl.Datetime) and found.time_zone == stored.time_zone
        if stored == pl.String:
            return found in (pl.String, pl.Categorical, pl.Enum)
        return found == stored


@dataclass(frozen=True, slots=True)
class Table:
    """One Parquet file: its name and its columns."""

    file: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """Return the column of that name."""
        return next((column for column in self.columns if column.name == name), None)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a valid frame in the stored types and order of columns."""
        return frame.select(pl.col(column.name).cast(column.stored.dtype) for column in self.columns)


def _one_of(labels: list[str]) -> Rule:
    return Rule(f"one of {', '.join(labels)}", lambda values: values.cast(pl.String).is_in(labels))


_ID: Final = Rule(
    "an id of 1 to 128 characters from A-Z a-z 0-9 . _ : -",
    lambda values: values.cast(pl.String).str.contains(ID_PATTERN),
)
_UNIT: Final = Rule("a number from 0 to 1", lambda values: values.is_between(0, 1))
_PROBABILITY: Final = Rule(
    "a probability above 0 and up to 1", lambda values: values.is_between(0, 1, closed="right")
)
_POSITIVE: Final = Rule("a finite number above 0", lambda values: values.is_finite() & (values > 0))
_NOT_NEGATIVE: Final = Rule("a whole number from 0", lambda values: values.is_between(0, 2**31 - 1))
_LIKE: Final = Rule("1 (like) or 0 (dislike)", lambda values: values.is_between(0, 1))
_NO_BLANK_TAG: Final = Rule(
    "tags that are not empty", lambda values: ~values.list.eval(pl.element().fill_null("").eq("")).list.any()
)
_MODE: Final = _one_of([mode.label for mode in Mode])
_POPULATION: Final = _one_of([population.label for population in Population])

_TEXT: Final = pl.String()
_F32: Final = pl.Float32()
_TIME: Final = pl.Datetime("us", "UTC")

SONGS: Final = Table(
    SONGS_FILE,
    (
        Column(stored=pl.Field("song_id", _TEXT), rule=_ID),
        Column(stored=pl.Field("title", _TEXT), nullable=True),
        Column(stored=pl.Field("artist", _TEXT), nullable=True),
        Column(stored=pl.Field("duration_seconds", pl.Float64()), nullable=True, rule=_POSITIVE),
        Column(stored=pl.Field("tags", pl.List(pl.String())), rule=_NO_BLANK_TAG),
        Column(stored=pl.Field("tag_valence", _F32), nullable=True, rule=_UNIT),
        Column(stored=pl.Field("tag_arousal", _F32), nullable=True, rule=_UNIT),
    ),
)
LISTENERS: Final = Table(
    LISTENERS_FILE,
    (
        Column(stored=pl.Field("listener_id", _TEXT), rule=_ID),
        Column(stored=pl.Field("population", _TEXT), rule=_POPULATION),
        Column(stored=pl.Field("consent", pl.Boolean())),
    ),
)
_SESSION_COLUMNS: Final = (
    Column(stored=pl.Field("session_id", _TEXT), rule=_ID),
    Column(stored=pl.Field("listener_id", _TEXT), rule=_ID),
    Column(stored=pl.Field("mode", _TEXT), rule=_MODE),
    Column(stored=pl.Field("started_at", _TIME)),
    Column(stored=pl.Field("ended_at", _TIME), nullable=True),
    Column(stored=pl.Field("before_valence", _F32), nullable=True, rule=_UNIT),
    Column(stored=pl.Field("before_arousal", _F32), nullable=True, rule=_UNIT),
    Column(stored=pl.Field("after_valence", _F32), nullable=True, rule=_UNIT),
    Column(stored=pl.Field("after_arousal", _F32), nullable=True, rule=_UNIT),
)
PLAYS: Final = Table(
    PLAYS_FILE,
    (
        Column(stored=pl.Field("session_id", _TEXT), rule=_ID),
        Column(stored=pl.Field("position", pl.Int32()), rule=_NOT_NEGATIVE),
        Column(stored=pl.Field("song_id", _TEXT), rule=_ID),
        Column(stored=pl.Field("played_at", _TIME), nullable=True),
        Column(stored=pl.Field("mode", _TEXT), nullable=True, rule=_MODE),
        Column(stored=pl.Field("engagement", _F32), nullable=True, rule=_UNIT),
        Column(stored=pl.Field("rating", pl.Int8()), nullable=True, rule=_LIKE),
        Column(stored=pl.Field("valence", _F32), nullable=True, rule=_UNIT),
        Column(stored=pl.Field("arousal", _F32), nullable=True, rule=_UNIT),
        Column(stored=pl.Field("propensity", _F32), nullable=True, rule=_PROBABILITY),
    ),
)

REPORTS: Final = (
    (SESSIONS_FILE, "before_valence", "before_arousal"),
    (SESSIONS_FILE, "after_valence", "after_arousal"),
    (PLAYS_FILE, "valence", "arousal"),
    (SONGS_FILE, "tag_valence", "tag_arousal"),
)
"""The pairs of columns that are present or absent together."""


def _context_rule(field: ContextField) -> Rule:
    def holds(values: pl.Series) -> pl.Series:
        return pl.Series(field.is_valid(values.to_numpy())) & ~values.is_nan()

    return Rule(field.expected, holds)


def context_column(name: str) -> str:
    """Return the sessions column that holds a context field's raw values."""
    return f"context_{name}"


def sessions_table(context: ContextSchema) -> Table:
    """Return the sessions table, with one column for each context field."""
    fields = (
        Column(
            stored=pl.Field(context_column(field.name), _F32),
            nullable=True,
            rule=_context_rule(field),
        )
        for field in context.fields
    )
    return Table(SESSIONS_FILE, (*_SESSION_COLUMNS, *fields))


def tables(context: ContextSchema) -> Mapping[str, Table]:
    """Return the four tables by file name."""
    four = (SONGS, LISTENERS, sessions_table(context), PLAYS)
    return {table.file: table for table in four}
