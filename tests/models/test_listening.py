"""Listening is columns: cutting, joining and prolonging them keeps every other value where it was."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DataError
from models.listening import Listening, Mode, concatenate, empty_listener, song_key, song_keys
from tests.models.strategies import assert_same_listening, listener, listenings

MODEST = settings(max_examples=50)


def test_a_song_key_is_the_same_on_every_machine():
    """63 bits of BLAKE2b-64, worked once: `b2sum -l 64` of the id, shifted right by one bit."""
    assert song_key("song-1") == int.from_bytes(bytes.fromhex("e812ce64e6cf89ba"), "big") >> 1


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=20))
def test_song_keys_are_never_negative_and_differ_with_the_ids(song_ids: list[str]):
    keys = song_keys(song_ids)

    assert (keys >= 0).all()
    assert len(set(keys.tolist())) == len(song_ids)


@MODEST
@given(listenings())
def test_listeners_taken_apart_and_joined_again_are_the_same(listening: Listening):
    apart = [listening.select(np.array([place])) for place in range(listening.listener_count)]

    assert_same_listening(concatenate(apart), listening)


@MODEST
@given(listenings(), st.data())
def test_select_gives_listeners_in_the_order_asked_for(listening: Listening, data: st.DataObject):
    asked = data.draw(st.lists(st.integers(0, listening.listener_count - 1), min_size=1, max_size=5))

    selected = listening.select(np.array(asked))

    parts = [listening.select(np.array([place])) for place in asked]
    assert_same_listening(selected, concatenate(parts))


@MODEST
@given(listenings())
def test_a_segment_of_everything_changes_nothing(listening: Listening):
    first = np.zeros(listening.listener_count, np.int64)

    assert_same_listening(listening.segment(first, listening.token_counts), listening)


@MODEST
@given(listenings(), st.data())
def test_a_segment_keeps_the_plays_whose_tokens_lie_in_it(listening: Listening, data: st.DataObject):
    counts = listening.token_counts
    stop = np.array([data.draw(st.integers(0, int(count))) for count in counts])
    first = np.array([data.draw(st.integers(0, int(end))) for end in stop])

    kept = listening.segment(first, stop)

    expected = []
    for place in range(listening.listener_count):
        token = 0
        for session in range(listening.session_start[place], listening.session_start[place + 1]):
            token += 1  # the boundary
            for play in range(listening.play_start[session], listening.play_start[session + 1]):
                if first[place] <= token < stop[place]:
                    expected.append(listening.song[play])
                token += 1
    np.testing.assert_array_equal(kept.song, expected)


def test_a_segment_that_loses_the_last_play_loses_the_end_report(rng):
    whole = replace(listener(rng, [2], present=1.0), after=np.float32([[0.5, 0.5]]))

    cut = whole.segment(np.array([0]), np.array([2]))

    assert np.isnan(cut.after).all()
    assert cut.play_count == 1


@MODEST
@given(listenings(max_listeners=1))
def test_an_imagined_play_comes_last_and_carries_its_engagement_only(listening: Listening):
    if not listening.session_count:
        return
    longer = listening.with_play(np.array([7]), np.array([0.5]), np.array([1.0]))

    assert longer.play_count == listening.play_count + 1
    np.testing.assert_array_equal(longer.song, [*listening.song, 7])
    np.testing.assert_array_equal(longer.feedback[-1], [0.5, np.nan, np.nan, np.nan])
    assert np.isnan(longer.after[-1]).all()
    longer_report = longer.report[:-1]
    np.testing.assert_array_equal(longer_report, listening.report)


def test_an_imagined_play_takes_the_mode_given_or_the_last_plays(rng):
    session = replace(listener(rng, [1]), play_mode=np.array([Mode.SLEEP]))

    kept = session.with_play(np.array([7]), np.array([0.5]), np.array([1.0]))
    given = session.with_play(np.array([7]), np.array([0.5]), np.array([1.0]), np.array([Mode.FOCUS]))

    assert kept.play_mode[-1] == Mode.SLEEP
    assert given.play_mode[-1] == Mode.FOCUS


def test_nobody_plays_outside_a_session():
    with pytest.raises(DataError, match="needs a session"):
        empty_listener(context_fields=0).with_play(np.array([7]), np.array([0.5]), np.array([1.0]))


def test_the_end_report_is_the_feedback_of_the_last_play_and_overrides_its_own(rng):
    silent = listener(rng, [2, 1], present=0.0)
    told = replace(
        silent,
        after=np.float32([[0.25, 0.5], [np.nan, np.nan]]),
        report=np.float32([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]),
    )

    np.testing.assert_array_equal(told.feedback[:, 2:], np.float32([[0.1, 0.1], [0.25, 0.5], [0.3, 0.3]]))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"session_start": np.array([0, 3])}, id="more sessions than there are"),
        pytest.param({"session_start": np.array([1, 2])}, id="not from 0"),
        pytest.param({"play_start": np.array([0, 4, 3])}, id="offsets that fall"),
    ],
)
def test_offsets_that_contradict_the_columns_are_refused(rng, broken):
    with pytest.raises(DataError, match="start must"):
        replace(listener(rng, [2, 1]), **broken)


def test_parts_with_other_context_fields_do_not_join(rng):
    with pytest.raises(DataError, match="context"):
        concatenate([listener(rng, [1]), empty_listener(context_fields=0)])
