"""Clipping is averaged exactly, drift is a pull to the baseline, and effects add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.platform.dynamics import clipped_mean, drift, liking, song_effect
from training.platform.simulate import Simulation


@given(st.floats(-2, 3), st.floats(0.01, 2))
def test_the_clipped_mean_is_the_integral_of_the_clipped_normal(mean: float, spread: float) -> None:
    """Against a sum over 20,001 quantiles of the noise."""
    grid = np.linspace(-9, 9, 20_001)
    weights = np.exp(-(grid**2) / 2)
    numeric = np.sum(np.clip(mean + spread * grid, 0, 1) * weights) / weights.sum()

    assert clipped_mean(np.array([mean]), spread)[0] == pytest.approx(numeric, abs=1e-5)


def test_drift_leaves_the_inertias_share_of_the_distance(simulation: Simulation) -> None:
    listeners = simulation.listeners
    rows = np.arange(5)

    there = drift(listeners, rows, listeners.baseline[:5] + 0.2)

    np.testing.assert_allclose(there - listeners.baseline[:5], 0.2 * np.tile(listeners.inertia[:5, None], 2))


def test_an_effect_is_gain_tilt_and_liking(simulation: Simulation) -> None:
    """Worked for one listener and one song from the equation in the module's docstring."""
    songs, listeners, feedback = simulation.songs, simulation.listeners, simulation.parameters.feedback
    one, song = np.array([2]), np.array([[17]])

    liked = songs.content[17] @ listeners.taste[2] / np.sqrt(8) + 0.5 * songs.appeal[17]
    by_hand = listeners.gain[2] * songs.affect[17] + listeners.tilt[2] @ songs.content[17]
    by_hand += np.array([feedback.liking_lift * liked, 0])

    np.testing.assert_allclose(liking(songs, listeners, feedback, one, song)[0, 0], liked)
    np.testing.assert_allclose(song_effect(songs, listeners, feedback, one, song)[0, 0], by_hand)
