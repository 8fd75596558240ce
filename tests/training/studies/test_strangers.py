"""Strangers hear the log's own songs, and nobody in the log is among them."""

import numpy as np
import pytest

from models.errors import DataError
from models.listening import NO_SONG
from tests.training import small_run
from training.studies.strangers import Strangers


def strangers() -> Strangers:
    return Strangers.of(small_run.material(), count=20, seed=77)


def test_they_hear_the_same_songs():
    made, theirs = small_run.material(), strangers()

    assert theirs.listening.listener_count == 20
    assert np.isin(theirs.listening.song, made.catalogue.keys).all()
    heard = theirs.histories.song_row[theirs.histories.song_row != NO_SONG]
    np.testing.assert_array_equal(made.catalogue.keys[heard], theirs.listening.song)
    np.testing.assert_array_equal(theirs.histories.song_vectors, made.histories.song_vectors)


def test_they_are_others():
    taste = small_run.material().truth.simulation.listeners.taste

    assert not np.isin(strangers().truth.simulation.listeners.taste, taste).any()


def test_the_truth_of_a_song_for_a_listener_is_the_logs():
    """Songs do to a stranger what their true content does, as the log's platform has it."""
    theirs, known = strangers().truth.simulation.songs, small_run.material().truth.simulation.songs

    np.testing.assert_array_equal(theirs.affect, known.affect)
    np.testing.assert_array_equal(theirs.content, known.content)


def test_rollouts_begin_with_one_window_each():
    windows, start = strangers().start(8, small_run.PRESET.windows, np.random.default_rng(0))

    assert len(np.unique(windows.listener)) == len(windows) <= 8
    assert start.listening.listener_count == len(windows) == len(start.state.listener)


def test_real_listeners_have_no_strangers():
    from dataclasses import replace

    with pytest.raises(DataError, match="of real listeners"):
        Strangers.of(replace(small_run.material(), truth=None), count=3, seed=0)
