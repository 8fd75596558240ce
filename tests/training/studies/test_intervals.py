"""An interval survives its record, and estimates that share nothing are surer together."""

import pytest

from training.statistics import Interval
from training.studies.intervals import interval_fields, interval_in, mean_of_independent, mean_of_same

ONE, OTHER = Interval(mean=0.1, low=0.0, high=0.2), Interval(mean=0.3, low=0.2, high=0.4)


def test_an_interval_comes_back_from_its_record():
    assert interval_in(interval_fields("gain", ONE), "gain") == ONE
    assert interval_in(interval_fields("gain", None), "gain") is None


def test_independent_estimates_reach_less_far_together():
    """Two that reach 0.1 to each side: √(0.01 + 0.01) / 2 = 0.0707."""
    both = mean_of_independent([ONE, OTHER])

    assert both is not None
    assert (both.mean, both.high - both.mean) == pytest.approx((0.2, 0.0707107))


def test_estimates_of_the_same_listeners_reach_as_far_together():
    both = mean_of_same([ONE, OTHER])

    assert both is not None
    assert (both.low, both.mean, both.high) == pytest.approx((0.1, 0.2, 0.3))


def test_nothing_has_no_interval():
    assert mean_of_independent([]) is None
    assert mean_of_same([]) is None
