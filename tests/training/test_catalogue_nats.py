"""The cross-entropy over a catalogue, and its gradients, are those of the scores written out."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch.nn import functional as F
from torch.testing import assert_close

from training.catalogue_nats import catalogue_nats


@given(st.integers(0, 2**31), st.sampled_from([1, 2, 127, 128, 129, 300]))
def test_values_and_gradients_are_those_of_the_table(seed: int, plays: int):
    stream = torch.Generator().manual_seed(seed)
    query, songs = (
        torch.randn(count, 4, generator=stream, dtype=torch.float64, requires_grad=True) for count in (plays, 11)
    )
    played = torch.randint(11, (plays,), generator=stream)
    weight = torch.rand(plays, generator=stream, dtype=torch.float64)
    table = F.cross_entropy(query @ songs.T, played, reduction="none")

    assert_close(catalogue_nats(query, songs, played), table)
    found, expected = (
        torch.autograd.grad((each * weight).sum(), (query, songs))
        for each in (catalogue_nats(query, songs, played), table)
    )
    assert_close(found, expected)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_large_scores_overflow_nothing(scale: float):
    query, songs = torch.full((3, 2), scale), torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]])
    played = torch.tensor([0, 1, 2])

    assert_close(catalogue_nats(query, songs, played), F.cross_entropy(query @ songs.T, played, reduction="none"))


def test_no_play_costs_nothing():
    query = torch.zeros(0, 3, requires_grad=True)
    nats = catalogue_nats(query, torch.ones(5, 3), torch.zeros(0, dtype=torch.int64))
    nats.sum().backward()

    assert nats.shape == (0,)
    assert query.grad is not None
