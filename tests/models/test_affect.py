"""Affect lives on [0, 1]; other scales are mapped there, and what lies off them is refused."""

import numpy as np
import pytest

from models.affect import SIGNALS, SIGNED, Affect, Scale, Signal
from models.errors import DataError

NINE_POINTS = Scale(1.0, 9.0)


def test_the_signals_have_one_order():
    assert SIGNALS == ("engagement", "rating", "valence", "arousal")
    assert [SIGNALS[signal] for signal in Signal] == list(SIGNALS)


@pytest.mark.parametrize(("scale", "low", "middle", "high"), [(SIGNED, -1, 0, 1), (NINE_POINTS, 1, 5, 9)])
def test_ends_and_middles_meet(scale: Scale, low: float, middle: float, high: float):
    np.testing.assert_allclose(scale.to_unit(np.array([low, middle, high], np.float64)), [0, 0.5, 1])


def test_absent_stays_absent():
    assert np.isnan(NINE_POINTS.to_unit(np.array([np.nan, 5.0])))[0]


def test_a_value_off_the_scale_is_named_with_its_place():
    with pytest.raises(DataError, match=r"value 1 must lie from 1.0 to 9.0 on this scale; got 9.5"):
        NINE_POINTS.to_unit(np.array([1.0, 9.5]))


def test_rounding_beyond_the_end_is_forgiven():
    assert SIGNED.to_unit(np.array([1.0 + 1e-12]))[0] == 1.0


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_affect_off_the_circumplex_is_refused(value: float):
    with pytest.raises(DataError, match="valence"):
        Affect(value, 0.5)
    with pytest.raises(DataError, match="arousal"):
        Affect(0.5, value)


def test_a_scale_has_an_inside():
    with pytest.raises(DataError, match="low < high"):
        Scale(1.0, 1.0)
