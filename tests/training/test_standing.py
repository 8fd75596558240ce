"""Where listeners of a log stand when a song is chosen for them: read off their plays, and fail closed."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.guardrails import AFFECT
from models.listening import NO_SONG, Listening, concatenate
from models.tokens import tokenise
from tests.models.strategies import listenings
from tests.training import small_run
from training.standing import RECENT_SONGS, current_modes, last_songs, recent_songs, standing_of

UNKNOWN = 1
"""The key of a song that no catalogue holds."""


def stand(listening: Listening):
    setting = small_run.setting()
    tokens = tokenise(listening, setting.context).latest(setting.lookback)
    states = setting.world.look(tokens, setting.catalogue.rows(tokens.song))
    now = np.full(listening.listener_count, 1.8e9)
    return standing_of(listening, states, setting.world, setting.catalogue, setting.table, now), states


def heard(key: int) -> Listening:
    """Return the small run's listeners with one more song in their last sessions."""
    listening = small_run.start().listening
    count = listening.listener_count
    return listening.with_play(np.full(count, key), np.full(count, 0.5, np.float32), np.zeros(count))


def test_after_a_play_the_estimate_is_what_was_predicted_of_it_before():
    key = int(small_run.material().catalogue.keys[3])
    standing, states = stand(heard(key))

    rows = np.full((len(states.now), 1), 3)
    expected = small_run.setting().world.predicted(states.before_last_play, rows)[:, :, 0, AFFECT]
    assert np.array_equal(standing.estimate, expected.astype(np.float64))


def test_after_a_report_the_estimate_is_what_is_expected_of_the_average_song_whatever_was_heard():
    listening = heard(UNKNOWN)
    told = replace(listening, report=np.full_like(listening.report, 0.5))
    standing, states = stand(told)

    expected = small_run.setting().world.predicted_average(states.now)[..., AFFECT]
    assert np.array_equal(standing.estimate, expected.astype(np.float64))
    assert (standing.anchor == 0.5).all()
    assert standing.reported.all()


def test_a_last_song_that_the_catalogue_does_not_hold_leaves_no_estimate():
    """What cannot be computed forbids: the average song would be a guess about a song that was played."""
    standing, _ = stand(heard(UNKNOWN))

    assert np.isnan(standing.estimate).all()


@given(listenings(), st.floats(1.71e9, 1.8e9))
def test_songs_offered_lately_are_the_last_played_the_latest_first(listening: Listening, now: float):
    song, hours = recent_songs(listening, np.full(listening.listener_count, now))

    for listener in range(listening.listener_count):
        own = listening.select(np.array([listener]))
        played = own.song[::-1][:RECENT_SONGS]
        began = np.where(np.isnan(own.played_at), own.started_at[own.session_of_play], own.played_at)[::-1]
        assert song[listener, : len(played)].tolist() == played.tolist()
        assert (song[listener, len(played) :] == NO_SONG).all()
        np.testing.assert_allclose(hours[listener, : len(played)], (now - began[:RECENT_SONGS]) / 3600.0)


@given(listenings())
def test_mode_and_last_song_are_those_of_the_last_session(listening: Listening):
    begun = listening.select(np.flatnonzero(np.diff(listening.session_start) > 0))

    for listener, (mode, song) in enumerate(zip(current_modes(begun), last_songs(begun), strict=True)):
        own = begun.select(np.array([listener]))
        plays = own.play_count - own.play_start[-2]
        assert mode == (own.play_mode[-1] if plays else own.mode[-1])
        assert song == (own.song[-1] if plays else NO_SONG)


def test_a_listener_stands_the_same_twice_over():
    listening = heard(int(small_run.material().catalogue.keys[3]))
    standing, _ = stand(listening)
    twice, _ = stand(concatenate([listening, listening]))

    assert np.allclose(twice.estimate[: len(standing.estimate)], standing.estimate, atol=1e-6)
    assert np.array_equal(twice.anchor, np.concatenate([standing.anchor] * 2))
