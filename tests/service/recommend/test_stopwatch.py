"""A second counts for the innermost step only."""

from time import sleep

import pytest

from service.recommend.stopwatch import Stopwatch, seconds_of


def test_steps_inside_one_another_are_not_counted_twice():
    watch = Stopwatch()

    with watch("outer"):
        for _ in range(2):
            with watch("inner"):
                sleep(0.02)

    seconds = seconds_of(watch.laps)
    assert seconds["inner"] >= 0.04
    assert seconds["outer"] < seconds["inner"]


def test_time_counts_even_where_a_step_fails():
    watch = Stopwatch()

    with pytest.raises(ValueError, match="on purpose"), watch("failing"):
        raise ValueError("on purpose")

    assert "failing" in seconds_of(watch.laps)
