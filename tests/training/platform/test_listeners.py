"""Listeners differ as the parameters say, and clinical ones start lower."""

import numpy as np

from models.listening import Population
from training.platform.listeners import baseline_means, draw_listeners
from training.platform.parameters import ListenerParameters


def test_traits_have_the_promised_means_and_spreads(rng: np.random.Generator) -> None:
    parameters = ListenerParameters()
    listeners = draw_listeners(20_000, 8, parameters, rng)

    np.testing.assert_allclose(np.median(listeners.gain, 0), parameters.gain, rtol=0.02)
    np.testing.assert_allclose(listeners.taste.std(0), 1, atol=0.03)
    assert np.abs(listeners.rating_bias.std() - parameters.rating_spread) < 0.03
    assert ((listeners.inertia > 0) & (listeners.inertia < 1)).all()


def test_clinical_listeners_start_lower(rng: np.random.Generator) -> None:
    population = np.array([Population.CLINICAL, Population.CONSUMER])

    clinical, consumer = baseline_means(population, ListenerParameters())

    assert (clinical < consumer).all()
