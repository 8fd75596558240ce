"""The factorized world model keeps every promise, and its state is all that a candidate needs of the past."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from models.affect import Signal
from tests.training.networks.world_promises import (
    FEATURES,
    SONG,
    WorldPromises,
    drawn_far,
    encoder,
    fresh,
    history,
)
from training.networks.heads import FeedbackHead, PlainHead
from training.networks.positions import NO_POSITIONS, PositionEncoding, Rotary
from training.networks.world import Ensemble, WorldModel, WorldModelConfig


class TestFactorized(WorldPromises):
    def architecture(self, positions: PositionEncoding = NO_POSITIONS) -> WorldModelConfig:
        return WorldModelConfig(encoder=encoder(positions), hidden=24)


ARCHITECTURE = TestFactorized().architecture()
MODEL = drawn_far(ARCHITECTURE)


def test_padding_changes_no_state():
    song, features = history(2, 9)
    pad = torch.nn.functional.pad

    assert_close(
        MODEL.states(pad(song, (0, 0, 0, 5)), pad(features, (0, 0, 0, 5)))[:, :10], MODEL.states(song, features)
    )


@pytest.mark.parametrize("positions", [NO_POSITIONS, Rotary()])
def test_the_state_at_a_place_is_that_of_the_whole_pass(positions: PositionEncoding):
    """The last block is asked at those places alone; an empty history and the same place twice are places too."""
    model = drawn_far(TestFactorized().architecture(positions))
    song, features = history(3, 9)
    place = torch.tensor([[9, 8], [0, 4], [2, 2]])

    whole = model.states(song, features)[torch.arange(3)[:, None], place]
    assert_close(model.states_at(song, features, place), whole)
    assert_close(Ensemble([model, model]).states_at(song, features, place), torch.stack([whole, whole], dim=2))


def test_a_song_is_worth_the_same_alone_and_among_candidates():
    song, features = history(3, 6)
    state, candidates = MODEL.states(song, features)[:, -1], torch.randn(3, 10, SONG)

    together = MODEL.predict(state[:, None], candidates)
    assert together.shape == (3, 10, 4)
    assert_close(MODEL.predict(state, candidates[:, 4]), together[:, 4])


@pytest.mark.parametrize("head", [FeedbackHead, PlainHead])
def test_affect_asked_alone_is_the_same(head: type[FeedbackHead] | type[PlainHead]):
    """Of either head, by every member, and of the same songs for everybody."""
    model = drawn_far(replace(ARCHITECTURE, head=head))
    state, songs = model.states(*history(3, 6))[:, -1], torch.randn(10, SONG)
    asked = Ensemble([model]).predict_affect(state[:, None], songs)

    assert asked.shape == (3, 1, 10, 2)
    assert_close(asked[:, 0], model.predict(state[:, None], songs[None]).sigmoid()[..., Signal.VALENCE :])


def test_a_hidden_candidate_is_hidden_while_its_place_in_the_history_is_not():
    song, features = history(1, 5)
    nothing = torch.zeros_like(song)
    hidden = MODEL(song, features, nothing)

    assert_close(hidden[:, 2], MODEL(torch.cat([song[:, :2], nothing[:, 2:]], 1), features, nothing)[:, 2])
    assert not torch.allclose(hidden[:, 3], MODEL(nothing, features, nothing)[:, 3])


def test_an_earlier_song_of_the_session_moves_affect_by_its_effect_faded_once():
    """Only the linear part speaks: a song's share as the last play is .95 of its share as the candidate."""
    model = fresh(ARCHITECTURE)
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
    members: list[WorldModel] = [drawn_far(ARCHITECTURE, seed) for seed in range(3)]
    song, features = history(2, 5)
    ensemble, candidates = Ensemble(members), torch.randn(2, 7, SONG)
    states = ensemble.states(song, features)
    predicted = ensemble.predict(states[:, :, -1], candidates)

    assert predicted.shape == (2, 3, 7, 4)
    assert_close(
        predicted[:, 1], members[1].predict(members[1].states(song, features)[:, -1, None], candidates).sigmoid()
    )
