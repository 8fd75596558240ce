"""Copycat learns to look where the production policy went: InfoNCE over the whole catalogue, early stopping."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from models.errors import ConfigError
from training.copycat import CopycatConfig, info_nce


def unit(*vectors: list[float]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(vectors), dim=-1)


def test_matches_the_value_worked_by_hand():
    """Cosines 1 and 0 at τ = .5 are logits 2 and 0: −log(e²/(e² + 1)) = log(1 + e⁻²) = 0.1269280."""
    loss = info_nce(unit([1.0, 0.0]), torch.tensor([0]), unit([1.0, 0.0], [0.0, 1.0]), temperature=0.5)

    assert_close(loss, torch.tensor([0.1269280]))


@given(st.integers(2, 30))
def test_looking_at_no_song_more_than_at_another_costs_log_n(song_count: int):
    targets = unit(*[[1.0, 2.0]] * song_count)

    assert_close(
        info_nce(unit([0.3, 1.0]), torch.tensor([0]), targets, temperature=0.1),
        torch.tensor([float(np.log(song_count))]),
    )


def test_the_loss_falls_as_the_policy_turns_toward_the_song_that_was_played():
    targets = unit([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0])
    toward = [
        float(info_nce(unit([x, 1.0 - x]), torch.tensor([0]), targets, temperature=0.2)) for x in (0.0, 0.5, 1.0)
    ]

    assert toward[0] > toward[1] > toward[2] > 0


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ConfigError, match="temperature"):
        CopycatConfig(temperature=0.0)
