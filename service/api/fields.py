"""The kinds of values on the wire, each strict, each with words for what it expects.

JSON has one kind of number and no times; what Python or pydantic would kindly convert ("1.5" to 1.5, true to 1)
is refused here, because a kindness in a clinic's data is an error nobody sees.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from models.affect import Affect
from service.clock import Instant, from_datetime, to_datetime
from service.recommendation_id import MAXIMUM_LENGTH

EXPECTED: Final = "expected"
"""The type of the validation errors whose message is already in the words of this project."""


def expected(words: str) -> WrapValidator:
    """Return a validator that refuses in these words what the field's own rules refuse."""

    def check(value: Any, valid: Callable[[Any], Any]) -> Any:
        try:
            return valid(value)
        except ValidationError:
            raise refusal(words, value) from None

    return WrapValidator(check)


def refusal(words: str, value: Any) -> PydanticCustomError:
    """Return the error that says what was expected and what came."""
    return PydanticCustomError(EXPECTED, "expected {words}, got {came}", {"words": words, "came": shown(value)})


def shown(value: Any) -> str:
    """Return a value as JSON, cut to what fits a message."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _whole(value: Any) -> Any:
    """Return 1 for 1.0: JSON has one kind of number, and no document can tell them apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


ID_PATTERN: Final = r"^[A-Za-z0-9._:\-]{1,128}$"
RECOMMENDATION_ID_PATTERN: Final = rf"^[A-Za-z0-9._:\-]{{1,{MAXIMUM_LENGTH}}}$"

Id = Annotated[
    str,
    StringConstraints(pattern=ID_PATTERN),
    expected("an id of 1 to 128 characters from A–Z a–z 0–9 . _ : -"),
]
RecommendationId = Annotated[
    str,
    StringConstraints(pattern=RECOMMENDATION_ID_PATTERN),
    expected(f"an id of 1 to {MAXIMUM_LENGTH} characters from A–Z a–z 0–9 . _ : -"),
]
Unit = Annotated[float, Field(ge=0, le=1), expected("a number from 0 to 1")]
Rating = Annotated[int, Field(ge=0, le=1), BeforeValidator(_whole), expected("1 (like) or 0 (dislike)")]
ModeName = Annotated[
    Literal["energize", "focus", "calm", "sleep", "unspecified"],
    expected("one of energize, focus, calm, sleep, unspecified"),
]
PopulationName = Annotated[
    Literal["clinical", "consumer", "unspecified"],
    expected("one of clinical, consumer, unspecified"),
]
SongCount = Annotated[int, Field(ge=1, le=20), BeforeValidator(_whole), expected("a whole number from 1 to 20")]
NO_NUL: Final = r"^[^\x00]*$"
"""No text in PostgreSQL holds U+0000."""
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=NO_NUL),
    expected("a name of 1 to 256 characters, without U+0000"),
]
"""An artist or a tag: as long as a block can name."""
PageSize = Annotated[int, Field(ge=1, le=1000)]


def _parse_moment(value: Any) -> Instant:
    words = "an RFC 3339 time with an offset"
    if not isinstance(value, str) or len(value) > 64 or "T" not in value.upper():
        raise refusal(words, value)
    try:
        moment = datetime.fromisoformat(value.upper())
        if moment.tzinfo is None:
            raise refusal(words, value)
        return from_datetime(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        raise refusal(words, value) from None


Moment = Annotated[
    Instant,
    BeforeValidator(_parse_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation"),
]
"""A time that came in."""

Time = Annotated[
    Instant,
    PlainSerializer(lambda instant: to_datetime(instant).isoformat().replace("+00:00", "Z"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A time that goes out, in UTC."""


class Incoming(BaseModel):
    """A body, or a part of one, that a caller sends: nothing is converted, nothing unknown is passed over."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def six_decimals(number: float) -> float:
    """Return a number with the six decimals that single precision means; 0.4, not 0.4000000059604645."""
    return round(number, 6)


Figure = Annotated[float, AfterValidator(six_decimals)]
"""A number that models computed, as it goes out. The record keeps every bit."""


class Outgoing(BaseModel):
    """A body, or a part of one, that goes out."""

    model_config = ConfigDict(frozen=True)


class Report(Incoming):
    """What a listener said of their affect."""

    valence: Unit
    arousal: Unit


def to_affect(report: Report | None) -> Affect | None:
    """Return a report as a point of the circumplex; None where nobody reported."""
    return None if report is None else Affect(report.valence, report.arousal)
