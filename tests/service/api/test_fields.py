"""Values on the wire are taken as they are or refused in words; nothing is converted kindly."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.api.fields import (
    Id,
    Incoming,
    ModeName,
    Moment,
    Rating,
    RecommendationId,
    Report,
    SongCount,
    Time,
    Unit,
)
from service.clock import to_datetime
from service.recommendation_id import MAXIMUM_LENGTH


def read(kind: Any, value: Any) -> Any:
    """The value as a body's field of this kind would hold it."""

    class Body(Incoming):
        field: kind

    return Body.model_validate({"field": value}).field


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Unit, 1.7, "expected a number from 0 to 1, got 1.7"),
        (Unit, -0.1, "expected a number from 0 to 1, got -0.1"),
        (Unit, "0.5", 'expected a number from 0 to 1, got "0.5"'),
        (Unit, True, "expected a number from 0 to 1, got true"),
        (Unit, None, "expected a number from 0 to 1, got null"),
        (Unit, 1e999, "expected a number from 0 to 1, got Infinity"),
        (Rating, 2, "expected 1 (like) or 0 (dislike), got 2"),
        (Rating, True, "expected 1 (like) or 0 (dislike), got true"),
        (Rating, 0.5, "expected 1 (like) or 0 (dislike), got 0.5"),
        (Id, "", 'from A–Z a–z 0–9 . _ : -, got ""'),
        (Id, "a/b", 'got "a/b"'),
        (Id, "a\n", r'got "a\n"'),
        (Id, "x" * 129, "got"),
        (Id, 7, "got 7"),
        (RecommendationId, "x" * (MAXIMUM_LENGTH + 1), "expected an id of 1 to 512 characters"),
        (SongCount, 0, "expected a whole number from 1 to 20, got 0"),
        (SongCount, 21, "expected a whole number from 1 to 20, got 21"),
        (ModeName, "party", 'expected one of energize, focus, calm, sleep, unspecified, got "party"'),
        (Moment, "2026-11-20T21:10:00", "expected an RFC 3339 time with an offset"),
        (Moment, "2026-11-20", "expected an RFC 3339 time with an offset"),
        (Moment, 1795205400, "expected an RFC 3339 time with an offset"),
        (Moment, "9999-12-31T23:59:59-23:59", "expected an RFC 3339 time with an offset"),
    ],
)
def test_refuses_in_words(kind, value, message):
    with pytest.raises(ValidationError) as caught:
        read(kind, value)

    assert message in caught.value.errors()[0]["msg"]


@given(st.floats(0, 1))
def test_takes_every_number_from_0_to_1(value):
    assert read(Unit, value) == value


def test_takes_a_recommendation_id_of_any_length_that_one_can_have():
    assert read(RecommendationId, "x" * MAXIMUM_LENGTH) == "x" * MAXIMUM_LENGTH


def test_takes_a_whole_number_for_a_number():
    assert read(Report, {"valence": 0, "arousal": 1}) == Report(valence=0.0, arousal=1.0)


def test_refuses_half_a_report_and_a_third_axis():
    for wrong in ({"valence": 0.5}, {"valence": 0.5, "arousal": 0.5, "dominance": 0.5}):
        with pytest.raises(ValidationError):
            read(Report, wrong)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-20T21:10:00+01:00", "2026-11-20T20:10:00+00:00"),
        ("2026-11-20T20:10:00Z", "2026-11-20T20:10:00+00:00"),
        ("2026-11-20t20:10:00.25z", "2026-11-20T20:10:00.250000+00:00"),
    ],
)
def test_reads_a_time_whatever_its_offset(written, meant):
    assert to_datetime(read(Moment, written)).isoformat() == meant


def test_writes_times_in_utc():
    assert TypeAdapter(Time).dump_python(read(Moment, "2026-11-20T21:10:00+01:00")) == "2026-11-20T20:10:00Z"
