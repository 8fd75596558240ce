"""An interval is the mean plus and minus its step's width, and never leaves [0, 1]."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.calibration import Calibration
from models.errors import DataError

FACTS = {"level": 0.9, "listener_count": 4, "listener_counts": {"valence": (4, 3, 2)}, "label_counts": {}}
CALIBRATION = Calibration(widths={"valence": (0.25, 0.375, 0.5), "arousal": (0.5, 0.5, 0.5)}, **FACTS)


def test_worked_by_hand():
    assert CALIBRATION.interval("valence", 0.5, step=1) == (0.25, 0.75)
    assert CALIBRATION.interval("valence", 0.125, step=1) == (0.0, 0.375)
    assert CALIBRATION.interval("valence", 0.875, step=2) == (0.5, 1.0)
    assert CALIBRATION.interval("valence", 0.5, step=3) == (0.0, 1.0)


@given(st.floats(0, 1), st.integers(1, 9))
def test_the_mean_lies_in_its_interval_and_the_interval_in_the_scale(mean: float, step: int):
    low, high = CALIBRATION.interval("valence", mean, step=step)

    assert 0 <= low <= mean <= high <= 1


@given(st.floats(0, 1), st.integers(1, 9))
def test_an_interval_never_narrows_with_the_step(mean: float, step: int):
    low, high = CALIBRATION.interval("valence", mean, step=step)
    later_low, later_high = CALIBRATION.interval("valence", mean, step=step + 1)

    assert later_low <= low
    assert high <= later_high


@given(st.integers(4, 99))
def test_beyond_the_horizon_the_widest_interval_is_given(step: int):
    assert CALIBRATION.horizon == 3
    assert CALIBRATION.interval("valence", 0.5, step=step) == CALIBRATION.interval("valence", 0.5, step=3)


def test_a_signal_without_a_width_is_named():
    with pytest.raises(DataError, match="'rating'"):
        CALIBRATION.interval("rating", 0.5, step=1)


def test_there_is_no_step_before_the_first():
    with pytest.raises(DataError, match="first step is 1; got 0"):
        CALIBRATION.interval("valence", 0.5, step=0)


@pytest.mark.parametrize("width", [0.0, 1.5, float("nan")])
def test_a_width_is_above_0_and_at_most_1(width: float):
    with pytest.raises(ValidationError):
        Calibration(widths={"valence": (width,)}, **FACTS)


@pytest.mark.parametrize(
    ("widths", "complaint"),
    [
        ({"valence": (0.3, 0.2)}, "must not fall"),
        ({"valence": (0.3,), "arousal": (0.3, 0.4)}, "the same steps"),
        ({"valence": ()}, "at least 1"),
    ],
)
def test_widths_that_contradict_each_other_are_refused(widths: dict, complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        Calibration(widths=widths, **FACTS)
