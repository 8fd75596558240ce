"""An oracle plays what is truly best among a policy's first songs; nobody can be asked who is not simulated."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import DataError
from models.utility import PAPER_UTILITY
from tests.training import small_run
from tests.training.policies.moments import start_moment
from training.choosing import best_rows
from training.policies.oracle import Oracle, believed, dealt
from training.policies.plain import Learned, Random

COPYCAT = Learned(small_run.reference())
DEPTH = 20


def oracle(**changes) -> Oracle:
    return replace(
        Oracle(policy=COPYCAT, truth=small_run.material().truth, utility=PAPER_UTILITY, depth=DEPTH), **changes
    )


def true_worth(song: np.ndarray) -> np.ndarray:
    expected = small_run.material().truth.expected(small_run.start().state, song[:, None])[:, 0]
    return PAPER_UTILITY.value(expected, np.zeros(len(song), np.int64))


def test_deals_out_the_same_scores_in_the_order_of_worth():
    scores = np.array([[0.9, 0.1, 0.7, 0.8]])

    again = dealt(scores, np.array([[0, 3, 2]]), np.array([[1.0, 2.0, 3.0]]))

    assert again.tolist() == [[0.7, 0.1, 0.9, 0.8]]


def test_the_first_song_is_the_best_of_the_policys_first():
    moment = start_moment()
    proposed = best_rows(COPYCAT.scores(moment), DEPTH)
    chosen = oracle().scores(moment).argmax(axis=1)

    best = np.max([true_worth(column) for column in proposed.T], axis=0)
    assert np.allclose(true_worth(chosen), best)
    assert np.array_equal(np.sort(best_rows(oracle().scores(moment), DEPTH)), np.sort(proposed))


def test_an_oracle_of_depth_one_is_the_policy():
    moment = start_moment()
    assert np.array_equal(oracle(depth=1).scores(moment), COPYCAT.scores(moment))


def test_the_predictors_belief_chooses_better_than_chance_and_no_better_than_the_truth():
    moment, everything = start_moment(), len(small_run.material().catalogue)
    chance = Random(everything)
    belief = believed(small_run.material().truth)

    def worth(**changes) -> float:
        chosen = oracle(policy=chance, depth=everything, **changes).scores(moment).argmax(axis=1)
        return float(true_worth(chosen).mean())

    at_random = float(true_worth(chance.scores(moment).argmax(axis=1)).mean())
    assert at_random < worth(truth=belief) <= worth()


def test_refuses_listeners_whose_truth_nobody_knows():
    with pytest.raises(DataError, match="not simulated"):
        oracle().scores(replace(start_moment(), true_state=None))
