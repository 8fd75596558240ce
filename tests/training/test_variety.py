"""Widening multiplies what is a listener's own in the wanted direction, and is the least that suffices."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from models.errors import ConfigError
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.policy import PolicyNetwork
from training.variety import Variety, first_song_count, least_widening, widened

TARGETS = F.normalize(torch.randn(300, 4, generator=torch.Generator().manual_seed(0)), dim=1).numpy()
STATE = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))


def policy(common: float) -> PolicyNetwork:
    """Return a policy whose wanted directions share so much of one direction."""
    encoder = HistoryEncoder(
        EncoderConfig(width=8, blocks=1, heads=2), song_width=3, standard=np.eye(16, dtype=np.float32)
    )
    network = PolicyNetwork(encoder, target_width=4)
    with torch.no_grad():
        network.output.weight.copy_(
            nn.init.orthogonal_(torch.empty(4, 8), generator=torch.Generator().manual_seed(2))
        )
        network.output.bias.copy_(torch.tensor([common, 0.0, 0.0, 0.0]))
    return network


def count(network: PolicyNetwork) -> int:
    with torch.no_grad():
        return first_song_count(network.wanted(STATE), TARGETS)


def test_widening_keeps_the_mean_and_multiplies_the_deviations():
    network = policy(1.0)
    with torch.no_grad():
        before, after = network.output(STATE), widened(network, STATE, 0.5).output(STATE)

    assert_allclose(after.mean(dim=0), before.mean(dim=0), atol=1e-6)
    assert_allclose(after - after.mean(dim=0), 1.5 * (before - before.mean(dim=0)), atol=1e-6)


def test_no_widening_changes_nothing_and_the_policy_given_stays_as_it_is():
    network = policy(1.0)
    weight = network.output.weight.clone()

    assert_allclose(widened(network, STATE, 0.0).output.weight.detach(), weight.detach())
    widened(network, STATE, 1.0)
    assert torch.equal(network.output.weight, weight)


def test_a_policy_that_is_varied_enough_is_not_widened():
    network = policy(0.1)

    assert least_widening(network, STATE, TARGETS, reference_count=count(network), variety=Variety(share=1.0)) == 0


def test_the_least_widening_brings_the_songs_back():
    reference, tuned = policy(0.5), policy(1.5)
    assert count(tuned) < count(reference)
    variety = Variety(share=1.0, widest=8.0)

    widening = least_widening(tuned, STATE, TARGETS, reference_count=count(reference), variety=variety)

    assert count(widened(tuned, STATE, widening)) >= count(reference)
    assert count(widened(tuned, STATE, widening - 8 / 16)) < count(reference)


def test_where_even_the_widest_does_not_suffice_it_is_what_is_used():
    widening = least_widening(
        policy(1.0), STATE, TARGETS, reference_count=10_000, variety=Variety(share=1.0, widest=0.5)
    )

    assert widening == 0.5


def test_a_negative_share_or_widening_is_refused():
    with pytest.raises(ConfigError, match="at least 0"):
        Variety(share=-0.1)
