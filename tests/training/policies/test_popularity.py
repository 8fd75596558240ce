"""Popularity knows training listeners alone, and says the same to everybody."""

import numpy as np

from models.listening import NO_SONG
from tests.training import small_run
from tests.training.policies.moments import start_moment
from training.policies.popularity import Popularity, play_counts


def test_counts_the_plays_of_the_given_listeners_and_of_nobody_else():
    made = small_run.material()
    one, other = made.split.train[:2]
    together = play_counts(made.histories, np.array([one, other]))
    rows = made.histories.song_row[made.histories.tokens_of(np.array([one]))]

    alone = play_counts(made.histories, np.array([one]))
    assert alone.sum() == np.count_nonzero(rows != NO_SONG)
    assert np.array_equal(alone + play_counts(made.histories, np.array([other])), together)
    assert len(alone) == len(made.catalogue)


def test_everybody_gets_the_same_order():
    plays = play_counts(small_run.material().histories, small_run.material().split.train)
    scores = Popularity(plays).scores(start_moment())

    assert np.all(scores == scores[0])
    assert scores[0].argmax() == plays.argmax()
