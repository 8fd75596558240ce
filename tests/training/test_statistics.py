"""Repetitions are told as numbers worked by hand, intervals keep a listener together, and nothing is ever NaN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from training.statistics import (
    PairedTest,
    clustered_function_interval,
    clustered_gain_interval,
    clustered_interval,
    mean_interval,
    nadeau_bengio_interval,
    nadeau_bengio_t,
    paired_gain_interval,
    paired_interval,
    paired_t,
    spread,
)

VALUES, REFERENCE = [1.0, 2.0, 3.0], [0.0, 1.0, 1.5]
"""Differences 1, 1, 1.5: mean 7/6, variance 1/12."""


def test_a_spread_is_the_mean_and_the_sample_sd():
    told = spread([1.0, 2.0, 3.0])

    assert told is not None
    assert (told.mean, told.sd, told.count) == (2.0, 1.0, 3)
    assert told.shown(1) == "2.0 (1.0)"
    assert told.shown(0, times=100) == "200 (100)"


def test_one_repetition_has_a_mean_and_no_sd():
    told = spread([0.25])

    assert told is not None
    assert told.sd is None
    assert told.shown() == "0.250"


def test_nothing_has_no_mean():
    assert spread([]) is None


def test_the_paired_t_is_the_one_worked_by_hand():
    """t = (7/6) / sqrt(1/12 / 3) = 7; two-sided p at 2 degrees of freedom is 0.0198."""
    test = paired_t(VALUES, REFERENCE)

    assert test is not None
    assert test.difference == pytest.approx(7 / 6)
    assert test.t == pytest.approx(7.0)
    assert test.p == pytest.approx(0.01980394)
    assert test.stars == "*"


def test_the_nadeau_bengio_t_is_the_one_worked_by_hand():
    """t = (7/6) / sqrt((1/3 + 1/8) / 12) = 5.96962."""
    test = nadeau_bengio_t(VALUES, REFERENCE, test_per_train=1 / 8)

    assert test is not None
    assert test.t == pytest.approx(5.96962, abs=1e-5)
    assert test.p == pytest.approx(0.0269327, abs=1e-6)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=12), st.floats(0.01, 1))
def test_the_correction_never_makes_a_difference_surer(values: list[float], ratio: float):
    plain = paired_t(values, [0.0] * len(values))
    corrected = nadeau_bengio_t(values, [0.0] * len(values), test_per_train=ratio)

    assert plain is not None
    assert corrected is not None
    assert (plain.p is None) == (corrected.p is None)
    assert plain.p is None or corrected.p is None or corrected.p >= plain.p


@pytest.mark.parametrize("differences", [[0.0, 0.0, 0.0], [0.1, 0.1, 0.1]])
def test_equal_differences_leave_nothing_to_hold_them_against(differences: list[float]):
    test = paired_t(differences, [0.0] * 3)

    assert test is not None
    assert test.difference == pytest.approx(differences[0])
    assert (test.t, test.p, test.stars) == (None, None, "")


def test_a_single_pair_gives_no_test_and_no_interval():
    assert paired_t([1.0], [0.0]) is None
    assert nadeau_bengio_t([1.0], [0.0], test_per_train=0.1) is None
    assert paired_interval([1.0], [0.0]) is None
    assert mean_interval([1.0]) is None


@pytest.mark.parametrize(("p", "stars"), [(0.06, ""), (0.04, "*"), (0.004, "**"), (0.0004, "***")])
def test_stars_are_the_papers(p: float, stars: str):
    assert PairedTest(difference=1.0, t=1.0, p=p, count=3).stars == stars


def test_the_interval_over_seeds_is_the_one_worked_by_hand():
    """7/6 ± 4.302653 · sqrt(1/12 / 3) = 7/6 ± 0.717109."""
    interval = paired_interval(VALUES, REFERENCE)

    assert interval is not None
    assert interval.mean == pytest.approx(7 / 6)
    assert interval.low == pytest.approx(7 / 6 - 0.717109, abs=1e-6)
    assert interval.high == pytest.approx(7 / 6 + 0.717109, abs=1e-6)
    assert interval.above_zero
    assert interval.shown(2) == "+1.17 [+0.45, +1.88]"


def test_a_gain_is_relative_to_the_reference_of_its_own_seed():
    interval = paired_gain_interval([1.1, 2.4], [1.0, 2.0])

    assert interval is not None
    assert interval.mean == pytest.approx(0.15)


def test_no_gain_is_told_over_a_reference_of_zero():
    assert paired_gain_interval([1.0, 2.0], [0.0, 1.0]) is None


def test_values_of_one_listener_count_as_one_witness(rng: np.random.Generator):
    """200 values of ten listeners who differ only from each other are worth ten."""
    listeners = np.repeat(np.arange(10), 20)
    values = listeners.astype(float)

    clustered = clustered_interval(values, listeners, rng=rng)
    alone = clustered_interval(values, np.arange(200), rng=rng)

    assert clustered is not None
    assert alone is not None
    assert clustered.mean == alone.mean == 4.5
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)


def test_the_clustered_interval_covers_the_truth_about_as_often_as_it_says(rng: np.random.Generator):
    listeners = np.repeat(np.arange(40), 5)
    hits = 0
    for _ in range(100):
        values = rng.normal(size=40).repeat(5) + rng.normal(size=200)
        interval = clustered_interval(values, listeners, rng=rng, resamples=400)
        hits += interval is not None and interval.low <= 0 <= interval.high

    assert 86 <= hits <= 100


def test_the_same_generator_gives_the_same_interval():
    values, listeners = np.arange(30.0), np.arange(30) // 3

    first, second = (clustered_interval(values, listeners, rng=np.random.default_rng(5)) for _ in range(2))

    assert first == second


def test_a_clustered_gain_is_a_ratio_of_means(rng: np.random.Generator):
    reference = rng.uniform(1, 2, size=60)

    interval = clustered_gain_interval(1.1 * reference, reference, np.arange(60) // 4, rng=rng)

    assert interval is not None
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.1, 0.1, 0.1))


def test_one_listener_gives_no_interval(rng: np.random.Generator):
    same = np.zeros(5, int)

    assert clustered_interval(np.arange(5.0), same, rng=rng) is None
    assert clustered_gain_interval(np.arange(1.0, 6.0), np.ones(5), same, rng=rng) is None


def test_what_is_not_finite_is_refused_by_its_place():
    with pytest.raises(DataError, match="value 1 of 2"):
        spread([1.0, float("nan")])


def test_pairs_must_be_pairs():
    with pytest.raises(DataError, match="got 2 and 1"):
        paired_t([1.0, 2.0], [1.0])


def test_the_interval_of_a_function_of_means_is_that_of_the_gain_it_writes_down(rng):
    """a/b − 1 of two columns of means, beside the function made for it, on the same resamples."""
    listeners = np.repeat(np.arange(12), 3)
    values, reference = rng.uniform(1, 2, 36), rng.uniform(1, 2, 36)

    written = clustered_function_interval(
        lambda mean: mean[..., 0] / mean[..., 1] - 1,
        np.column_stack([values, reference]),
        listeners,
        rng=np.random.default_rng(3),
    )
    made = clustered_gain_interval(values, reference, listeners, rng=np.random.default_rng(3))

    assert written is not None
    assert made is not None
    assert (written.mean, written.low, written.high) == pytest.approx((made.mean, made.low, made.high))


def test_a_function_that_divides_by_nothing_has_no_interval():
    values = np.array([[1.0, 0.0], [2.0, 0.0]])

    assert (
        clustered_function_interval(
            lambda mean: mean[..., 0] / mean[..., 1], values, np.array([1, 2]), rng=np.random.default_rng(0)
        )
        is None
    )


def test_the_corrected_interval_is_as_wide_as_the_corrected_test_is_unsure():
    """7/6 ± 4.302653 · sqrt((1/3 + 1/8) / 12) = 7/6 ± 0.840885."""
    interval = nadeau_bengio_interval(VALUES, REFERENCE, test_per_train=1 / 8)

    assert interval is not None
    assert interval.low == pytest.approx(7 / 6 - 0.840885, abs=1e-6)
    assert interval.high == pytest.approx(7 / 6 + 0.840885, abs=1e-6)
    assert nadeau_bengio_interval([1.0], [0.0], test_per_train=1 / 8) is None
