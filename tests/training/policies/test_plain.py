"""Greedy puts first what the world models think best, and asks them for no more than its utility reads."""

import numpy as np
from numpy.testing import assert_allclose

from models.utility import PAPER_UTILITY
from tests.training import small_run
from tests.training.policies.moments import start_moment
from training.policies.plain import Greedy


def test_a_utility_of_affect_alone_scores_as_if_behaviour_had_been_predicted():
    moment, world = start_moment(), small_run.world()
    predicted = world.mean_predicted(moment.states.now)
    mode = np.broadcast_to(moment.mode[:, None], predicted.shape[:-1])

    assert_allclose(
        Greedy(world, PAPER_UTILITY).scores(moment), PAPER_UTILITY.value(predicted, mode), rtol=1e-4, atol=1e-6
    )
