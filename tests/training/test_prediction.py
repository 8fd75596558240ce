"""What is predicted of a logged play is what is predicted of its song after the history before it."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tests.training.invented import NAMES, SONG_COUNT, SONG_WIDTH, invent_histories
from training.networks.encoder import EncoderConfig
from training.networks.inputs import EVERYTHING, Inputs
from training.networks.positions import Rotary
from training.networks.standard import StandardWorldModelConfig
from training.networks.standardisation import standardisation
from training.networks.world import Architecture, WorldForm, WorldModelConfig
from training.prediction import ask_candidates, predict_histories

HISTORIES = invent_histories(12)
EVERYBODY = np.arange(12)
ENCODER = EncoderConfig(width=8, blocks=1, heads=2, positions=Rotary())
LOOKBACK = 64
"""Longer than any history."""


def drawn(architecture: Architecture) -> WorldForm:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        standard = standardisation(HISTORIES.columns.features, NAMES)
        model = architecture.draw(song_width=SONG_WIDTH, standard=standard, mean=np.full(4, 0.5)).eval()
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(0.3 * torch.randn(weights.shape))
            model.linear.song.add_(torch.randn(model.linear.song.shape))
    return model


def without_last_play() -> tuple:
    """Return the histories without each listener's last token, and the songs that were played there."""
    last = HISTORIES.columns.start[1:] - 1
    return last, HISTORIES.song_row[last]


@pytest.mark.parametrize("form", [WorldModelConfig, StandardWorldModelConfig])
@pytest.mark.parametrize("inputs", [EVERYTHING, Inputs(feedback=False), Inputs(lookback=3), Inputs(lookback=0)])
def test_a_song_asked_for_is_predicted_as_the_play_it_became(form: type, inputs: Inputs):
    """Of a history whose last token is forgotten, the song of that token is asked."""
    model = drawn(form(encoder=ENCODER, hidden=8, inputs=inputs))
    whole = predict_histories([model], HISTORIES, EVERYBODY, lookback=LOOKBACK)[0]
    last, songs = without_last_play()
    shorter = type(HISTORIES.columns)(
        song=np.delete(HISTORIES.columns.song, last),
        features=np.delete(HISTORIES.columns.features, last, axis=0),
        start=HISTORIES.columns.start - np.arange(13),
    )
    before = type(HISTORIES)(
        columns=shorter,
        song_row=np.delete(HISTORIES.song_row, last),
        song_vectors=HISTORIES.song_vectors,
        targets=np.delete(HISTORIES.targets, last, axis=0),
    )
    asked = ask_candidates(model, before, EVERYBODY, songs[:, None], lookback=LOOKBACK)

    assert_allclose(asked[:, 0], whole[last], atol=1e-5)


def test_without_a_history_every_listener_is_predicted_alike():
    model = drawn(WorldModelConfig(encoder=ENCODER, hidden=8, inputs=Inputs(lookback=0)))
    songs = np.tile(np.arange(SONG_COUNT), (12, 1))
    asked = ask_candidates(model, HISTORIES, EVERYBODY, songs, lookback=LOOKBACK)

    assert_allclose(asked, np.tile(asked[:1], (12, 1, 1)), atol=1e-6)


def test_without_the_candidate_every_song_is_predicted_alike():
    model = drawn(WorldModelConfig(encoder=ENCODER, hidden=8, inputs=Inputs(candidate=False)))
    asked = ask_candidates(model, HISTORIES, EVERYBODY, np.tile(np.arange(5), (12, 1)), lookback=LOOKBACK)

    assert_allclose(asked, np.tile(asked[:, :1], (1, 5, 1)), atol=1e-6)


def test_whoever_was_not_asked_for_has_no_prediction():
    model = drawn(WorldModelConfig(encoder=ENCODER, hidden=8))
    predicted = predict_histories([model], HISTORIES, np.array([3]), lookback=LOOKBACK)[0]
    rows = HISTORIES.tokens_of(np.array([3]))

    assert np.isfinite(predicted[rows]).all()
    assert np.isnan(np.delete(predicted, rows, axis=0)).all()


def test_nobody_asked_is_an_empty_answer():
    model = drawn(WorldModelConfig(encoder=ENCODER, hidden=8))

    assert ask_candidates(model, HISTORIES, EVERYBODY[:0], np.zeros((0, 3), int), lookback=8).shape == (0, 3, 4)
    assert predict_histories([], HISTORIES, EVERYBODY, lookback=8).shape == (0, *HISTORIES.targets.shape)
