"""Adherence reads a ranking from its best place down, and counts what the production policy played."""

import numpy as np
import pytest

from training.metrics.adherence import hit_rate, in_rank_order, mean_reciprocal_rank, ndcg

SCORES = np.array([[0.1, 0.9, 0.5, 0.3], [0.4, 0.3, 0.2, 0.1]])
RELEVANT = np.array([[True, False, True, False], [False, False, False, False]])


def test_ranks_by_score_and_keeps_the_first_of_equals_first():
    ranked = in_rank_order(SCORES, RELEVANT)
    ties = in_rank_order(np.zeros((1, 3)), np.array([[True, False, False]]))

    assert ranked.tolist() == [[False, True, False, True], [False] * 4]
    assert ties.tolist() == [[True, False, False]]


def test_a_hit_needs_a_relevant_song_within_the_depth():
    ranked = in_rank_order(SCORES, RELEVANT)

    assert hit_rate(ranked, depth=1) == 0.0
    assert hit_rate(ranked, depth=2) == 0.5


def test_the_reciprocal_rank_is_that_of_the_first_relevant_song_and_0_without_one():
    assert mean_reciprocal_rank(in_rank_order(SCORES, RELEVANT)) == pytest.approx((1 / 2 + 0) / 2)


def test_ndcg_matches_the_value_worked_by_hand():
    """Relevant at places 2 and 4: (1/log2 3 + 1/log2 5) / (1/log2 2 + 1/log2 3) = 1.06161 / 1.63093 = 0.65092."""
    ranked = in_rank_order(SCORES, RELEVANT)

    assert ndcg(ranked[:1], depth=10) == pytest.approx(0.65092, abs=1e-5)
    assert ndcg(ranked, depth=10) == pytest.approx(0.65092 / 2, abs=1e-5)


def test_ndcg_of_a_perfect_ranking_is_1_however_many_songs_are_relevant():
    perfect = np.tile(np.arange(30) < 12, (2, 1))

    assert ndcg(perfect, depth=10) == pytest.approx(1.0)
