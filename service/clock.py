"""Time inside the service: whole microseconds since 1970, UTC, read from a clock that is passed in.

Integers compare, sort and survive every store exactly; the edge turns them into RFC 3339 and back.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Final

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""

Clock = Callable[[], Instant]

SECOND: Final = 1_000_000
"""One second, in the unit of an instant."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def system_clock() -> Instant:
    """Return the machine's time now."""
    return time_ns() // 1000


def to_datetime(instant: Instant) -> datetime:
    """Return the instant as a time in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def from_datetime(moment: datetime) -> Instant:
    """Return the instant of a time that knows its offset."""
    return (moment - _EPOCH) // _MICROSECOND
