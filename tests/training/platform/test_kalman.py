"""The filter's updates are the moments of the conditioned normal, and it uses the past alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from training.platform.ceilings import observed_labels
from training.platform.kalman import Observed, _Belief, believed_listeners, filter_observed
from training.platform.simulate import Simulation


@pytest.fixture(scope="module")
def observed(simulation: Simulation) -> Observed:
    return filter_observed(simulation)


def condition(value: float, *, at_least: bool, at_most: bool) -> tuple[float, float]:
    """One hidden number N(0.3, 0.04), seen through noise of variance 0.01."""
    belief = _Belief(np.array([[0.3]]), np.array([[[0.04]]]))
    belief.observe(
        np.array([0]),
        np.ones((1, 1)),
        np.array([value]),
        noise_variance=0.01,
        at_least=np.array([at_least]),
        at_most=np.array([at_most]),
    )
    return float(belief.mean[0, 0]), float(belief.covariance[0, 0, 0])


def test_an_exact_observation_gives_the_textbook_posterior() -> None:
    """Gain 0.04 / 0.05 = 0.8: mean 0.3 + 0.8·0.2 = 0.46, variance 0.04·0.2 = 0.008."""
    assert condition(0.5, at_least=False, at_most=False) == pytest.approx((0.46, 0.008))


@given(st.floats(-0.5, 1.1), st.booleans())
def test_a_bound_gives_the_moments_of_the_truncated_normal(value: float, above: bool) -> None:
    """Given y, the hidden number has mean 0.3 + 0.8 (y − 0.3) and variance 0.008; y is truncated at the bound."""
    spread = np.sqrt(0.05)
    bound = (value - 0.3) / spread
    seen = truncnorm(bound, np.inf, 0.3, spread) if above else truncnorm(-np.inf, bound, 0.3, spread)

    mean, variance = condition(value, at_least=above, at_most=not above)

    assert mean == pytest.approx(0.3 + 0.8 * (seen.mean() - 0.3), abs=1e-6)
    assert variance == pytest.approx(0.008 + 0.64 * seen.var(), abs=1e-6)


def test_what_comes_later_never_changes_an_expectation(simulation: Simulation, observed: Observed) -> None:
    """Overwrite the feedback of every listener's second half, and expect the same of the first half."""
    schedule = simulation.schedule
    owner = schedule.listener_of_play
    middle = (schedule.first_play[:-1] + schedule.first_play[1:]) // 2
    late = np.arange(schedule.play_count) >= middle[owner]
    changed = replace(
        simulation,
        engagement=np.where(late, 0.123, simulation.engagement),
        rating=np.where(late, 0.0, simulation.rating),
        after=np.where(late[schedule.play_start[1:] - 1, None], 0.9, simulation.after),
    )

    again = filter_observed(changed)

    np.testing.assert_array_equal(again.with_song[~late], observed.with_song[~late])
    assert not np.allclose(again.with_song[late], observed.with_song[late])


def test_expectations_are_calibrated(simulation: Simulation, observed: Observed) -> None:
    """The slope of the label on the expectation is 1: neither too bold nor too shy."""
    labels = observed_labels(simulation)
    for signal in range(4):
        seen = ~np.isnan(labels[:, signal])
        expected, label = observed.with_song[seen, signal], labels[seen, signal]
        slope = np.cov(expected, label)[0, 1] / expected.var()
        assert slope == pytest.approx(1, abs=0.2)
        assert expected.mean() == pytest.approx(label.mean(), abs=0.05)


def test_believed_traits_come_nearer_to_the_truth_than_the_population_mean(
    simulation: Simulation, observed: Observed
) -> None:
    """Of everybody's baseline, and of the taste of those whose log is long."""
    true, believed = simulation.listeners, believed_listeners(simulation, observed)
    heard = np.bincount(simulation.schedule.listener_of_play, minlength=len(true.taste)) > 30

    assert np.mean((believed.baseline - true.baseline) ** 2) < true.baseline.var(axis=0).mean()
    assert np.mean((believed.taste - true.taste)[heard] ** 2) < np.mean(true.taste[heard] ** 2)
    assert believed.tilt.shape == true.tilt.shape
