"""The DPO loss rewards preferring the preferred song more firmly than the reference does, within a KL budget."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch.nn import functional as F
from torch.testing import assert_close

from models.errors import ConfigError
from tests.training import small_run
from training.dpo import DpoConfig, catalogue_kl, dpo_loss, margins, optimise_preferences
from training.judging import EnsembleJudge, situation_states
from training.situations import draw_windows, situations_in
from training.variety import LET_GO

SEEDS = st.integers(0, 2**31)


def units(seed: int, *shape: int) -> torch.Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(drawn, dim=-1)


def test_matches_the_value_worked_by_hand():
    """β·(2 − (−1)) = 0.5·3 = 1.5, and −log σ(1.5) = log(1 + e^−1.5) = 0.2014133."""
    loss = dpo_loss(torch.tensor([2.0]), torch.tensor([-1.0]), beta=0.5)

    assert_close(loss, torch.tensor([0.2014133]))


@given(st.floats(-50, 50), st.floats(0.01, 5))
def test_agreeing_with_the_reference_costs_log_2(margin: float, beta: float):
    loss = dpo_loss(torch.tensor([margin]), torch.tensor([margin]), beta=beta)

    assert_close(loss, torch.tensor([float(np.log(2))]))


def test_a_doubtful_label_is_smoothed_as_worked_by_hand():
    """.9·log(1 + e^−1.5) + .1·log(1 + e^1.5) = .9·.2014133 + .1·1.7014133 = 0.3514133."""
    loss = dpo_loss(torch.tensor([2.0]), torch.tensor([-1.0]), beta=0.5, doubt=torch.tensor([0.1]))

    assert_close(loss, torch.tensor([0.3514133]))


@given(SEEDS)
def test_a_margin_is_the_difference_of_log_softmaxes_over_the_catalogue(seed: int):
    wanted, targets = units(seed, 3, 4), units(seed + 1, 7, 4)
    preferred, rejected = torch.tensor([0, 1, 2]), torch.tensor([6, 5, 4])

    log_policy = F.log_softmax(wanted @ targets.T / 0.05, dim=-1)
    rows = torch.arange(3)
    assert_close(
        margins(wanted, targets[preferred], targets[rejected], temperature=0.05),
        log_policy[rows, preferred] - log_policy[rows, rejected],
    )


@given(SEEDS)
def test_the_kl_is_that_of_the_two_softmaxes(seed: int):
    wanted, reference, targets = units(seed, 70, 4), units(seed + 1, 70, 4), units(seed + 2, 7, 4)

    policy, held = (F.log_softmax(each @ targets.T / 0.2, dim=-1) for each in (wanted, reference))
    expected = (policy.exp() * (policy - held)).sum(dim=-1)
    assert_close(catalogue_kl(wanted, reference, targets, temperature=0.2), expected)


@given(SEEDS)
def test_the_kl_is_zero_against_itself_and_never_below(seed: int):
    wanted, other, targets = units(seed, 3, 4), units(seed + 1, 3, 4), units(seed + 2, 7, 4)

    assert_close(catalogue_kl(wanted, wanted, targets, temperature=0.1), torch.zeros(3, dtype=torch.float64))
    assert (catalogue_kl(wanted, other, targets, temperature=0.1) >= -1e-12).all()


def test_the_kl_matches_the_value_worked_by_hand():
    """Two songs at right angles, τ = 1: (e, 1)/(e+1) against its mirror: KL = (e−1)/(e+1) = 0.4621172."""
    targets = torch.eye(2)
    kl = catalogue_kl(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), targets, temperature=1.0)

    assert_close(kl, torch.tensor([0.4621172]))


@pytest.mark.parametrize("name", ["beta", "temperature", "learning_rate", "kl_budget_nats"])
def test_a_setting_of_zero_is_refused(name: str):
    with pytest.raises(ConfigError, match=name):
        DpoConfig(**{name: 0.0})


def test_the_policy_moves_away_from_the_reference_but_never_past_the_budget():
    """Every look but the last lies within the budget; the network is that of the last one within."""
    made, reference = small_run.material(), small_run.reference()
    histories, listening = made.histories, made.listening
    windows = draw_windows(listening, made.split.train, small_run.PRESET.windows, np.random.default_rng(0))
    everything = np.ones(len(histories.song_row), bool)
    situations = situations_in(
        windows.in_columns(histories),
        histories,
        listening,
        everything,
        per_window=2,
        rng=np.random.default_rng(1),
    )
    judge = EnsembleJudge(
        world=small_run.world(),
        state=situation_states(small_run.world(), histories, situations),
        mode=situations.mode,
        utility=small_run.UTILITY,
    )
    config = DpoConfig(steps=80, learning_rate=5e-4, kl_budget_nats=0.05, variety=LET_GO, look_every=2)
    first, again = (
        optimise_preferences(
            reference,
            histories,
            situations,
            situations,
            judge=judge,
            recipe=small_run.RECIPE.pairs,
            config=config,
            rng=np.random.default_rng(2),
        )
        for _ in range(2)
    )

    kls = [look.kl_nats for look in first.looks]
    assert kls[0] > 0
    assert all(kl <= 0.05 for kl in kls[:-1])
    assert kls[-1] > 0.05  # so fast a learner meets the budget before its last step
    assert first.looks == again.looks
    assert not torch.equal(first.network.output.weight, reference.network.output.weight)
    assert torch.equal(first.network.output.weight, again.network.output.weight)
