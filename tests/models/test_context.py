"""A context field is one raw float on disk and a few features in [-1, 1] in a model, and absence is visible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.context import NO_CONTEXT, CategoryField, ClockField, ContextSchema, NumberField
from models.errors import DataError

SCHEMA = ContextSchema(
    fields=(
        ClockField(name="local_time"),
        NumberField(name="temperature", low=-20, high=40),
        CategoryField(name="weather", values=("sunny", "cloudy", "rainy")),
    )
)


def test_parses_the_local_hour_without_converting_the_offset_away():
    raw = SCHEMA.parse({"local_time": "2026-11-20T21:15:00+01:00"})

    assert raw[0] == 21.25
    assert np.isnan(raw[1:]).all()


def test_parses_numbers_and_the_place_of_categories():
    np.testing.assert_array_equal(SCHEMA.parse({"temperature": 10, "weather": "rainy"})[1:], [10.0, 2.0])


def test_takes_null_for_absent():
    assert np.isnan(SCHEMA.parse({"weather": None})).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"mood": 1},
            r"context\.mood: expected one of the declared keys \(local_time, temperature, weather\)",
        ),
        ({"temperature": 41}, r"context\.temperature: expected a number from -20 to 40, got 41"),
        ({"temperature": float("nan")}, r"context\.temperature: .* got nan"),
        ({"temperature": True}, r"context\.temperature: .* got True"),
        ({"temperature": "10"}, r"context\.temperature: .* got '10'"),
        (
            {"weather": "snow"},
            r"context\.weather: expected one of \['sunny', 'cloudy', 'rainy'\], got 'snow'",
        ),
        ({"weather": 1}, r"context\.weather: .* got 1"),
        (
            {"local_time": "2026-11-20T21:15:00"},
            r"context\.local_time: expected an RFC 3339 time with an offset",
        ),
        ({"local_time": "nine"}, r"context\.local_time: .* got 'nine'"),
        ({"local_time": 9.0}, r"context\.local_time: .* got 9\.0"),
    ],
)
def test_names_the_key_that_it_refuses(values, message):
    with pytest.raises(DataError, match=message):
        SCHEMA.parse(values)


def test_expands_values_worked_by_hand():
    """06:00 is a quarter turn; 10° is the middle of -20..40; cloudy is the second of three."""
    features = SCHEMA.features(np.array([6.0, 10.0, 1.0], np.float32))

    np.testing.assert_allclose(features, [1, 1, 0, 1, 0, 1, 0, 1, 0], atol=1e-7)
    assert SCHEMA.feature_names == (
        "local_time?", "local_time_sin", "local_time_cos", "temperature?", "temperature",
        "weather?", "weather=sunny", "weather=cloudy", "weather=rainy",
    )  # fmt: skip


def test_shows_absence_as_zeros():
    assert not SCHEMA.features(np.full((2, 5, 3), np.nan, np.float32)).any()


@given(hour=st.floats(0, 24, exclude_max=True), number=st.floats(-20, 40), place=st.integers(0, 2))
def test_keeps_every_feature_of_a_valid_value_within_one(hour, number, place):
    raw = np.array([hour, number, place])

    assert all(field.is_valid(raw[i : i + 1]).all() for i, field in enumerate(SCHEMA.fields))
    assert (np.abs(SCHEMA.features(raw)) <= 1 + 1e-6).all()


@pytest.mark.parametrize(
    ("column", "raw"), [(0, 24.0), (0, -1.0), (1, 41.0), (1, np.inf), (2, 3.0), (2, 0.5), (2, -1.0)]
)
def test_knows_raw_values_that_cannot_stand(column, raw):
    assert not SCHEMA.fields[column].is_valid(np.array([raw])).any()


def test_survives_json():
    assert ContextSchema.model_validate_json(SCHEMA.model_dump_json()) == SCHEMA


def test_gives_no_features_when_nothing_is_declared():
    assert NO_CONTEXT.features(np.zeros((4, 0), np.float32)).shape == (4, 0)


def test_refuses_raw_values_of_another_schema():
    with pytest.raises(DataError, match="expected 3 context values, got 2"):
        SCHEMA.features(np.zeros((4, 2), np.float32))


@pytest.mark.parametrize(
    "fields",
    [
        [{"kind": "number", "name": "a", "low": 1, "high": 1}],
        [{"kind": "category", "name": "a", "values": ["x", "x"]}],
        [{"kind": "clock", "name": "a"}, {"kind": "clock", "name": "a"}],
        [{"kind": "clock", "name": "Not A Column"}],
        [{"kind": "clock", "name": "a", "zone": "UTC"}],
        [{"kind": "number", "name": "a", "low": 0, "high": float("inf")}],
        [{"kind": "moon", "name": "a"}],
    ],
)
def test_refuses_a_declaration_that_contradicts_itself(fields):
    with pytest.raises(ValidationError):
        ContextSchema.model_validate({"fields": fields})
