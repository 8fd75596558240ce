"""An instant survives the way to a calendar and back, to the microsecond."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from service.clock import from_datetime, system_clock, to_datetime

aware = st.datetimes(timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14))))


@given(aware)
def test_a_time_and_its_instant_are_the_same_moment(moment: datetime) -> None:
    assert to_datetime(from_datetime(moment)) == moment


@given(st.integers(-(10**16), 10**17))
def test_an_instant_comes_back_exactly(instant: int) -> None:
    assert from_datetime(to_datetime(instant)) == instant


def test_the_epoch_is_zero() -> None:
    assert from_datetime(datetime(1970, 1, 1, tzinfo=UTC)) == 0


def test_the_system_clock_is_in_microseconds() -> None:
    assert abs(system_clock() - from_datetime(datetime.now(UTC))) < 60_000_000
