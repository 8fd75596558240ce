"""R² is variance explained, AUC is the chance of putting a liked play first, and order is judged pair by pair."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.metrics.prediction import (
    calibration_bins,
    kendall_tau,
    mean_ranks,
    pairwise_accuracy,
    prediction_scores,
    r_squared,
    roc_auc,
    slope_of_truth,
)

NAN = np.nan


def test_r_squared_matches_the_value_worked_by_hand():
    """Errors .1, .1, 0 give .02/3; the variance of 0, .5, 1 is .5/3; 1 − .04 = .96."""
    assert r_squared(np.array([0.1, 0.4, 1.0]), np.array([0.0, 0.5, 1.0])) == pytest.approx(0.96)


def test_the_mean_explains_nothing():
    truth = np.array([0.2, 0.4, 0.9])

    assert r_squared(np.full(3, truth.mean()), truth) == pytest.approx(0.0)


def test_auc_matches_the_value_worked_by_hand():
    """Liked at .9 and .4, disliked at .4 and .1: three pairs right and one tied, 3.5 of 4."""
    assert roc_auc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])) == 0.875


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20))
def test_auc_is_indifferent_to_any_rising_scale(scores: list[float]):
    score = np.round(np.array(scores), 3)
    liked = np.arange(len(score)) % 2 == 0

    assert roc_auc(np.exp(score), liked) == pytest.approx(roc_auc(score, liked))


def test_what_cannot_be_computed_is_not_a_number():
    assert math.isnan(r_squared(np.zeros(0), np.zeros(0)))
    assert math.isnan(r_squared(np.ones(3), np.ones(3)))
    assert math.isnan(roc_auc(np.ones(3), np.ones(3, bool)))
    assert math.isnan(pairwise_accuracy(np.ones((1, 3)), np.ones((1, 3))))


def test_pairwise_accuracy_matches_the_value_worked_by_hand():
    """True order 1 < 2 < 3; predicted 1, 3, 3: two pairs right, one tied: 2.5 of 3."""
    assert pairwise_accuracy(np.array([[1.0, 3.0, 3.0]]), np.array([[1.0, 2.0, 3.0]])) == pytest.approx(2.5 / 3)


def test_candidates_of_different_states_are_never_compared():
    truth = np.array([[1.0, 2.0], [10.0, 20.0]])

    assert pairwise_accuracy(np.array([[5.0, 6.0], [1.0, 2.0]]), truth) == 1.0


def test_only_observed_labels_are_scored():
    targets = np.array([[0.5, NAN, NAN, 0.1], [0.9, 1.0, NAN, 0.3], [NAN, 0.0, NAN, NAN]])
    predicted = np.array([[0.5, 0.2, 0.3, 0.1], [0.9, 0.8, 0.3, 0.3], [0.0, 0.1, 0.9, 0.9]])
    scores = prediction_scores(predicted, targets)

    assert scores.label_counts == (2, 2, 0, 2)
    assert scores.rating_auc == 1.0
    assert scores.mean_squared_error[0] == 0.0
    assert scores.headline["arousal"] == pytest.approx(1.0)
    assert math.isnan(scores.headline["valence"])


def test_the_best_mean_rank_wins_and_undefined_columns_do_not_vote():
    """Ranks 1, 2, 3 and 2.5, 1, 2.5: means 1.75, 1.5 and 2.75."""
    losses = np.array([[0.1, 0.5, NAN], [0.2, 0.4, NAN], [0.3, 0.5, 1.0]])

    assert mean_ranks(losses).tolist() == [1.75, 1.5, 2.75]


def test_without_any_metric_all_are_equal():
    assert mean_ranks(np.full((3, 4), NAN)).tolist() == [1.0, 1.0, 1.0]


def test_kendall_matches_the_value_worked_by_hand():
    """Of three pairs two agree and one does not, (2 − 1)/3; a state whose candidates are all alike has no say."""
    predicted = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])

    assert kendall_tau(predicted, np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])) == pytest.approx(1 / 3)


def test_predictions_four_times_too_wide_have_a_slope_of_a_quarter():
    """States differ in level, which says nothing of their candidates."""
    truth = np.array([[0.1, 0.2, 0.4], [0.8, 0.5, 0.6]])
    predicted = 4 * truth + np.array([[0.3], [-2.0]])

    assert slope_of_truth(predicted, truth) == pytest.approx(0.25)


def test_songs_that_are_all_alike_have_no_order_and_no_slope():
    alike, truth = np.full((2, 3), 0.4), np.array([[0.1, 0.2, 0.4], [0.8, 0.5, 0.6]])

    assert math.isnan(kendall_tau(alike, truth))
    assert math.isnan(slope_of_truth(alike, truth))


def test_calibration_bins_hold_equally_many_plays_in_the_order_of_what_was_predicted():
    bins = calibration_bins(np.array([0.9, 0.1, 0.2, 0.8]), np.array([1.0, 0.0, 0.5, 0.5]), bin_count=2)

    assert [(each.predicted, each.observed, each.count) for each in bins] == [
        (pytest.approx(0.15), 0.25, 2),
        (pytest.approx(0.85), 0.75, 2),
    ]


def test_cross_entropy_matches_the_value_worked_by_hand():
    """A like at .8 and a dislike at .4: −(ln .8 + ln .6)/2 = .3670."""
    targets = np.array([[NAN, 1.0, NAN, NAN], [NAN, 0.0, NAN, NAN]])
    scores = prediction_scores(np.array([[0.5, 0.8, 0.5, 0.5], [0.5, 0.4, 0.5, 0.5]]), targets)

    assert scores.rating_nats == pytest.approx(0.36698, abs=1e-5)
    assert scores.signal_losses[1] == scores.rating_nats
    assert math.isnan(scores.signal_losses[0])
