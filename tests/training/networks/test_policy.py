"""A policy looks in one direction per prefix, of unit length, and its scores are cosines."""

import numpy as np
import torch
from torch.testing import assert_close

from tests.training.invented import NAMES
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.policy import PolicyNetwork, cosines


def made() -> PolicyNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        standard = np.eye(len(NAMES), dtype=np.float32)
        encoder = HistoryEncoder(EncoderConfig(width=16, heads=2), song_width=5, standard=standard)
        return PolicyNetwork(encoder, target_width=8).eval()


def test_what_is_wanted_has_unit_length_after_every_prefix():
    wanted = made()(torch.randn(2, 6, 5), torch.rand(2, 6, len(NAMES)))

    assert wanted.shape == (2, 7, 8)
    assert_close(wanted.norm(dim=-1), torch.ones(2, 7))


def test_a_song_in_the_wanted_direction_scores_one_and_its_opposite_minus_one():
    wanted = made()(torch.randn(1, 3, 5), torch.rand(1, 3, len(NAMES)))[0, -1]

    assert_close(cosines(wanted, torch.stack([wanted, -wanted])), torch.tensor([1.0, -1.0]))


def test_the_wanted_direction_is_one_linear_layer_of_the_state():
    network = made()
    song, features = torch.randn(2, 4, 5), torch.rand(2, 4, len(NAMES))
    plain = network.output(network.states(song, features))

    assert_close(network(song, features), plain / plain.norm(dim=-1, keepdim=True))
