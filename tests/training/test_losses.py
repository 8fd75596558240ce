"""Squared error on engagement, valence and arousal, cross-entropy on the rating, and only where observed."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from training.losses import feedback_losses

NAN = float("nan")


def test_matches_the_values_worked_by_hand():
    """σ(0) = .5: (.5 − .75)² = .0625 and −log .5 = .6931472; σ(log 3) = .75: (.75 − 1)² = .0625 and .0."""
    logits = torch.tensor([[0.0, 0.0, 1.0986123, -1.0986123]])
    targets = torch.tensor([[0.75, 1.0, 1.0, 0.25]])

    assert_close(feedback_losses(logits, targets), torch.tensor([[0.0625, 0.6931472, 0.0625, 0.0]]))


def test_what_was_not_observed_costs_nothing_and_teaches_nothing():
    logits = torch.tensor([[3.0, -2.0, 1.0, 0.5]], requires_grad=True)
    losses = feedback_losses(logits, torch.tensor([[NAN, NAN, NAN, 0.5]]))
    losses.sum().backward()

    assert_close(losses[:, :3], torch.zeros(1, 3))
    assert_close(logits.grad[:, :3], torch.zeros(1, 3))
    assert logits.grad[0, 3] != 0


@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_no_loss_is_below_zero_or_not_finite(logits: list[float], targets: list[float]):
    targets[1] = round(targets[1])
    losses = feedback_losses(torch.tensor([logits]), torch.tensor([targets]))

    assert bool((losses >= 0).all())
    assert bool(losses.isfinite().all())
