"""An interval is the mean plus and minus a width, and never leaves [0, 1]."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.calibration import Calibration
from models.errors import DataError

CALIBRATION = Calibration(level=0.9, widths={"valence": 0.25}, listener_count=4, label_counts={"valence": 9})


def test_worked_by_hand():
    assert CALIBRATION.interval("valence", 0.5) == (0.25, 0.75)
    assert CALIBRATION.interval("valence", 0.125) == (0.0, 0.375)
    assert CALIBRATION.interval("valence", 0.875) == (0.625, 1.0)


@given(st.floats(0, 1))
def test_the_mean_lies_in_its_interval_and_the_interval_in_the_scale(mean: float):
    low, high = CALIBRATION.interval("valence", mean)

    assert 0 <= low <= mean <= high <= 1


def test_a_signal_without_a_width_is_named():
    with pytest.raises(DataError, match="'rating'"):
        CALIBRATION.interval("rating", 0.5)


@pytest.mark.parametrize("width", [0.0, 1.5, float("nan")])
def test_a_width_is_above_0_and_at_most_1(width: float):
    with pytest.raises(ValidationError):
        Calibration(level=0.9, widths={"valence": width}, listener_count=1, label_counts={})
