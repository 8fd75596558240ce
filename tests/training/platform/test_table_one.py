"""At paper scale the platform reproduces the paper's Table 1 within 3% and its label SDs within 10%."""

import pytest

from training.platform.as_log import simulated_log
from training.platform.parameters import PAPER, PlatformParameters
from training.platform.simulate import Simulation, simulate
from training.platform.table_one import Statistic, count_statistics, spread_statistics


def check_against_the_paper(seed: int) -> None:
    log = simulated_log(simulate(PlatformParameters(), PAPER, seed))

    for statistic in count_statistics(log):
        assert abs(statistic.deviation) < 0.03, statistic
    for statistic in spread_statistics(log):
        assert abs(statistic.deviation) < 0.10, statistic


def test_table_one_is_met_at_paper_scale() -> None:
    check_against_the_paper(seed=0)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(1, 10))
def test_table_one_is_met_whatever_the_seed(seed: int) -> None:
    check_against_the_paper(seed)


def test_counts_are_counted_from_the_log(simulation: Simulation) -> None:
    counts = {statistic.name: statistic.value for statistic in count_statistics(simulated_log(simulation))}

    assert counts["users"] == 120
    assert counts["song catalogue size"] == 600
    assert counts["positive ratings"] == simulation.size.positive_rating_count


def test_a_deviation_is_relative_to_the_paper() -> None:
    assert Statistic(name="users", value=930, paper=1_000).deviation == pytest.approx(-0.07)
