"""Scores by hand."""

import numpy as np
import pytest

from training.situnes.scores import affect_scores, like_scores, mood_scores


def test_likes_by_hand():
    """Pairs (like, dislike): .9 > .6, .9 > .1, .3 < .6, .3 > .1: three of four."""
    scores = like_scores(np.array([0.9, 0.6, 0.3, 0.1]), np.array([True, False, True, False]))

    assert scores.auc == 0.75
    assert scores.mae == pytest.approx((0.1 + 0.6 + 0.7 + 0.1) / 4)
    assert scores.rmse == pytest.approx(((0.01 + 0.36 + 0.49 + 0.01) / 4) ** 0.5)


def test_a_majority_has_the_published_average_precision():
    """Of a class never said, precision is its share; of the one always said, too: macro AP 1/3."""
    mood = np.array([0, 1, 1, 2])
    scores = mood_scores(np.tile([0.0, 1.0, 0.0], (4, 1)), mood)

    assert scores.accuracy == 0.5
    assert scores.macro_ap == pytest.approx(1 / 3)
    assert scores.macro_f1 == pytest.approx((2 / 3) / 3)
    assert scores.micro_ap == pytest.approx(0.5 * 0.5 + 0.5 * 4 / 12)


def test_reports_by_hand():
    after = np.array([[0.0, 0.1], [0.4, 0.3]])
    scores = affect_scores(np.array([[0.1, 0.1], [0.3, 0.3]]), after)

    assert scores.valence_mae == pytest.approx(0.1)
    assert scores.valence_r2 == pytest.approx(1 - 0.01 / 0.04)
    assert (scores.arousal_mae, scores.arousal_r2) == (0.0, 1.0)
