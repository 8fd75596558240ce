"""The situation a session starts in: which facts a log or a bundle knows, and how each becomes numbers.

A fact is stored as one float, its **raw value** (hour of the day; number; index of a category), NaN where
nobody knows it; it reaches a model as **features**, each fact led by a bit that says whether it is known.
Source: time of day and biometric context are AMRS's named future work (§6); the situation columns are SiTunes'.

Legend: C context fields · F features
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.errors import DataError

FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A field's name: also the key on the wire and, after `context_`, the column of a log."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class _Declared(BaseModel, ABC):
    """A declared context field; frozen, and strict about what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: FieldName

    @property
    @abstractmethod
    def expected(self) -> str:
        """What a raw value must be, in words."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """One name per feature, the presence bit first."""

    @abstractmethod
    def parse(self, value: object) -> float:
        """Return the raw value of a value from the wire.

        Raises:
            DataError: the value is not one this field can hold.
        """

    @abstractmethod
    def is_valid(self, raw: Float[ndarray, "*shape"]) -> Bool[ndarray, "*shape"]:
        """Whether each raw value may stand in this field; NaN, the absent value, may."""

    @abstractmethod
    def expand(self, raw: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape F"]:
        """Return the features of known raw values, without the presence bit; absent ones give anything."""

    def _refused(self, expected: str, value: object) -> DataError:
        return DataError(f"context.{self.name}: expected {expected}, got {value!r}")


class ClockField(_Declared):
    """The listener's local hour of day, [0, 24); it reaches a model as a point on the unit circle."""

    kind: Literal["clock"] = "clock"

    @property
    def expected(self) -> str:
        """What a raw value must be, in words."""
        return "an hour from 0 up to but not including 24"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Presence, then sine and cosine."""
        return (f"{self.name}?", f"{self.name}_sin", f"{self.name}_cos")

    def parse(self, value: object) -> float:
        """Return the hour on the caller's own clock: the time's offset is kept, not converted away."""
        expected = "an RFC 3339 time with an offset"
        if not isinstance(value, str):
            raise self._refused(expected, value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise self._refused(expected, value) from None
        if moment.tzinfo is None:
            raise self._refused(expected, value)
        return moment.hour + moment.minute / 60 + moment.second / 3600

    def is_valid(self, raw: Float[ndarray, "*shape"]) -> Bool[ndarray, "*shape"]:
        """Whether each hour lies in [0, 24) or is absent."""
        return np.isnan(raw) | ((raw >= 0) & (raw < 24))

    def expand(self, raw: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape 2"]:
        """Return sine and cosine of the hour's angle."""
        angle = raw * (2 * np.pi / 24)
        return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


class NumberField(_Declared):
    """A number on a closed interval; it reaches a model scaled to [-1, 1]."""

    kind: Literal["number"] = "number"
    low: float
    high: float

    @model_validator(mode="after")
    def _has_an_inside(self) -> "NumberField":
        if not self.low < self.high:
            raise ValueError(f"expected low < high, got {self.low} and {self.high}")
        return self

    @property
    def expected(self) -> str:
        """What a raw value must be, in words."""
        return f"a number from {self.low:g} to {self.high:g}"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Presence, then the scaled number."""
        return (f"{self.name}?", self.name)

    def parse(self, value: object) -> float:
        """Return the number; one outside the interval is refused, never clipped."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused(self.expected, value)
        if not self.low <= value <= self.high:  # NaN fails this too
            raise self._refused(self.expected, value)
        return float(value)

    def is_valid(self, raw: Float[ndarray, "*shape"]) -> Bool[ndarray, "*shape"]:
        """Whether each number lies on the interval or is absent."""
        return np.isnan(raw) | ((raw >= self.low) & (raw <= self.high))

    def expand(self, raw: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape 1"]:
        """Return the number, low at -1 and high at 1."""
        return (2 * (raw - self.low) / (self.high - self.low) - 1)[..., None]


class CategoryField(_Declared):
    """One of a closed set of labels; it reaches a model one-hot."""

    kind: Literal["category"] = "category"
    values: Annotated[tuple[Label, ...], Field(min_length=2, max_length=1000)]

    @model_validator(mode="after")
    def _has_distinct_values(self) -> "CategoryField":
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"expected distinct values, got {list(self.values)}")
        return self

    @property
    def expected(self) -> str:
        """What a raw value must be, in words."""
        return f"a whole number from 0 to {len(self.values) - 1}, the place of one of {list(self.values)}"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Presence, then one name per label."""
        return (f"{self.name}?", *(f"{self.name}={value}" for value in self.values))

    def parse(self, value: object) -> float:
        """Return the label's place among the labels."""
        if not isinstance(value, str) or value not in self.values:
            raise self._refused(f"one of {list(self.values)}", value)
        return float(self.values.index(value))

    def is_valid(self, raw: Float[ndarray, "*shape"]) -> Bool[ndarray, "*shape"]:
        """Whether each value is the place of a label or absent."""
        return np.isnan(raw) | ((raw >= 0) & (raw < len(self.values)) & (raw == np.floor(raw)))

    def expand(self, raw: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape V"]:
        """Return a one at the label's place and zeros elsewhere."""
        return (raw[..., None] == np.arange(len(self.values))).astype(np.float64)


ContextField = Annotated[ClockField | NumberField | CategoryField, Field(discriminator="kind")]


class ContextSchema(BaseModel):
    """The context fields in their one order; the same object in a log, in a bundle and at the door."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: tuple[ContextField, ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "ContextSchema":
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"expected distinct field names, got {list(self.names)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The fields' names, in order."""
        return tuple(field.name for field in self.fields)

    @property
    def field_count(self) -> int:
        """C."""
        return len(self.fields)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per feature, in order; a presence bit ends in `?`."""
        return tuple(name for field in self.fields for name in field.feature_names)

    @property
    def feature_count(self) -> int:
        """F."""
        return len(self.feature_names)

    def parse(self, values: Mapping[str, object]) -> Float[ndarray, " C"]:
        """Return the raw values of what came over the wire, float32; NaN for keys left out or null.

        Raises:
            DataError: a key that is not declared, or a value its field cannot hold; the key is named.
        """
        unknown = sorted(set(values) - set(self.names))
        if unknown:
            declared = ", ".join(self.names) or "none"
            raise DataError(f"context.{unknown[0]}: expected one of the declared keys ({declared})")
        raw = [
            np.nan if (value := values.get(field.name)) is None else field.parse(value) for field in self.fields
        ]
        return np.array(raw, np.float32)

    def features(self, raw: Float[ndarray, "*shape C"]) -> Float[ndarray, "*shape F"]:
        """Return the features of raw values, float32, all in [-1, 1]; an absent field's are all zero.

        Raises:
            DataError: the last axis does not hold one value per field.
        """
        if raw.shape[-1] != self.field_count:
            raise DataError(f"expected {self.field_count} context values, got {raw.shape[-1]}")
        features = np.zeros((*raw.shape[:-1], self.feature_count), np.float32)
        start = 0
        for column, field in enumerate(self.fields):
            width = len(field.feature_names)
            values = raw[..., column]
            known = ~np.isnan(values)
            features[..., start] = known
            features[known, start + 1 : start + width] = field.expand(values[known].astype(np.float64))
            start += width
        return features


NO_CONTEXT: Final = ContextSchema()
"""The schema of a platform that knows nothing of the situation."""
