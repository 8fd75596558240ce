"""Every token is supervised once an epoch and read once in evaluation, and padding says nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.context import NO_CONTEXT
from models.errors import ConfigError, UnknownSong
from models.listening import NO_SONG
from models.tokens import tokenise
from tests.training.invented import SONG_COUNT, invent_histories, invent_listening, song_keys_of, song_vectors
from training.networks.inputs import EVERYTHING, Inputs
from training.windows import Bound, DrawnWindows, Histories, alike, batches, cut, whole_histories

HISTORIES = invent_histories(20, sessions=9)
EVERYBODY = np.arange(20)


def covered(windows) -> np.ndarray:
    """Return how often each token lies in a window."""
    times = np.zeros(len(HISTORIES.song_row), int)
    for first, length in zip(windows.first, windows.length, strict=True):
        times[first : first + length] += 1
    return times


@given(st.integers(1, 60), st.integers(0, 2**32))
def test_an_epoch_covers_every_token_once(lookback: int, seed: int):
    windows = cut(HISTORIES, EVERYBODY, lookback=lookback, rng=np.random.default_rng(seed))

    assert np.all(covered(windows) == 1)


@given(st.integers(1, 60))
def test_no_window_is_longer_than_the_lookback_or_empty(lookback: int):
    windows = cut(HISTORIES, EVERYBODY, lookback=lookback, rng=np.random.default_rng(0))

    assert windows.length.max() <= lookback
    assert windows.length.min() >= 1


def test_a_listener_drawn_twice_is_cut_twice():
    windows = cut(HISTORIES, np.array([3, 3]), lookback=8, rng=np.random.default_rng(0))

    assert np.all(covered(windows)[HISTORIES.tokens_of(np.array([3]))] == 2)


def test_no_window_crosses_from_one_listener_to_the_next():
    windows = cut(HISTORIES, EVERYBODY, lookback=8, rng=np.random.default_rng(0))
    owner = np.repeat(EVERYBODY, HISTORIES.token_counts)

    assert np.array_equal(owner[windows.first], owner[windows.first + windows.length - 1])


@given(st.integers(1, 30))
def test_batches_hold_every_window_once(batch_size: int):
    windows = cut(HISTORIES, EVERYBODY, lookback=8, rng=np.random.default_rng(0))
    firsts = [
        first
        for batch in batches(windows, batch_size=batch_size, rng=np.random.default_rng(1))
        for first in batch.first
    ]

    assert sorted(firsts) == sorted(windows.first)


def test_windows_of_like_length_share_a_batch():
    histories = invent_histories(300, sessions=12)
    windows = cut(histories, np.arange(300), lookback=32, rng=np.random.default_rng(0))
    padded = [
        (len(each) * int(each.length.max()), int(each.length.sum()))
        for each in batches(windows, batch_size=64, rng=np.random.default_rng(1))
    ]
    positions, tokens = np.sum(padded, axis=0)

    assert 1 - tokens / positions < 0.15


@given(st.integers(1, 40), st.data())
def test_evaluation_reads_every_token_once(lookback: int, data: st.DataObject):
    stride = data.draw(st.integers(1, lookback))
    reading = whole_histories(HISTORIES, EVERYBODY, lookback=lookback, stride=stride)
    _, tokens = reading.reads(np.arange(len(reading.windows)))

    assert sorted(tokens) == list(range(len(HISTORIES.song_row)))


def test_a_stride_of_one_reads_each_token_with_all_the_past_that_serving_has():
    reading = whole_histories(HISTORIES, EVERYBODY, lookback=8, stride=1)
    counts, tokens = reading.reads(np.arange(len(reading.windows)))
    past = np.nonzero(counts)[1]
    available = tokens - HISTORIES.columns.start[np.repeat(EVERYBODY, HISTORIES.token_counts)[tokens]]

    assert np.array_equal(past, np.minimum(available, 7))


def test_padding_has_no_song_no_features_and_no_target():
    windows = cut(HISTORIES, EVERYBODY, lookback=16, rng=np.random.default_rng(0))
    batch = HISTORIES.batch(windows)
    beyond = np.arange(batch.song.shape[1]) >= batch.length.numpy()[:, None]

    assert batch.song.numpy()[beyond].any() == 0
    assert batch.features.numpy()[beyond].any() == 0
    assert np.isnan(batch.targets.numpy()[beyond]).all()
    assert (batch.song_row.numpy()[beyond] == NO_SONG).all()


def test_a_batch_holds_the_vectors_of_the_songs_that_were_played():
    batch = HISTORIES.batch(
        cut(HISTORIES, np.array([0]), lookback=60, rng=np.random.default_rng(0)).take(np.array([0]))
    )
    rows = batch.song_row.numpy()[0]

    assert np.array_equal(batch.song.numpy()[0][rows >= 0], song_vectors()[rows[rows >= 0]])


def test_a_play_of_a_song_without_a_vector_is_refused():
    columns = tokenise(invent_listening(3), NO_CONTEXT)

    with pytest.raises(UnknownSong, match="outside the 2 with a vector"):
        Histories.of(columns, song_keys=song_keys_of(np.arange(SONG_COUNT))[:2], song_vectors=song_vectors()[:2])


def test_a_lookback_of_zero_is_refused():
    with pytest.raises(ConfigError, match="at least 1 token"):
        cut(HISTORIES, EVERYBODY, lookback=0, rng=np.random.default_rng(0))


def test_listeners_without_tokens_give_no_windows():
    histories = invent_histories(3)

    assert len(cut(histories, np.zeros(0, np.int64), lookback=8, rng=np.random.default_rng(0))) == 0
    assert len(whole_histories(histories, np.zeros(0, np.int64), lookback=8).windows) == 0


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_drawn_windows_have_the_length_asked_for_or_are_a_whole_history(seed: int, shortest: int):
    config = DrawnWindows(windows_per_listener=4, shortest=shortest, longest=shortest + 5)
    windows = config.draw(HISTORIES, EVERYBODY, lookback=1000, rng=np.random.default_rng(seed))
    owner = np.searchsorted(HISTORIES.columns.start, windows.first, side="right") - 1
    whole = windows.length == HISTORIES.token_counts[owner]

    assert np.all(whole | ((windows.length >= shortest) & (windows.length <= shortest + 5)))
    assert np.all(windows.first + windows.length <= HISTORIES.columns.start[owner + 1])


def test_every_listener_has_as_many_windows_copies_counted():
    windows = DrawnWindows().draw(HISTORIES, EVERYBODY, lookback=1000, rng=np.random.default_rng(0))
    owner = np.searchsorted(HISTORIES.columns.start, windows.first, side="right") - 1

    assert np.bincount(owner, windows.weights).tolist() == [5.0] * 20


def test_the_copies_of_a_short_history_are_one_window_of_weight_five():
    windows = DrawnWindows().draw(HISTORIES, EVERYBODY, lookback=1000, rng=np.random.default_rng(0))
    short = np.isin(windows.first, HISTORIES.columns.start[:-1][HISTORIES.token_counts <= 50])

    assert short.any()
    assert (windows.weights[short] == 5).all()


def test_windows_that_cannot_be_drawn_are_refused():
    with pytest.raises(ConfigError, match="1 ≤ shortest ≤ longest; got 5, 60 and 50"):
        DrawnWindows(shortest=60, longest=50)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 10), st.integers(1, 200))
def test_parts_hold_every_window_and_no_more_than_the_bound(
    lengths: list[int], most_windows: int, most_tokens: int
):
    length = np.array(lengths, np.int64)
    parts = list(alike(length, Bound(windows=most_windows, tokens=most_tokens)))

    assert sorted(row for part in parts for row in part) == list(range(len(length)))
    for part in parts:
        assert len(part) <= most_windows
        assert len(part) == 1 or len(part) * length[part].max() <= most_tokens


@given(st.lists(st.integers(1, 50), max_size=40))
def test_parts_go_from_the_shortest_window_to_the_longest_and_equals_keep_their_order(lengths: list[int]):
    length = np.array(lengths, np.int64)
    rows = [row for part in alike(length, Bound(windows=4)) for row in part.tolist()]

    assert rows == sorted(range(len(length)), key=lambda row: (lengths[row], row))


def test_what_is_hidden_is_zero_and_nothing_else_changes():
    batch = HISTORIES.batch(cut(HISTORIES, EVERYBODY, lookback=60, rng=np.random.default_rng(0)))

    assert not batch.shown(Inputs(past_songs=False)).song.any()
    assert not batch.shown(Inputs(candidate=False)).candidate.any()
    assert not batch.shown(Inputs(feedback=False)).features[..., :8].any()
    for inputs in (EVERYTHING, Inputs(past_songs=False), Inputs(feedback=False)):
        assert batch.shown(inputs).candidate.equal(batch.candidate)
        assert batch.shown(inputs).targets is batch.targets


def test_of_a_song_held_out_nothing_is_known_and_nothing_is_learned():
    hidden = np.arange(SONG_COUNT) == 4
    held_out, plays = HISTORIES.without_songs(hidden), HISTORIES.song_row == 4

    assert plays.any()
    assert not held_out.song_vectors[4].any()
    assert np.isnan(held_out.targets[plays]).all()
    assert np.array_equal(held_out.targets[~plays], HISTORIES.targets[~plays], equal_nan=True)
    assert np.array_equal(held_out.columns.features, HISTORIES.columns.features)
