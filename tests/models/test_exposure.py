"""Exposure is measured over the whole catalogue, so that what is never shown counts."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from models.errors import DataError
from models.exposure import (
    ExposureSnapshot,
    coverage,
    empty_snapshot,
    gini,
    intra_list_diversity,
    mean_cosine_distance,
    normalized_entropy,
)

COUNTS = arrays(np.int64, st.integers(2, 40), elements=st.integers(0, 50)).filter(lambda counts: counts.sum() > 0)


def test_reproduces_the_papers_random_row():
    """94 listeners x 5 windows x 5 songs, drawn uniformly from 6,988: AMRS Table 4 prints 0.287, 0.853, 0.750."""
    rng = np.random.default_rng(0)
    draws = [[rng.choice(6988, 5, replace=False) for _ in range(94 * 5)] for _ in range(5)]
    seeds = [np.bincount(np.concatenate(rollouts), minlength=6988) for rollouts in draws]

    assert np.mean([coverage(counts) for counts in seeds]) == pytest.approx(0.286, abs=0.001)
    assert np.mean([normalized_entropy(counts) for counts in seeds]) == pytest.approx(0.8525, abs=0.001)
    assert np.mean([gini(counts) for counts in seeds]) == pytest.approx(0.7507, abs=0.0025)


def test_a_uniform_draw_shows_as_many_songs_as_chance_says():
    """1 − (1 − 1/6988)^2350 = 0.28560: the golden test's coverage, in closed form."""
    chance = 1 - (1 - 1 / 6988) ** 2350

    assert chance == pytest.approx(0.28560, abs=1e-5)


def test_matches_the_values_worked_by_hand():
    """Counts 0, 1, 3: entropy −(.25 ln .25 + .75 ln .75)/ln 3 = .51186; Gini 22/12 − 4/3 = 1/2."""
    counts = np.array([3, 0, 1])

    assert coverage(counts) == pytest.approx(2 / 3)
    assert normalized_entropy(counts) == pytest.approx(0.51186, abs=1e-5)
    assert gini(counts) == pytest.approx(0.5)


@given(COUNTS)
def test_every_measure_stays_in_its_range(counts: np.ndarray):
    assert 0 < coverage(counts) <= 1
    assert -1e-12 <= normalized_entropy(counts) <= 1 + 1e-12
    assert -1e-12 <= gini(counts) < 1


@given(COUNTS, st.integers(2, 5))
def test_showing_everything_more_often_changes_nothing(counts: np.ndarray, times: int):
    assert coverage(counts * times) == coverage(counts)
    assert normalized_entropy(counts * times) == pytest.approx(normalized_entropy(counts))
    assert gini(counts * times) == pytest.approx(gini(counts))


def test_an_even_catalogue_has_entropy_1_and_gini_0():
    even = np.full(7, 3)

    assert normalized_entropy(even) == pytest.approx(1)
    assert gini(even) == pytest.approx(0)


def test_measuring_nothing_is_refused():
    with pytest.raises(DataError, match="1 exposure"):
        gini(np.zeros(5, np.int64))
    with pytest.raises(DataError, match="1 exposure"):
        normalized_entropy(np.zeros(5, np.int64))


def test_the_mean_distance_is_that_of_all_pairs(rng: np.random.Generator):
    songs = rng.normal(size=(6, 4))
    unit = songs / np.linalg.norm(songs, axis=1, keepdims=True)
    pairs = [1 - unit[i] @ unit[j] for i in range(6) for j in range(i)]

    assert mean_cosine_distance(songs) == pytest.approx(np.mean(pairs))


def test_diversity_within_a_rollout_is_relative_to_the_catalogue():
    """Songs at right angles lie 1 apart, twins 0: a mean of 1/2, over a catalogue of 1/4."""
    songs = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    rollouts = np.array([[0, 1], [0, 2]])

    assert intra_list_diversity(rollouts, songs, catalogue_distance=0.25) == pytest.approx(2.0)


def test_a_rollout_that_fell_silent_is_measured_on_the_songs_it_has():
    songs = np.array([[1.0, 0.0], [0.0, 1.0]])

    assert intra_list_diversity(np.array([[0, 1, -1], [0, -1, -1]]), songs, catalogue_distance=1.0) == 1.0


def test_random_rollouts_are_as_diverse_as_the_catalogue(rng: np.random.Generator):
    songs = rng.normal(size=(200, 8)) + 1.0
    rollouts = np.stack([rng.choice(200, 5, replace=False) for _ in range(3000)])
    whole = mean_cosine_distance(songs)

    assert intra_list_diversity(rollouts, songs, catalogue_distance=whole) == pytest.approx(1, abs=0.02)


def test_a_snapshot_counts_the_songs_it_holds_and_no_others():
    snapshot = ExposureSnapshot(keys=np.array([3, 9]), counts=np.array([2, 5]), catalogue_size=10)

    assert snapshot.counts_of(np.array([[9, 4], [3, 11]])).tolist() == [[5, 0], [2, 0]]
    assert snapshot.coverage == pytest.approx(0.2)
    assert empty_snapshot(10).counts_of(np.array([3])).tolist() == [0]


def test_a_snapshots_id_changes_with_its_contents():
    one = ExposureSnapshot(keys=np.array([3]), counts=np.array([2]), catalogue_size=10)
    same = ExposureSnapshot(keys=np.array([3]), counts=np.array([2]), catalogue_size=10)
    more = ExposureSnapshot(keys=np.array([3]), counts=np.array([4]), catalogue_size=10)

    assert one.snapshot_id == same.snapshot_id != more.snapshot_id


def test_a_snapshot_with_unordered_keys_is_refused():
    with pytest.raises(DataError, match="ascending"):
        ExposureSnapshot(keys=np.array([9, 3]), counts=np.array([2, 5]), catalogue_size=10)
