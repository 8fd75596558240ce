"""What is a listener's own in what is wanted is widened as told, and flattened by the least that suffices."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from models.errors import ConfigError
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.policy import PolicyNetwork
from training.variety import LET_GO, Variety, first_song_count, least_flattening, varied

TARGETS = F.normalize(torch.randn(300, 4, generator=torch.Generator().manual_seed(0)), dim=1).numpy()
STATE = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
LENGTHS = torch.tensor([1.0, 0.5, 0.02, 0.02])
"""Listeners differ along the first two directions, as along genres."""


def policy(common: float) -> PolicyNetwork:
    """Return a policy whose wanted directions share so much of one direction."""
    encoder = HistoryEncoder(
        EncoderConfig(width=8, blocks=1, heads=2), song_width=3, standard=np.eye(16, dtype=np.float32)
    )
    network = PolicyNetwork(encoder, target_width=4)
    with torch.no_grad():
        across = nn.init.orthogonal_(torch.empty(4, 8), generator=torch.Generator().manual_seed(2))
        network.output.weight.copy_(LENGTHS[:, None] * across)
        network.output.bias.copy_(torch.tensor([common, 0.0, 0.0, 0.0]))
    return network


def count(network: PolicyNetwork) -> int:
    with torch.no_grad():
        return first_song_count(network.wanted(STATE), TARGETS)


def deviations(network: PolicyNetwork) -> torch.Tensor:
    with torch.no_grad():
        wanted = network.output(STATE)
    return wanted - wanted.mean(dim=0)


@pytest.mark.parametrize("flattening", [0.0, 0.4, 1.0])
def test_the_mean_over_listeners_stays(flattening: float):
    network = policy(1.0)
    with torch.no_grad():
        before = network.output(STATE).mean(dim=0)
        after = varied(network, STATE, widening=0.5, flattening=flattening).output(STATE).mean(dim=0)

    assert_allclose(after, before, atol=1e-6)


def test_widening_multiplies_the_deviations():
    network = policy(1.0)

    wide = varied(network, STATE, widening=0.5, flattening=0.0)

    assert_allclose(deviations(wide), 1.5 * deviations(network), atol=1e-6)


def test_flattening_raises_every_ratio_of_lengths_to_one_minus_its_power():
    network = policy(1.0)
    before = torch.linalg.svdvals(deviations(network))

    for power in (0.25, 0.5, 1.0):
        after = torch.linalg.svdvals(deviations(varied(network, STATE, widening=0.0, flattening=power)))

        assert_allclose(after[0], before[0], rtol=1e-5)
        assert_allclose(after / after[0], (before / before[0]) ** (1 - power), rtol=1e-4)


def test_flattening_brings_songs_that_widening_does_not():
    network = policy(1.0)

    wide = varied(network, STATE, widening=4.0, flattening=0.0)
    flat = varied(network, STATE, widening=0.0, flattening=0.8)

    assert count(flat) > 1.2 * count(wide)


def test_nothing_done_changes_nothing_and_the_policy_given_stays_as_it_is():
    network = policy(1.0)
    weight = network.output.weight.clone()

    same = varied(network, STATE, widening=0.0, flattening=0.0)
    varied(network, STATE, widening=1.0, flattening=1.0)

    assert_allclose(same.output.weight.detach(), weight.detach(), atol=1e-6)
    assert torch.equal(network.output.weight, weight)


def test_directions_along_which_nobody_differs_are_lengthened_by_no_more_than_a_bound():
    network = policy(1.0)
    with torch.no_grad():
        network.output.weight[3].zero_()

    flat = varied(network, STATE, widening=0.0, flattening=1.0)

    assert torch.isfinite(flat.output.weight).all()
    assert float(flat.output.weight.detach().abs().max()) < 1_000


def test_a_policy_that_is_varied_enough_is_not_flattened():
    network = policy(0.1)
    variety = Variety(share=1.0, widening=0.0)

    assert least_flattening(network, STATE, TARGETS, reference_count=count(network), variety=variety) == 0
    assert least_flattening(network, STATE, TARGETS, reference_count=10_000, variety=LET_GO) == 0


def test_the_least_flattening_brings_the_songs_back():
    reference, tuned = policy(0.5), policy(1.5)
    assert count(tuned) < count(reference)
    variety = Variety(share=1.0, widening=0.0, flattest=0.8)

    power = least_flattening(tuned, STATE, TARGETS, reference_count=count(reference), variety=variety)

    assert count(varied(tuned, STATE, widening=0.0, flattening=power)) >= count(reference)
    assert count(varied(tuned, STATE, widening=0.0, flattening=power - 0.8 / 16)) < count(reference)


def test_where_even_the_flattest_does_not_suffice_it_is_what_is_used():
    variety = Variety(share=1.0, flattest=0.25)

    assert least_flattening(policy(1.0), STATE, TARGETS, reference_count=10_000, variety=variety) == 0.25


@pytest.mark.parametrize("wrong", [{"share": -0.1}, {"widening": -1.0}, {"flattest": 1.5}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigError, match=r"at least 0, and flattest in \[0, 1\]"):
        Variety(**wrong)
