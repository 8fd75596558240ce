"""Adherence reads a ranking from its best place down, and counts what the production policy played."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.listening import NO_SONG
from tests.training import small_run
from training.metrics.adherence import (
    Adherence,
    hit_rate,
    logged_after,
    mean_reciprocal_rank,
    ndcg,
    time_step,
    user_wise,
)
from training.situations import WindowConfig, draw_windows

RELEVANT = np.array([[False, True, False, True], [False, False, False, False]])
COUNT = np.array([2, 3])
PAPER_SONGS = 6_988


def test_a_hit_needs_a_relevant_song_within_the_depth():
    assert hit_rate(RELEVANT[:, :1]) == 0.0
    assert hit_rate(RELEVANT[:, :2]) == 0.5


def test_the_reciprocal_rank_is_that_of_the_first_relevant_song_and_0_without_one():
    assert mean_reciprocal_rank(RELEVANT) == pytest.approx((1 / 2 + 0) / 2)


def test_ndcg_matches_the_value_worked_by_hand():
    """Relevant at places 2 and 4: (1/log2 3 + 1/log2 5) / (1/log2 2 + 1/log2 3) = 1.06161 / 1.63093 = 0.65092."""
    assert ndcg(RELEVANT[:1], COUNT[:1]) == pytest.approx(0.65092, abs=1e-5)
    assert ndcg(RELEVANT, COUNT) == pytest.approx(0.65092 / 2, abs=1e-5)


def test_the_ideal_of_ndcg_holds_as_many_songs_as_are_relevant_found_or_not():
    """With a third relevant song that was not found, the ideal grows by 1/log2 4 = 0.5: 1.06161 / 2.13093."""
    assert ndcg(RELEVANT[:1], np.array([3])) == pytest.approx(1.06161 / 2.13093, abs=1e-5)


def test_ndcg_of_a_perfect_ranking_is_1_however_many_songs_are_relevant():
    perfect = np.array([[True] * 10, [True] * 4 + [False] * 6])

    assert ndcg(perfect, np.array([12, 4])) == pytest.approx(1.0)


@given(st.integers(0, 2**32 - 1))
def test_every_measure_is_a_share_and_does_not_care_in_which_order_rollouts_stand(seed: int):
    rng = np.random.default_rng(seed)
    relevant = rng.random((6, 10)) < 0.3
    count = relevant.sum(axis=1) + rng.integers(0, 5, 6)
    order = rng.permutation(6)

    for one, other in (
        (hit_rate(relevant), hit_rate(relevant[order])),
        (mean_reciprocal_rank(relevant), mean_reciprocal_rank(relevant[order])),
        (ndcg(relevant, count), ndcg(relevant[order], count[order])),
    ):
        assert 0 <= one <= 1
        assert one == pytest.approx(other)
    assert relevant[:, 0].mean() <= mean_reciprocal_rank(relevant) <= hit_rate(relevant)
    assert ndcg(relevant, count) <= ndcg(relevant, relevant.sum(axis=1))


def test_reproduces_the_papers_random_row_user_wise():
    """Table 5, test: Hit@10 .036, MRR .012, NDCG@10 .016; 25 logged songs a listener give the first.

    MRR is that of ten places. NDCG with a full ideal would be .0036: the paper's ideal is that of the hits.
    """
    ranked = np.random.default_rng(0).integers(PAPER_SONGS, size=(200_000, 10))
    relevant = ranked < 25  # to a uniform ranking it is all one which songs are relevant

    assert hit_rate(relevant) == pytest.approx(0.036, abs=0.001)
    assert mean_reciprocal_rank(relevant) == pytest.approx(0.012, abs=0.002)
    assert ndcg(relevant, relevant.sum(axis=1)) == pytest.approx(0.016, abs=0.001)
    assert ndcg(relevant, np.full(len(relevant), 25)) == pytest.approx(25 / PAPER_SONGS, abs=0.0002)


def test_reproduces_the_papers_random_row_by_time_step():
    """Table 5, test: accuracy .000, Hit@10 .002, MRR .000, NDCG@10 .001; here as expected, each place as often.

    MRR over the whole catalogue would be (1 + 1/2 + … + 1/6988) / 6988 = .00135, and would print .001.
    """
    relevant = np.eye(PAPER_SONGS, 10, dtype=bool)

    assert relevant[:, 0].mean() == pytest.approx(1 / PAPER_SONGS)
    assert hit_rate(relevant) == pytest.approx(0.0014, abs=0.00005)
    assert mean_reciprocal_rank(relevant) == pytest.approx(0.0004, abs=0.00005)
    assert ndcg(relevant, np.ones(PAPER_SONGS, np.int64)) == pytest.approx(0.00065, abs=0.00005)


def test_user_wise_a_song_counts_wherever_the_listeners_log_holds_it():
    histories = small_run.material().histories
    one, other = 0, 1
    logs = [np.unique(histories.song_row[histories.tokens_of(np.array([each]))]) for each in (one, other)]
    own, foreign = (np.setdiff1d(logs[a], [*logs[b], NO_SONG])[:2] for a, b in ((0, 1), (1, 0)))
    ranked = np.array([[[foreign[0], own[0]], [foreign[1], NO_SONG]]])

    found = user_wise(ranked, np.array([one]), histories)

    assert found.ranking_count == 2
    assert found.accuracy == 0.0
    assert found.hit_rate == 0.5
    assert found.reciprocal_rank == 0.25
    assert found.ndcg == pytest.approx(0.5 * (1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_by_time_step_only_the_song_logged_at_that_step_counts_and_steps_beyond_the_log_are_left_out():
    ranked = np.array([[[4, 7], [7, 9], [1, 2]]])

    found = time_step(ranked, np.array([[7, 7, NO_SONG]]))

    assert found.ranking_count == 2
    assert found.accuracy == 0.5
    assert found.hit_rate == 1.0
    assert found.reciprocal_rank == 0.75


def test_where_no_log_goes_on_there_is_no_number():
    found = time_step(np.zeros((2, 1, 10), np.int64), np.full((2, 1), NO_SONG))

    assert found == Adherence(
        ranking_count=0, accuracy=None, hit_rate=None, reciprocal_rank=None, ndcg=None, ndcg_of_hits=None
    )


def test_the_log_after_a_window_is_what_was_played_next_in_the_same_log():
    made = small_run.material()
    config = WindowConfig(windows_per_listener=3, shortest=3, longest=12)
    windows = draw_windows(made.listening, made.split.test, config, np.random.default_rng(0))

    logged = logged_after(windows, made.histories, count=4)

    for window, after in enumerate(logged):
        tokens = made.histories.tokens_of(windows.listener[[window]])[windows.stop[window] :]
        plays = made.histories.song_row[tokens]
        plays = plays[plays != NO_SONG][:4]
        assert after.tolist() == [*plays, *[NO_SONG] * (4 - len(plays))]
