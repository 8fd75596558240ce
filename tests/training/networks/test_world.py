"""A world model predicts from the past and the candidate alone, and the same however it is asked."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from models.affect import Signal
from tests.training.invented import NAMES
from training.networks.encoder import EncoderConfig
from training.networks.world import Ensemble, WorldModel, WorldModelConfig

SONG, FEATURES = 5, len(NAMES)
MEAN = np.array([0.7, 0.86, 0.45, 0.4])


def fresh(seed: int = 0) -> WorldModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = WorldModelConfig(encoder=EncoderConfig(width=16, blocks=2, heads=2), hidden=24)
        return WorldModel(config, song_width=SONG, standard=np.eye(FEATURES, dtype=np.float32), mean=MEAN).eval()


def drawn_far(seed: int = 0) -> WorldModel:
    """Return a model whose every weight, the linear part's too, is far from its beginning."""
    model, random = fresh(seed), torch.Generator().manual_seed(seed)
    linear = [model.linear.summary, model.linear.song, model.linear.taste, model.linear.offset]
    with torch.no_grad():
        for weights in (*model.parameters(), *linear):
            weights.add_(0.1 * torch.randn(weights.shape, generator=random))
    return model


def history(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    song = torch.from_numpy(rng.normal(size=(batch, length, SONG)).astype(np.float32))
    return song, torch.from_numpy(rng.integers(0, 2, (batch, length, FEATURES)).astype(np.float32))


MODEL = drawn_far()


def test_before_training_every_signal_is_predicted_at_its_mean():
    predicted = fresh()(*history(2, 6)).sigmoid()

    assert_close(predicted, torch.from_numpy(MEAN).float().expand(2, 6, 4))


@given(st.integers(2, 12), st.data())
def test_neither_later_tokens_nor_ones_own_feedback_change_a_prediction(length: int, data: st.DataObject):
    changed = data.draw(st.integers(0, length - 1))
    song, features = history(1, length)
    before = MODEL(song, features)
    features[:, changed:] = 1.0 - features[:, changed:]
    song[:, changed + 1 :] += 1.0

    assert_close(MODEL(song, features)[:, : changed + 1], before[:, : changed + 1])


def test_padding_changes_nothing():
    song, features = history(2, 9)
    pad = torch.nn.functional.pad

    assert_close(
        MODEL.states(pad(song, (0, 0, 0, 5)), pad(features, (0, 0, 0, 5)))[:, :10], MODEL.states(song, features)
    )


def test_a_listener_alone_is_predicted_as_among_others():
    song, features = history(4, 6)

    assert_close(MODEL(song[1:2], features[1:2]), MODEL(song, features)[1:2])


def test_a_song_is_worth_the_same_alone_and_among_candidates():
    song, features = history(3, 6)
    state, candidates = MODEL.states(song, features)[:, -1], torch.randn(3, 10, SONG)

    together = MODEL.predict(state[:, None], candidates)
    assert together.shape == (3, 10, 4)
    assert_close(MODEL.predict(state, candidates[:, 4]), together[:, 4])


def test_an_earlier_song_of_the_session_moves_affect_by_its_effect_faded_once():
    """Only the linear part speaks: a song's share as the last play is .95 of its share as the candidate."""
    model = fresh()
    with torch.no_grad():
        model.linear.song[:, Signal.VALENCE] = torch.arange(SONG).float()
    song, features = torch.ones(1, 1, SONG), torch.zeros(1, 1, FEATURES)
    states = model.states(song, features)
    nothing = torch.zeros(1, SONG)

    as_candidate = model.predict(states[:, 0], song[:, 0]) - model.predict(states[:, 0], nothing)
    as_last_play = model.predict(states[:, 1], nothing) - model.predict(states[:, 0], nothing)
    assert_close(as_last_play[:, Signal.VALENCE], 0.95 * as_candidate[:, Signal.VALENCE])
    assert_close(as_last_play[:, Signal.ENGAGEMENT], torch.zeros(1))


def test_the_ensemble_asks_every_member():
    members = [drawn_far(seed) for seed in range(3)]
    song, features = history(2, 5)
    ensemble, candidates = Ensemble(members), torch.randn(2, 7, SONG)
    states = ensemble.states(song, features)
    predicted = ensemble.predict(states[:, :, -1], candidates)

    assert predicted.shape == (2, 3, 7, 4)
    assert_close(
        predicted[:, 1], members[1].predict(members[1].states(song, features)[:, -1, None], candidates).sigmoid()
    )
