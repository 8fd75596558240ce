"""A song is known safe on the listener's own word: heard out twice, never disliked, never followed by a drop."""

from dataclasses import replace

import numpy as np
import pytest

from models.known_safe import known_safe_songs
from models.listening import Listening
from tests.models.strategies import listener

A, B, C = 11, 22, 33


def heard(songs: list[list[int]], **columns) -> Listening:
    """One silent listener, every song of every session played to the end, and what else is said of it."""
    shape = [len(session) for session in songs]
    silent = listener(np.random.default_rng(0), shape, present=0.0)
    flat = np.array([song for session in songs for song in session], np.int64)
    return replace(silent, song=flat, engagement=np.ones(len(flat), np.float32), **columns)


def test_a_song_heard_out_twice_is_safe_and_once_is_not():
    np.testing.assert_array_equal(known_safe_songs(heard([[A, B, A]]), 0), [A])


def test_the_longest_unheard_comes_first():
    np.testing.assert_array_equal(known_safe_songs(heard([[B, A, A], [B, A, B]]), 0), [A, B])


def test_a_song_cut_short_does_not_count():
    played = heard(
        [[A, A]],
    )
    short = replace(played, engagement=np.float32([1.0, 0.9]))

    assert not len(known_safe_songs(short, 0))


def test_a_song_once_disliked_is_never_safe():
    disliked = heard([[A, A, A, B, B]], rating=np.float32([1, 1, 0, np.nan, 1]))

    np.testing.assert_array_equal(known_safe_songs(disliked, 0), [B])


@pytest.mark.parametrize(("end", "safe"), [(0.4, []), (0.5, [A, B]), (0.9, [A, B])])
def test_songs_before_a_drop_in_a_report_are_not_safe(end: float, safe: list[int]):
    before = np.float32([[0.5, 0.5], [np.nan, np.nan]])
    after = np.float32([[end, 0.5], [np.nan, np.nan]])

    np.testing.assert_array_equal(known_safe_songs(heard([[A, B], [A, B]], before=before, after=after), 0), safe)


def test_a_drop_is_laid_upon_the_songs_since_the_report_before_it():
    """Reports .5, then .6 after A, then .4 after B: only B stands between the last two."""
    report = np.float32([[0.6, 0.5], [0.4, 0.5], [np.nan, np.nan], [np.nan, np.nan]])
    before = np.float32([[0.5, 0.5], [np.nan, np.nan]])

    np.testing.assert_array_equal(known_safe_songs(heard([[A, B], [A, B]], before=before, report=report), 0), [A])


def test_without_a_report_there_is_no_drop():
    after = np.float32([[0.1, 0.1]])

    np.testing.assert_array_equal(known_safe_songs(heard([[A, A]], after=after), 0), [A])


def test_a_drop_from_what_was_said_in_an_earlier_session_counts():
    """Well at the end of the first session; of the second only its end is known."""
    nothing = [np.nan, np.nan]
    said = heard(
        [[B], [A, A]], before=np.float32([[0.8, 0.5], nothing]), after=np.float32([[0.8, 0.5], [0.02, 0.5]])
    )

    assert not len(known_safe_songs(said, 0))


def test_who_left_without_a_word_and_came_back_worse_has_not_vouched():
    """A session ends without a report; the next begins lower than anything said before."""
    nothing = [np.nan, np.nan]
    before = np.float32([[0.9, 0.5], [0.05, 0.5], [0.05, 0.5]])
    left = heard([[A, A], [B], [B]], before=before, after=np.float32([nothing, nothing, nothing]))

    np.testing.assert_array_equal(known_safe_songs(left, 0), [B])


def test_nobody_else_vouches_for_a_song():
    from models.listening import concatenate

    both = concatenate([heard([[A, A]]), heard([[C, C]])])

    np.testing.assert_array_equal(known_safe_songs(both, 0), [A])
    np.testing.assert_array_equal(known_safe_songs(both, 1), [C])


def test_a_listener_without_history_has_none():
    assert not len(known_safe_songs(heard([]), 0))
