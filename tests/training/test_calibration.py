"""A conformal interval holds a stranger's label as often as it says, and no listener counts for more than one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from tests.training.invented import invent_histories
from training.calibration import calibrate, conformal_width, coverage_by_listener


def errors_of(listener_count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of listeners who differ in how well they are understood and in how much they say."""
    labels = rng.integers(1, 30, listener_count)
    owner = np.repeat(np.arange(listener_count), labels)
    return np.abs(rng.normal(size=len(owner))) * rng.lognormal(0, 0.5, listener_count)[owner], owner


def test_strangers_are_covered_at_the_stated_level():
    """Over 400 draws of 40 exchangeable listeners and 200 strangers, between 90% and 90% + 1/41 and noise."""
    rng, covered = np.random.default_rng(1), []
    for _ in range(400):
        errors, owner = errors_of(40, rng)
        width = conformal_width(errors, owner, level=0.9)
        strange, stranger = errors_of(200, rng)
        _, first = np.unique(stranger, return_index=True)
        covered.append(np.mean(strange[first] <= width))

    assert 0.895 <= np.mean(covered) <= 0.93


def test_matches_the_width_worked_by_hand():
    """Three listeners: votes 1/4 each; b's two labels have 1/8 each. .1 → 1/4, .2 → 3/8, .3 → 5/8, .9 → 3/4."""
    errors, owner = np.array([0.1, 0.2, 0.9, 0.3]), np.array([0, 1, 1, 2])

    assert conformal_width(errors, owner, level=0.5) == 0.3
    assert conformal_width(errors, owner, level=0.75) == 0.9


@given(st.integers(1, 8))
def test_too_few_listeners_can_promise_nothing(listener_count: int):
    errors, owner = errors_of(listener_count, np.random.default_rng(0))

    assert conformal_width(errors, owner, level=0.9) == float("inf")


@given(st.integers(1, 50))
def test_saying_the_same_more_often_changes_nothing(times: int):
    errors, owner = np.linspace(0.01, 0.2, 20), np.arange(20)
    repeated = np.concatenate([errors, np.repeat(errors[:1], times)])

    assert conformal_width(repeated, np.concatenate([owner, np.repeat(owner[:1], times)]), level=0.8) == (
        conformal_width(errors, owner, level=0.8)
    )


def test_widths_never_leave_the_unit_interval_and_cover_who_they_were_made_for():
    histories, everybody = invent_histories(30), np.arange(30)
    predicted = np.full(histories.targets.shape, 0.5, np.float32)
    calibration = calibrate(histories, predicted, everybody)

    assert all(0 < width <= 1 for width in calibration.widths.values())
    assert min(coverage_by_listener(histories, predicted, everybody, calibration).values()) >= 0.9


def test_listeners_without_labels_cannot_calibrate():
    histories = invent_histories(3)

    with pytest.raises(DataError, match="calibrating engagement needs a label"):
        calibrate(histories, histories.targets, np.zeros(0, np.int64))
