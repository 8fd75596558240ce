"""The linear part hears every song of the session, and a candidate that is to the listener's taste pleases."""

import torch
from torch.testing import assert_close

from models.affect import Signal
from tests.training.invented import NAMES
from training.networks.linear_part import LinearPart, running_tastes

F, K = len(NAMES), 2


def plays(engagements: list[float]) -> torch.Tensor:
    features = torch.zeros(1, len(engagements), F)
    features[0, :, 0], features[0, :, 4] = torch.tensor(engagements), 1.0
    return features


def silent() -> LinearPart:
    return LinearPart(song_width=K, standard=torch.eye(F), offset=torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_unfitted_it_says_its_offset():
    state = silent()(torch.randn(1, 3, K), plays([0.5, 0.5, 0.5]))

    assert_close(silent().predict(state, torch.randn(1, 4, K))[0, 0], torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_taste_matches_the_value_worked_by_hand():
    """Song (1, 0) heard at 1 and (0, 1) at −.5, sixteen prior songs: (1/17, 0), then (1, −.5)/18."""
    song = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    tastes = running_tastes(song, plays([1.0, -0.5]), torch.eye(F))

    assert_close(tastes[0, :, 0], torch.tensor([[1 / 17, 0.0], [1 / 18, -0.5 / 18]]))
    assert_close(tastes[0, :, 1], torch.zeros(2, K))


def test_a_song_to_ones_taste_is_heard_longer_and_its_opposite_less():
    part = silent()
    part.taste[0, 0] = 17.0
    state = part(torch.tensor([[[1.0, 0.0]]]), plays([1.0]))[:, -1]
    candidates = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])

    engagement = part.predict(state, candidates)[:, Signal.ENGAGEMENT]
    assert_close(engagement - 0.1, torch.tensor([1.0, -1.0, 0.0]))


def test_every_song_of_the_session_moves_affect_faded_once_for_each_song_since():
    """Effects 1, 2 and the candidate's 4: .95² + .95·2 + 4 = 6.8025."""
    part = silent()
    part.song[0, Signal.VALENCE] = 1.0
    song = torch.tensor([[[1.0, 0.0], [2.0, 0.0]]])
    state = part(song, plays([0.0, 0.0]))[:, -1]

    assert_close(part.predict(state, torch.tensor([[4.0, 0.0]]))[:, Signal.VALENCE], torch.tensor([0.3 + 6.8025]))
