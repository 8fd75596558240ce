"""Logged songs rolled forward: step 1 is what the world model says anyway, later steps skip feedback between."""

from dataclasses import replace

import numpy as np
import pytest

from models.listening import NO_SONG
from models.tokens import PRESENT_FEATURES, SIGNAL_FEATURES
from tests.training import small_run
from training.imagining import SESSIONS_EACH, Imagined, imagine_logged
from training.windows import Histories

LOOKBACK = small_run.PRESET.lookback


@pytest.fixture(scope="module")
def histories() -> Histories:
    return small_run.material().histories


def rolled(histories: Histories, listeners: np.ndarray, steps: int = 4) -> Imagined:
    return imagine_logged(histories, small_run.world(), listeners, lookback=LOOKBACK, step_count=steps)


def test_the_first_step_is_the_prediction_from_what_was_observed(histories: Histories):
    listener = small_run.material().split.test[:1]
    first = rolled(histories, listener, steps=1)

    start = histories.columns.start[listener[0]]
    plays = np.flatnonzero(histories.song_row[start : histories.columns.start[listener[0] + 1]] != NO_SONG)
    assert len(first.step) == len(plays)
    for row, place in enumerate(plays[:5]):
        length = min(place, LOOKBACK)
        tokens = histories.columns.windows(np.array([start + place - length]), np.array([length]))
        rows = histories.song_row[start + place - length : start + place][None]
        state = small_run.world().states_after(rows, tokens.features, np.array([[length]]))[:, 0]
        song = histories.song_row[start + place][None, None]
        expected = small_run.world().predicted(state, song).mean(axis=1)[0, 0]
        np.testing.assert_allclose(first.predicted[row], expected, atol=1e-6)
        np.testing.assert_array_equal(first.label[row], histories.targets[start + place])


def test_a_roll_ends_with_its_session_and_with_the_last_step(histories: Histories):
    listeners = small_run.material().split.test
    imagined = rolled(histories, listeners, steps=3)

    for listener in listeners:
        begin, end = histories.columns.start[listener : listener + 2]
        boundaries = np.append(np.flatnonzero(histories.song_row[begin:end] == NO_SONG), end - begin)
        plays = np.diff(boundaries) - 1
        assert len(plays) <= SESSIONS_EACH
        for step in (1, 2, 3):
            found = np.count_nonzero((imagined.listener == listener) & (imagined.step == step))
            assert found == np.maximum(plays - step + 1, 0).sum()


def test_later_steps_do_not_see_the_feedback_on_the_songs_between(histories: Histories):
    """Whatever was said of a session's songs, what is imagined from its first song on stays the same."""
    listener = small_run.material().split.test[:1]
    begin, end = histories.columns.start[listener[0] : listener[0] + 2]
    boundaries = begin + np.flatnonzero(histories.song_row[begin:end] == NO_SONG)
    last = boundaries[-1]
    features = histories.columns.features.copy()
    features[last + 1 : end, SIGNAL_FEATURES] = np.random.default_rng(0).random((end - last - 1, 4))
    features[last + 1 : end, PRESENT_FEATURES] = 1.0
    otherwise = replace(histories, columns=replace(histories.columns, features=features))

    before, after = rolled(histories, listener), rolled(otherwise, listener)

    from_the_first = before.token == last + before.step
    assert np.count_nonzero(from_the_first) == min(end - last - 1, 4) > 1
    np.testing.assert_array_equal(before.predicted[from_the_first], after.predicted[from_the_first])
    assert not np.array_equal(before.predicted, after.predicted)


def test_nobody_gives_nothing(histories: Histories):
    assert len(rolled(histories, np.zeros(0, np.int64)).step) == 0
