"""Songs hold the relations that the parameters promise between content, affect, appeal and tags."""

import numpy as np
import pytest

from training.platform.parameters import SongParameters
from training.platform.songs import Songs, draw_songs


@pytest.fixture(scope="module")
def songs() -> Songs:
    return draw_songs(5_000, SongParameters(), np.random.default_rng(3))


def test_affect_is_as_linear_in_content_as_promised(songs: Songs) -> None:
    """60% of valence and 70% of arousal; 5,000 songs give a standard error of about .01."""
    fitted = songs.content @ np.linalg.lstsq(songs.content, songs.affect, rcond=None)[0]

    np.testing.assert_allclose(fitted.var(0) / songs.affect.var(0), [0.6, 0.7], atol=0.04)


def test_tags_see_the_truth_at_the_promised_correlation(songs: Songs) -> None:
    for axis in range(2):
        assert np.corrcoef(songs.tags[:, axis], songs.affect[:, axis])[0, 1] == pytest.approx(0.7, abs=0.03)


def test_popularity_is_half_correlated_with_appeal(songs: Songs) -> None:
    assert np.corrcoef(songs.popularity, songs.appeal)[0, 1] == pytest.approx(0.5, abs=0.04)


def test_an_artist_stays_in_one_genre(songs: Songs) -> None:
    pairs = set(zip(songs.artist, songs.cluster.tolist(), strict=True))

    assert len(pairs) == len(set(songs.artist))


def test_exciting_songs_are_faster_and_more_energetic(songs: Songs) -> None:
    arousal = songs.affect[:, 1]

    assert np.corrcoef(songs.energy, arousal)[0, 1] > 0.6
    assert np.corrcoef(songs.tempo_bpm, arousal)[0, 1] > 0.3
    assert songs.tempo_bpm.min() >= 50
    assert songs.duration_seconds.min() >= 75
