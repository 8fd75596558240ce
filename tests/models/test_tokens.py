"""The tokeniser is causal by position, keeps order, takes every legal history, one listener at a time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.context import NO_CONTEXT
from models.listening import NO_SONG, Listening, concatenate, empty_listener
from models.tokens import (
    BOUNDARY_FEATURE,
    PRESENT_FEATURES,
    SIGNAL_FEATURES,
    TokenColumns,
    feature_names,
    tokenise,
)
from tests.models.strategies import CONTEXT, listener, listenings

MODEST = settings(max_examples=60)


def assert_same_tokens(one: TokenColumns, other: TokenColumns) -> None:
    np.testing.assert_array_equal(one.song, other.song)
    np.testing.assert_array_equal(one.features, other.features)


def feature(tokens: TokenColumns, name: str) -> np.ndarray:
    return tokens.features[:, feature_names(CONTEXT).index(name)]


@MODEST
@given(listenings(max_listeners=1), st.data())
def test_what_stands_later_never_changes_an_earlier_token(listening: Listening, data: st.DataObject):
    whole = tokenise(listening, CONTEXT)
    cut = data.draw(st.integers(0, len(whole.song)))

    prefix = tokenise(listening.segment(np.array([0]), np.array([cut])), CONTEXT)

    np.testing.assert_array_equal(prefix.song[:cut], whole.song[:cut])
    np.testing.assert_array_equal(prefix.features[:cut], whole.features[:cut])


@MODEST
@given(listenings())
def test_songs_come_out_in_the_order_they_were_played(listening: Listening):
    tokens = tokenise(listening, CONTEXT)

    np.testing.assert_array_equal(tokens.song[tokens.song != NO_SONG], listening.song)


@MODEST
@given(listenings())
def test_every_session_gives_one_boundary_and_every_play_one_token(listening: Listening):
    tokens = tokenise(listening, CONTEXT)

    assert tokens.features[:, BOUNDARY_FEATURE].sum() == listening.session_count
    assert len(tokens.song) == listening.session_count + listening.play_count
    np.testing.assert_array_equal(np.diff(tokens.start), listening.token_counts)


@MODEST
@given(listenings())
def test_every_feature_of_every_legal_history_is_a_number_from_minus_one_to_one(listening: Listening):
    tokens = tokenise(listening, CONTEXT)

    assert tokens.features.shape[1] == len(feature_names(CONTEXT))
    assert np.isfinite(tokens.features).all()
    assert (np.abs(tokens.features) <= 1 + 1e-6).all()


@pytest.mark.parametrize(
    ("plays", "tokens"),
    [
        pytest.param([], 0, id="nothing happened"),
        pytest.param([0], 1, id="a session without plays"),
        pytest.param([1], 2, id="one play"),
        pytest.param([0, 0, 3, 0], 7, id="sessions without plays around one with"),
        pytest.param([10] * 100, 1100, id="a thousand plays"),
    ],
)
@pytest.mark.parametrize("present", [0.0, 0.5, 1.0])
def test_takes_every_legal_history(rng, plays: list[int], tokens: int, present: float):
    columns = tokenise(listener(rng, plays, present=present), CONTEXT)

    assert len(columns.song) == tokens
    assert np.isfinite(columns.features).all()


@MODEST
@given(listenings(min_listeners=2))
def test_a_listener_has_the_same_tokens_alone_and_among_others(listening: Listening):
    together = tokenise(listening, CONTEXT)

    for place in range(listening.listener_count):
        alone = tokenise(listening.select(np.array([place])), CONTEXT)
        rows = slice(together.start[place], together.start[place + 1])
        np.testing.assert_array_equal(alone.song, together.song[rows])
        np.testing.assert_array_equal(alone.features, together.features[rows])


@MODEST
@given(listenings(min_listeners=2), st.data())
def test_the_order_of_listeners_does_not_matter(listening: Listening, data: st.DataObject):
    order = np.array(data.draw(st.permutations(range(listening.listener_count))))

    shuffled = tokenise(listening.select(order), CONTEXT).latest(5)

    straight = tokenise(listening, CONTEXT).latest(5)
    np.testing.assert_array_equal(shuffled.length, straight.length[order])
    for place, listener_row in enumerate(order):
        length = shuffled.length[place]
        np.testing.assert_array_equal(shuffled.features[place, :length], straight.features[listener_row, :length])


Late = tuple[str, int, float]


def tell(listening: Listening, reports: list[Late]) -> Listening:
    """Write late reports and ratings into a listening, one after another as they arrive."""
    for column, row, value in reports:
        values = getattr(listening, column).copy()
        values[row] = value
        listening = replace(listening, **{column: values})
    return listening


@MODEST
@given(st.integers(0, 2**32 - 1), st.data())
def test_late_reports_give_the_same_tokens_in_whatever_order_they_arrive(seed: int, data: st.DataObject):
    rng = np.random.default_rng(seed)
    silent = listener(rng, [3, 0, 4], present=0.0)
    late: list[Late] = [("after", session, rng.random()) for session in range(3)]
    late += [("rating", play, float(rng.integers(0, 2))) for play in range(7)]
    late += [("report", play, rng.random()) for play in range(7)]
    arrived = data.draw(st.permutations(late))

    assert_same_tokens(tokenise(tell(silent, arrived), CONTEXT), tokenise(tell(silent, late), CONTEXT))


def test_a_late_rating_changes_the_token_of_its_own_play_and_no_other(rng):
    silent = listener(rng, [3, 4], present=0.0)

    before, after = tokenise(silent, CONTEXT), tokenise(tell(silent, [("rating", 4, 1.0)]), CONTEXT)

    changed = np.flatnonzero((before.features != after.features).any(axis=1))
    np.testing.assert_array_equal(changed, [6])  # boundary, 3 plays, boundary, play 3, play 4


def test_a_late_end_report_is_the_feedback_of_the_sessions_last_play(rng):
    silent = listener(rng, [2, 1], present=0.0)
    told = tell(silent, [("after", 0, 0.25)])

    tokens = tokenise(told, CONTEXT)

    np.testing.assert_array_equal(tokens.features[2, SIGNAL_FEATURES], np.float32([0, 0, 0.25, 0.25]))
    np.testing.assert_array_equal(tokens.features[2, PRESENT_FEATURES], [0, 0, 1, 1])


def test_a_last_song_never_reported_as_played_leaves_no_token(rng):
    """Offered songs are no plays: only feedback brings one into the history, be it without any signal."""
    session = listener(rng, [2], present=0.0)
    silent_play = session.with_play(session.song[:1], np.array([np.nan]), np.array([np.nan]))

    tokens = tokenise(silent_play, CONTEXT)

    assert len(tokenise(session, CONTEXT).song) == 3
    np.testing.assert_array_equal(tokens.features[-1, SIGNAL_FEATURES], 0)
    np.testing.assert_array_equal(tokens.features[-1, PRESENT_FEATURES], 0)
    assert tokens.song[-1] == session.song[0]


def test_a_boundary_carries_the_report_before_listening_and_each_play_repeats_it(rng):
    one = replace(listener(rng, [2], present=0.0), before=np.float32([[0.25, 0.75]]))

    tokens = tokenise(one, CONTEXT)

    np.testing.assert_array_equal(tokens.features[0, SIGNAL_FEATURES], np.float32([0, 0, 0.25, 0.75]))
    np.testing.assert_array_equal(feature(tokens, "carried_valence"), np.float32([0.25] * 3))
    np.testing.assert_array_equal(feature(tokens, "carried_present"), [1, 1, 1])


def test_the_report_before_listening_is_input_and_never_a_target(rng):
    one = replace(listener(rng, [2], present=1.0), before=np.float32([[0.25, 0.75]]))

    targets = tokenise(one, CONTEXT).targets

    assert np.isnan(targets[0]).all()
    np.testing.assert_array_equal(targets[1:], one.feedback)


def test_absent_signals_are_zero_and_have_no_presence_bit(rng):
    tokens = tokenise(listener(rng, [3], present=0.0), CONTEXT)

    assert not tokens.features[:, SIGNAL_FEATURES].any()
    assert not tokens.features[:, PRESENT_FEATURES].any()
    assert np.isnan(tokens.targets).all()


def test_hours_since_the_session_before_are_none_for_a_listeners_first(rng):
    two = concatenate([listener(rng, [1, 1]), listener(rng, [1, 1])])
    started = np.array([0.0, 3600.0 * 24 * 30, 0.0, 3600.0])
    tokens = tokenise(replace(two, started_at=started), CONTEXT)

    hours = feature(tokens, "hours_since_session")

    np.testing.assert_allclose(hours, [0, 0, 1, 1, 0, 0, *[np.log(2) / np.log(721)] * 2], rtol=1e-6)


@MODEST
@given(listenings(), st.integers(1, 8))
def test_the_latest_window_ends_where_the_history_ends(listening: Listening, lookback: int):
    columns = tokenise(listening, CONTEXT)

    tokens = columns.latest(lookback)

    for place in range(listening.listener_count):
        own = slice(columns.start[place], columns.start[place + 1])
        length = min(own.stop - own.start, lookback)
        assert tokens.length[place] == length
        np.testing.assert_array_equal(tokens.song[place, :length], columns.song[own][-length:] if length else [])
        assert (tokens.song[place, length:] == NO_SONG).all()
        assert not tokens.features[place, length:].any()


@MODEST
@given(listenings())
def test_the_tokens_before_the_last_play_are_all_but_that_play(listening: Listening):
    tokens = tokenise(listening, CONTEXT).latest(6)

    ends_with_play = [
        length > 0 and song[length - 1] != NO_SONG for song, length in zip(tokens.song, tokens.length, strict=True)
    ]
    np.testing.assert_array_equal(tokens.ends_with_play, ends_with_play)
    np.testing.assert_array_equal(tokens.previous, tokens.length - np.array(ends_with_play))


def test_a_listener_who_did_nothing_has_an_empty_window():
    tokens = tokenise(empty_listener(context_fields=0), NO_CONTEXT).latest(10)

    assert tokens.song.shape == (1, 0)
    assert tokens.previous[0] == 0
