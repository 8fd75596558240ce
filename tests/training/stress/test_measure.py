"""A true step is a song's effect and the drift; what came back forbidden is found without the guardrails' word."""

from dataclasses import replace

import numpy as np
import pytest

from models.listening import NO_SONG, Population
from tests.training import small_run
from tests.training.stress import small_subject
from training.platform.truth import TrueState
from training.stress.config import CLINICAL, CONSUMER
from training.stress.measure import (
    distinct_share,
    forbidden_returned,
    is_meaningful,
    stand_ins,
    top_share,
    true_swings,
)


def test_effect_and_drift_are_the_step_that_the_truth_tells():
    walked = small_subject.trials().typical.policy

    assert np.allclose(walked.swings.step, walked.rollouts.true_step)


def test_the_walk_of_songs_is_worked_by_hand():
    """φ = .9, effects .1, then .2, then none: .1, .9·.1 + .2 = .29, .9·.29 = .261."""
    truth = small_run.material().truth
    listener = np.array([0])
    swings = true_swings(np.array([[3, 5, 7]]), TrueState(listener=listener, affect=np.full((1, 2), 0.5)), truth)
    inertia = truth.simulation.listeners.inertia[0]
    first, second, third = swings.effect[0]

    assert swings.walk[0, 0] == pytest.approx(first)
    assert swings.walk[0, 1] == pytest.approx(inertia * first + second)
    assert swings.walk[0, 2] == pytest.approx(inertia * (inertia * first + second) + third)


def test_the_walk_is_the_distance_from_where_silence_would_have_led():
    truth = small_run.material().truth
    state = TrueState(listener=np.array([4, 4]), affect=np.full((2, 2), 0.3))
    unknown = truth.simulation.size.song_count  # beyond the truth's songs: moves nobody
    swings = true_swings(np.array([[1, 2, 3], [unknown] * 3]), state, truth)
    led = 0.3 + np.cumsum(swings.effect[0] + swings.drift[0], axis=0)[-1]
    rest, silent = truth.simulation.listeners.baseline[4], np.full(2, 0.3)
    for _ in range(3):
        silent = rest + truth.simulation.listeners.inertia[4] * (silent - rest)

    assert led - silent == pytest.approx(swings.walk[0, -1])
    assert np.isnan(swings.effect[1]).all()


def test_a_meaningful_step_is_half_a_point_to_a_clinical_listener_and_three_quarters_to_a_consumer():
    assert (CLINICAL.meaningful_step, CONSUMER.meaningful_step) == (0.0625, 0.09375)
    effect = np.array([[0.0, 0.07], [0.0, -0.07], [-0.07, 0.0], [0.07, 0.0], [np.nan, np.nan]])

    clinical = is_meaningful(effect, np.full(5, Population.CLINICAL))
    consumer = is_meaningful(effect, np.full(5, Population.CONSUMER))
    assert clinical.tolist() == [True, True, True, False, False]
    assert not consumer.any()


def test_stand_ins_are_of_the_population_and_feel_what_was_said():
    hostile = small_subject.trials().hostile.hostile.listening
    truth = small_run.material().truth
    said = np.full((hostile.listener_count, 2), np.nan)
    said[::2] = (0.0, 1.0)
    state = stand_ins(hostile, said, truth, np.random.default_rng(0))

    known = hostile.population != Population.UNSPECIFIED
    listeners = truth.simulation.listeners
    assert (listeners.population[state.listener] == hostile.population)[known].all()
    assert (state.affect[::2] == (0.0, 1.0)).all()
    assert (state.affect[1::2] == listeners.baseline[state.listener[1::2]]).all()


def test_a_withdrawn_song_and_a_song_heard_lately_are_found():
    hostile, table = small_subject.trials().hostile, small_subject.trials().table
    rollouts, catalogue = hostile.guarded.rollouts, hostile.songs.catalogue
    listening = hostile.hostile.listening
    withdrawn = int(np.flatnonzero(catalogue.withdrawn)[0])
    heard = np.flatnonzero(np.diff(listening.play_start[listening.session_start]))[:1]
    last = listening.song[listening.play_start[listening.session_start[heard + 1]] - 1]

    def wrong(song: np.ndarray) -> np.ndarray:
        changed = replace(rollouts, song=song)
        return forbidden_returned(changed, listening, catalogue.withdrawn, table, catalogue.keys)

    assert not wrong(rollouts.song).any()
    with_withdrawn, with_repeat = rollouts.song.copy(), rollouts.song.copy()
    with_withdrawn[0, 2] = withdrawn
    with_repeat[heard, 0] = catalogue.rows(last)
    assert wrong(with_withdrawn).tolist() == [1] + [0] * (len(rollouts.song) - 1)
    assert wrong(with_repeat)[heard].item() >= 1


def test_concentration_is_worked_by_hand():
    """Six plays of four songs; the two most played take four of the six."""
    song = np.array([[1, 1, 2], [2, 5, 7], [NO_SONG] * 3])

    assert distinct_share(song) == pytest.approx(4 / 6)
    assert top_share(song, 2) == pytest.approx(4 / 6)
    assert top_share(np.array([[NO_SONG]])) == distinct_share(np.array([[NO_SONG]])) == 0.0
