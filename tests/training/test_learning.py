"""What a recipe makes of Copycat hangs on the recipe, its draws and nothing else; without a pair it says so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.errors import DataError
from tests.training import small_run
from training.learning import Draws, FineTuned, PolicyWindows, Recipe, fine_tune, pair_situations
from training.pairs import NegativeHistoryPairs
from training.streams import TrainStream
from training.trained import PolicyOver


def windows() -> PolicyWindows:
    return PolicyWindows.of(small_run.material(), small_run.PRESET, seed=0)


def tuned(draws: Draws, recipe: Recipe = small_run.RECIPE) -> FineTuned:
    made, preset = small_run.material(), small_run.PRESET
    return fine_tune(small_run.reference(), recipe, made, windows(), small_run.world(), preset, draws)


def same_weights(one: PolicyOver, other: PolicyOver) -> bool:
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_same_draws_give_the_same_policy():
    one, again, other = (tuned(Draws.from_one(np.random.default_rng(seed))) for seed in (0, 0, 1))

    assert same_weights(one.policy, again.policy)
    assert one.looks == again.looks != other.looks


def test_a_recipe_leads_copycat_as_far_as_its_own_budget_goes():
    near, far = (tuned(Draws.of_run(0), replace(small_run.RECIPE, kl_budget_nats=nats)) for nats in (1e-9, np.inf))

    assert near.looks[-1].kl_nats > 1e-9
    assert same_weights(near.policy, small_run.reference())
    assert not same_weights(far.policy, small_run.reference())


def test_a_training_run_draws_from_a_stream_for_each_and_a_study_from_one():
    rng, run = np.random.default_rng(0), Draws.of_run(3)
    study = Draws.from_one(rng)

    assert run.situations.random() == TrainStream.SITUATIONS.begin(3).random()
    assert run.spread.random() == TrainStream.PREDICTION_SPREAD.begin(3).random()
    assert run.validation.random() == TrainStream.VALIDATION_SITUATIONS.begin(3).random()
    assert run.steps.random() == TrainStream.DPO.begin(3).random()
    assert study.situations is study.spread is study.validation is study.steps is rng


def test_a_log_in_which_nothing_was_disliked_has_no_situation_for_the_papers_pairs():
    made, train = small_run.material(), windows().train
    liked = replace(made.histories, targets=np.ones_like(made.histories.targets))
    contented = replace(made, histories=liked)

    with pytest.raises(DataError, match=f"no play among {len(train)} windows suits NegativeHistoryPairs"):
        pair_situations(contented, train, NegativeHistoryPairs(), small_run.PRESET, np.random.default_rng(0))
