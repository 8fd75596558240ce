"""What a mapping file may say: which columns of somebody's files hold what a log needs, and on which scale.

Written in TOML, read with `read_mapping`; docs/importing.md works one through. A key that is not known here is
refused, so that a typing mistake never passes for an absent column. Wherever a table such as
`{column = "mood", low = 1, high = 9}` may stand, the bare name of a column may too.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

import polars as pl
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    ValidationError,
    model_validator,
)

from models.affect import Scale
from models.context import CategoryField, ClockField, ContextField, FieldName, NumberField
from models.errors import Complaint, LogError
from models.listening import Mode, Population
from models.log_check import shown
from models.log_schema import SpaceName, Text
from training.importers.source import Source


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("expected a time zone such as Europe/Vienna")
    return zone


Zone = Annotated[str, AfterValidator(_known_zone)]


class UnitColumn(_Entry):
    """A number on a scale from `low` to `high`, brought to [0, 1]."""

    column: Text
    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _has_an_inside(self) -> "UnitColumn":
        if not self.low < self.high:
            raise ValueError(f"expected low < high, got {self.low} and {self.high}")
        return self

    @property
    def conversion(self) -> str:
        """What is done to a value, in words."""
        return f"{self.column}: [{self.low:g}, {self.high:g}] to [0, 1], linearly"

    def read(self, source: Source, key: str) -> pl.Series:
        """Return the column on [0, 1]; what lies outside the scale is complained of."""
        values = source.number(key, self.column)
        inside = values.is_between(self.low, self.high).fill_null(value=False)
        expected = f"a number from {self.low:g} to {self.high:g}"
        kept = source.keep(self.column, values, inside, expected, values)
        unit = Scale(self.low, self.high).to_unit(kept.to_numpy())
        return pl.Series(self.column, unit, nan_to_null=True)


class HeardColumn(_Entry):
    """For how long a song was heard; over the song's duration this is engagement, cut at 1."""

    heard: Text
    unit: Literal["seconds", "milliseconds"] = "seconds"

    @property
    def conversion(self) -> str:
        """What is done to a value, in words."""
        return f"{self.heard} ({self.unit}) / the song's duration, at most 1"

    def read_seconds(self, source: Source, key: str) -> pl.Series:
        """Return how many seconds were heard; negative ones are complained of."""
        values = source.number(key, self.heard)
        sound = (values >= 0).fill_null(value=False)
        seconds = values / 1000 if self.unit == "milliseconds" else values
        return source.keep(self.heard, seconds, sound, "a duration from 0", values)


class RatingColumn(_Entry):
    """A rating as a number: from `like_from` on a like, up to `dislike_to` a dislike, between them neither."""

    column: Text
    like_from: float = 1.0
    dislike_to: float | None = None
    """Left out: whatever is below `like_from`."""

    @model_validator(mode="after")
    def _does_not_overlap(self) -> "RatingColumn":
        if self.dislike_to is not None and not self.dislike_to < self.like_from:
            raise ValueError(f"expected dislike_to < like_from, got {self.dislike_to} and {self.like_from}")
        return self

    @property
    def conversion(self) -> str:
        """What is done to a value, in words."""
        below = f"below {self.like_from:g}" if self.dislike_to is None else f"up to {self.dislike_to:g}"
        return f"{self.column}: 1 from {self.like_from:g}, 0 {below}"

    def read(self, source: Source, key: str) -> pl.Series:
        """Return 1, 0 or null."""
        values = source.number(key, self.column)
        disliked = values < self.like_from if self.dislike_to is None else values <= self.dislike_to
        liked = (values >= self.like_from).cast(pl.Int8)
        return liked.set(~disliked.fill_null(value=False) & (liked == 0).fill_null(value=False), None)


class RatingLabels(_Entry):
    """A rating as a word."""

    column: Text
    like: tuple[str, ...]
    dislike: tuple[str, ...]
    neither: tuple[str, ...] = ()

    @property
    def conversion(self) -> str:
        """What is done to a value, in words."""
        return f"{self.column}: 1 for {', '.join(self.like)}, 0 for {', '.join(self.dislike)}"

    def read(self, source: Source, key: str) -> pl.Series:
        """Return 1, 0 or null; a word that is not listed is complained of."""
        ratings: dict[str, int | None] = dict.fromkeys(self.neither)
        ratings |= dict.fromkeys(self.like, 1) | dict.fromkeys(self.dislike, 0)
        return _translated(source, key, self.column, ratings).cast(pl.Int8)


class LabelColumn(_Entry):
    """A label under the log's own names, or under the file's names with their translation."""

    column: Text
    values: dict[str, str] = Field(default_factory=dict)

    def read(self, source: Source, key: str, *, labels: list[str]) -> pl.Series:
        """Return labels; a name that is neither a label nor translated to one is complained of."""
        translation = {label: label for label in labels} | self.values
        known = {name: label for name, label in translation.items() if label in labels}
        return _translated(source, key, self.column, known)


def _translated(source: Source, key: str, column: str, names: dict[str, Any]) -> pl.Series:
    values = source.text(key, column)
    listed = values.is_in(list(names)).fill_null(value=False)
    expected = f"one of {', '.join(names)} (the mapping's {key})"
    kept = source.keep(column, values, listed, expected, values)
    return kept.replace_strict(names) if len(kept) else kept


class TimeColumn(_Entry):
    """A time: RFC 3339 with an offset, or counted since 1970 (`unix`), or read off a clock in a `zone`."""

    column: Text
    unix: Literal["seconds", "milliseconds"] | None = None
    zone: Zone | None = None
    format: str | None = None
    """How the clock's time is written, such as `%d.%m.%Y %H:%M`; left out for ISO 8601 or a timestamp."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> "TimeColumn":
        if self.unix is not None and (self.zone is not None or self.format is not None):
            raise ValueError("expected unix alone, or zone with or without format")
        if self.format is not None and self.zone is None:
            raise ValueError("expected a zone beside format: a clock's time means nothing without one")
        return self

    def read(self, source: Source, key: str) -> pl.Series:
        """Return UTC times."""
        if self.unix is not None:
            microseconds = source.number(key, self.column) * (1_000_000 if self.unix == "seconds" else 1_000)
            return microseconds.round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
        if self.zone is not None:
            return source.local_time(key, self.column, pattern=self.format, zone=self.zone)
        return source.time(key, self.column)


class DurationColumn(_Entry):
    """How long a song lasts."""

    column: Text
    unit: Literal["seconds", "milliseconds"] = "seconds"

    def read(self, source: Source, key: str) -> pl.Series:
        """Return seconds."""
        values = source.number(key, self.column)
        return values / 1000 if self.unit == "milliseconds" else values


class TagColumn(_Entry):
    """Tags in one text, parted by a separator; a Parquet list needs none."""

    column: Text
    separator: Text = "|"

    def read(self, source: Source, key: str) -> pl.Series:
        """Return lists of tags, empty where the file has nothing."""
        values = source.column(key, self.column)
        if not isinstance(values.dtype, pl.List):
            values = values.cast(pl.String).str.split(self.separator)
        tags = values.cast(pl.List(pl.String)).list.eval(pl.element().str.strip_chars())
        return tags.list.eval(pl.element().filter(pl.element() != "")).fill_null([])


class ConsentColumn(_Entry):
    """Who agreed that their listening be learnt from; every other value, an absent one too, is a no."""

    column: Text
    yes: tuple[str, ...] = ("true",)

    def read(self, source: Source, key: str) -> pl.Series:
        """Return whether each listener agreed."""
        return source.text(key, self.column).is_in(list(self.yes)).fill_null(value=False)


def _column_alone(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


_Short = BeforeValidator(_column_alone)
Unit = Annotated[UnitColumn, _Short]
Time = Annotated[TimeColumn, _Short]
Label = Annotated[LabelColumn, _Short]


def _engagement_kind(value: object) -> str:
    return "heard" if isinstance(value, dict) and "heard" in value else "unit"


def _rating_kind(value: object) -> str:
    return "labels" if isinstance(value, dict) and {"like", "dislike"} & value.keys() else "number"


Engagement = Annotated[
    Annotated[HeardColumn, Tag("heard")] | Annotated[UnitColumn, Tag("unit")], Discriminator(_engagement_kind)
]
Rating = Annotated[
    Annotated[RatingLabels, Tag("labels")] | Annotated[RatingColumn, Tag("number")], Discriminator(_rating_kind)
]


class SongsMapping(_Entry):
    """The file of songs."""

    file: Text
    song: Text
    title: Text | None = None
    artist: Text | None = None
    duration: Annotated[DurationColumn, _Short] | None = None
    tags: Annotated[TagColumn, _Short] | None = None
    tag_valence: Unit | None = None
    tag_arousal: Unit | None = None


class ListenersMapping(_Entry):
    """Who the listeners are; without a file, whoever played something."""

    consent: StrictBool | Annotated[ConsentColumn, _Short]
    """No default: somebody must say it. True or false for all, or a column of the file."""
    file: Text | None = None
    listener: Text | None = None
    population: Literal["unspecified", "clinical", "consumer"] | LabelColumn = "unspecified"
    """One label for all, or a column of the file."""

    @model_validator(mode="after")
    def _has_a_file_for_its_columns(self) -> "ListenersMapping":
        if (self.file is None) != (self.listener is None):
            raise ValueError("expected file and listener together")
        if self.file is None and (
            isinstance(self.consent, ConsentColumn) or isinstance(self.population, LabelColumn)
        ):
            raise ValueError("expected a file, since consent or population names a column")
        return self


class PlaysMapping(_Entry):
    """The file of plays."""

    file: Text
    listener: Text | None = None
    """Needed unless a sessions file tells it."""
    song: Text
    session: Text | None = None
    played_at: Time | None = None
    position: Text | None = None
    """A number that grows through the session; left out, plays stand in the order of `played_at`."""
    engagement: Annotated[Engagement, _Short] | None = None
    rating: Annotated[Rating, _Short] | None = None
    valence: Unit | None = None
    arousal: Unit | None = None
    mode: Label | None = None
    propensity: Text | None = None

    @model_validator(mode="after")
    def _has_an_order(self) -> "PlaysMapping":
        if self.position is None and self.played_at is None:
            raise ValueError("expected position or played_at, to order the plays of a session")
        return self


class _Reports(_Entry):
    before_valence: Unit | None = None
    before_arousal: Unit | None = None
    after_valence: Unit | None = None
    after_arousal: Unit | None = None


class SessionsFile(_Reports):
    """A file of sessions."""

    file: Text
    session: Text
    listener: Text
    started_at: Time
    ended_at: Time | None = None
    mode: Label | None = None


class SessionsFromPlays(_Reports):
    """Sessions found in the plays: by their session column, or by a silence between two plays of a listener."""

    gap_minutes: Annotated[float, Field(gt=0)] | None = None


def _sessions_kind(value: object) -> str:
    return "file" if isinstance(value, dict) and "file" in value else "plays"


class ClockColumn(_Entry):
    """The hour on the listener's clock: from a column, or from the session's start in a zone."""

    kind: Literal["clock"]
    column: Text | None = None
    zone: Zone | None = None

    @model_validator(mode="after")
    def _has_one_origin(self) -> "ClockColumn":
        if (self.column is None) == (self.zone is None):
            raise ValueError("expected either column (hours) or zone")
        return self

    def field(self, name: str) -> ContextField:
        """Return the log's field."""
        return ClockField(name=name)

    def read(self, source: Source, key: str, started_at: pl.Series) -> pl.Series:
        """Return the hours of the column, or of the session's start on the zone's clocks."""
        if self.column is not None:
            return source.number(key, self.column)
        local = started_at.dt.convert_time_zone(str(self.zone)).dt
        return local.hour() + local.minute() / 60 + local.second() / 3600


class NumberColumn(_Entry):
    """A number on a closed interval."""

    kind: Literal["number"]
    column: Text
    low: float
    high: float

    def field(self, name: str) -> ContextField:
        """Return the log's field."""
        return NumberField(name=name, low=self.low, high=self.high)

    def read(self, source: Source, key: str, started_at: pl.Series) -> pl.Series:  # noqa: ARG002
        """Return the numbers."""
        return source.number(key, self.column)


class CategoryColumn(_Entry):
    """One of the listed labels."""

    kind: Literal["category"]
    column: Text
    values: tuple[Text, ...]

    def field(self, name: str) -> ContextField:
        """Return the log's field."""
        return CategoryField(name=name, values=self.values)

    def read(self, source: Source, key: str, started_at: pl.Series) -> pl.Series:  # noqa: ARG002
        """Return the place of each label among the labels; one that is not listed is complained of."""
        places = {label: float(place) for place, label in enumerate(self.values)}
        return _translated(source, key, self.column, places).cast(pl.Float64)


ContextColumn = Annotated[ClockColumn | NumberColumn | CategoryColumn, Field(discriminator="kind")]


class EmbeddingsMapping(_Entry):
    """One embedding space: a NumPy file with a row per song of the songs file, or columns of that file."""

    file: Text | None = None
    prefix: Text | None = None
    """Every column of the songs file whose name begins so, in the file's order."""
    source: Text
    licence: Text

    @model_validator(mode="after")
    def _has_one_origin(self) -> "EmbeddingsMapping":
        if (self.file is None) == (self.prefix is None):
            raise ValueError("expected either file or prefix")
        return self


class Mapping(_Entry):
    """A whole mapping file."""

    name: Text
    simulated: bool = False
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What parts the values of CSV files."""
    absent: tuple[str, ...] = ()
    """Texts of CSV files that stand for no value, besides the empty one."""
    songs: SongsMapping
    listeners: ListenersMapping
    plays: PlaysMapping
    sessions: Annotated[
        Annotated[SessionsFile, Tag("file")] | Annotated[SessionsFromPlays, Tag("plays")],
        Discriminator(_sessions_kind),
    ] = SessionsFromPlays()
    context: dict[FieldName, ContextColumn] = Field(default_factory=dict)
    """Columns of the sessions file; of the plays file (a session's first play) where there is none."""
    embeddings: dict[SpaceName, EmbeddingsMapping] = Field(default_factory=dict)
    provenance: dict[str, str | int | float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _knows_how_long_songs_are(self) -> "Mapping":
        if isinstance(self.plays.engagement, HeardColumn) and self.songs.duration is None:
            raise ValueError("expected songs.duration, since plays.engagement is time heard")
        return self

    @model_validator(mode="after")
    def _finds_the_sessions(self) -> "Mapping":
        if isinstance(self.sessions, SessionsFile):
            if self.plays.session is None:
                raise ValueError("expected plays.session, since sessions have a file")
            return self
        if self.plays.listener is None:
            raise ValueError("expected plays.listener, since sessions have no file")
        if self.plays.played_at is None:
            raise ValueError("expected plays.played_at, since sessions have no file to tell when they start")
        if (self.sessions.gap_minutes is None) == (self.plays.session is None):
            raise ValueError("expected either plays.session or sessions.gap_minutes")
        return self


MODES = [mode.label for mode in Mode]
POPULATIONS = [population.label for population in Population]


def read_mapping(path: Path) -> Mapping:
    """Return what the mapping file says.

    Raises:
        LogError: the file is not TOML, or says something that no mapping may say; each place is named.
    """
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise LogError(str(path), _complaints(path.name, error)) from None


def _complaints(file: str, error: OSError | ValueError) -> list[Complaint]:
    if not isinstance(error, ValidationError):
        return [Complaint(file, None, None, "a readable TOML file", str(error))]
    return [
        Complaint(file, None, ".".join(map(str, problem["loc"])) or None, problem["msg"], shown(problem["input"]))
        for problem in error.errors(include_url=False)
    ]
