"""Rotary encoding turns pairs by their place, so that a score hangs on the distance alone; none does nothing."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from models.errors import ConfigError
from training.networks.positions import NO_POSITIONS, Rotary


def test_matches_the_turn_worked_by_hand():
    """Four numbers are two pairs, (1, 0) and (0, 1); at place 3 they turn by 3 and by 3/100 radians."""
    turned = Rotary()(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), torch.tensor([3]))

    assert_close(turned, torch.tensor([[math.cos(3), -math.sin(0.03), math.sin(3), math.cos(0.03)]]))


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_a_score_hangs_on_the_distance_alone(one: int, other: int, shift: int):
    query, key = torch.randn(1, 8, dtype=torch.float64), torch.randn(1, 8, dtype=torch.float64)

    def score(at: int, of: int) -> torch.Tensor:
        return (Rotary()(query, torch.tensor([at])) * Rotary()(key, torch.tensor([of]))).sum()

    assert_close(score(one + shift, other + shift), score(one, other))


def test_lengths_stay_and_the_first_place_is_no_turn():
    vectors = torch.randn(2, 3, 5, 8)
    turned = Rotary()(vectors, torch.arange(5))

    assert_close(turned.norm(dim=-1), vectors.norm(dim=-1))
    assert_close(turned[..., 0, :], vectors[..., 0, :])


def test_no_positions_change_nothing():
    vectors = torch.randn(2, 5, 8)

    assert torch.equal(NO_POSITIONS(vectors, torch.arange(5)), vectors)


def test_odd_heads_and_a_base_of_one_are_refused():
    with pytest.raises(ConfigError, match="even width; got 3"):
        Rotary()(torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(ConfigError, match="base above 1"):
        Rotary(base=1.0)
