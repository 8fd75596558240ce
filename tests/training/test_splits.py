"""A split keeps every listener in exactly one part, and the same seed gives every variant the same parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from training.splits import draw_new_songs, split_listeners


@given(st.integers(3, 400), st.integers(0, 2**32))
def test_every_listener_is_in_exactly_one_part(count: int, seed: int):
    split = split_listeners(np.arange(count), np.random.default_rng(seed))

    assert sorted([*split.train, *split.validation, *split.test]) == list(range(count))


@given(st.integers(3, 400))
def test_no_part_is_empty(count: int):
    split = split_listeners(np.arange(count), np.random.default_rng(0))

    assert min(len(split.train), len(split.validation), len(split.test)) >= 1


def test_a_hundred_listeners_split_into_eighty_ten_and_ten():
    split = split_listeners(np.arange(100), np.random.default_rng(0))

    assert (len(split.train), len(split.validation), len(split.test)) == (80, 10, 10)


def test_who_is_held_out_of_everything_is_in_no_part():
    split = split_listeners(np.array([0, 2, 4, 6, 8]), np.random.default_rng(0))

    assert not {1, 3, 5, 7} & {*split.train, *split.validation, *split.test}


def test_two_listeners_cannot_be_split():
    with pytest.raises(DataError, match="at least 3 listeners; got 2"):
        split_listeners(np.arange(2), np.random.default_rng(0))


@given(st.integers(2, 300), st.floats(0, 1))
def test_some_songs_are_held_out_and_some_are_not(count: int, share: float):
    held_out = draw_new_songs(count, np.random.default_rng(0), share=share)

    assert 1 <= held_out.sum() <= count - 1


def test_a_fifth_of_a_hundred_songs_is_twenty():
    assert draw_new_songs(100, np.random.default_rng(0), share=0.2).sum() == 20


def test_one_song_cannot_be_held_out():
    with pytest.raises(DataError, match="at least 2; got 1"):
        draw_new_songs(1, np.random.default_rng(0), share=0.5)
