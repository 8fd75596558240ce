"""Invented names are distinct, and every artist is plainly marked as simulated."""

import numpy as np

from training.platform.names import MARK, draw_artists, draw_titles, genre_names


def test_every_artist_carries_the_mark(rng: np.random.Generator) -> None:
    assert all(artist.startswith("The ") and artist.endswith(MARK) for artist in draw_artists(500, rng))


def test_names_stay_distinct_when_combinations_run_out(rng: np.random.Generator) -> None:
    assert len(set(draw_artists(9_000, rng))) == 9_000
    assert len(set(draw_titles(20_000, rng))) == 20_000
    assert len(set(genre_names(60))) == 60
