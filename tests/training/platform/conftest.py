"""One small simulation, run once: the tests only read it."""

import pytest

from training.platform.parameters import PlatformParameters, sized_like_paper
from training.platform.simulate import Simulation, simulate
from training.platform.truth import Truth


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return simulate(PlatformParameters(), sized_like_paper(120, 600), seed=7)


@pytest.fixture(scope="session")
def truth(simulation: Simulation) -> Truth:
    return Truth(simulation)
