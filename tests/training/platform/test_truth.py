"""The truth's expectations are the means of what it draws, and it is recovered only where it is certain."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import DataError
from models.log import read_log, write_log
from training.platform.as_log import simulated_log
from training.platform.simulate import Simulation
from training.platform.truth import TrueState, Truth, recover_truth


def test_expected_signals_are_the_mean_of_drawn_feedback(truth: Truth, rng: np.random.Generator) -> None:
    """20,000 draws: a standard error of at most 0.0036 for a rating."""
    listener = np.repeat(np.arange(6), 20_000)
    state = TrueState(listener=listener, affect=rng.uniform(0, 1, (6, 2))[listener])
    song = rng.integers(0, 600, 6)

    _, drawn = truth.step(state, song[listener], rng)
    mean = drawn.reshape(6, 20_000, 4).mean(1)
    first = TrueState(listener=np.arange(6), affect=state.affect[::20_000])

    np.testing.assert_allclose(mean, truth.expected(first, song[:, None])[:, 0], atol=0.018)


def test_affect_moves_to_its_mean_on_average(truth: Truth, rng: np.random.Generator) -> None:
    listener = np.zeros(40_000, np.int64)
    state = TrueState(listener=listener, affect=np.full((40_000, 2), 0.3))

    after, _ = truth.step(state, np.full(40_000, 11), rng)
    one = TrueState(listener=listener[:1], affect=state.affect[:1])

    np.testing.assert_allclose(after.affect.mean(0), truth.affect_after(one, np.array([[11]]))[0, 0], atol=1e-3)


def test_the_state_after_a_session_boundary_is_where_the_session_starts(truth: Truth) -> None:
    listener = np.arange(truth.simulation.size.listener_count)

    state = truth.start(listener, np.ones_like(listener))

    first_session = truth.simulation.schedule.session_start[:-1]
    np.testing.assert_array_equal(state.affect, truth.simulation.start[first_session])


def test_the_state_after_all_tokens_is_the_one_after_the_last_play(truth: Truth) -> None:
    log = simulated_log(truth.simulation)
    listener = np.arange(truth.simulation.size.listener_count)

    state = truth.start(listener, log.listening().token_counts)

    last_play = truth.simulation.schedule.first_play[1:] - 1
    np.testing.assert_array_equal(state.affect, truth.simulation.affect[last_play])


def test_a_listener_without_tokens_stands_at_the_baseline(truth: Truth) -> None:
    state = truth.start(np.array([3]), np.array([0]))

    np.testing.assert_array_equal(state.affect, truth.simulation.listeners.baseline[[3]])


def test_more_tokens_than_were_logged_are_refused(truth: Truth) -> None:
    with pytest.raises(DataError, match="listener row 3 has"):
        truth.start(np.array([3]), np.array([100_000]))


def test_a_song_moves_affect_by_its_effect_beyond_the_drift(truth: Truth, rng: np.random.Generator) -> None:
    """Two songs from one state differ by the difference of their effects, whatever the state."""
    state = TrueState(listener=np.arange(9), affect=rng.uniform(0, 1, (9, 2)))
    song = rng.integers(0, 600, (9, 2))

    step, effect = truth.affect_step(state, song), truth.song_effect(state.listener, song)

    np.testing.assert_allclose(step[:, 0] - step[:, 1], effect[:, 0] - effect[:, 1], atol=1e-12)


def test_the_truth_of_a_log_on_disk_is_recovered_from_the_log_alone(
    simulation: Simulation, tmp_path: Path
) -> None:
    write_log(simulated_log(simulation), tmp_path / "log")

    recovered = recover_truth(read_log(tmp_path / "log"))

    np.testing.assert_array_equal(recovered.simulation.affect, simulation.affect)


def test_a_log_changed_since_has_no_truth(simulation: Simulation) -> None:
    log = simulated_log(simulation)
    shorter = replace(log, plays=log.plays.head(len(log.plays) - 1))

    with pytest.raises(DataError, match="gives other plays"):
        recover_truth(shorter)


def test_a_log_of_other_parameters_has_no_truth(simulation: Simulation) -> None:
    log = simulated_log(simulation)
    origin = {**log.description.provenance, "parameters": "0" * 32}
    renamed = replace(log, description=log.description.model_copy(update={"provenance": origin}))

    with pytest.raises(DataError, match="was simulated with parameters 000"):
        recover_truth(renamed)


def test_a_log_of_another_platform_has_no_truth(simulation: Simulation) -> None:
    log = simulated_log(simulation)
    real = replace(log, description=log.description.model_copy(update={"simulated": False}))

    with pytest.raises(DataError, match="no truth is known"):
        recover_truth(real)
