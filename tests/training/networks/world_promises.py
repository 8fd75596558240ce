"""What a world model of either form promises: it predicts from the past and the candidate alone, however asked."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tests.training.invented import NAMES
from training.networks.encoder import EncoderConfig
from training.networks.positions import NO_POSITIONS, PositionEncoding, Rotary
from training.networks.world import Architecture, WorldForm

SONG, FEATURES = 5, len(NAMES)
MEAN = np.array([0.7, 0.86, 0.45, 0.4])


def encoder(positions: PositionEncoding = NO_POSITIONS) -> EncoderConfig:
    return EncoderConfig(width=16, blocks=2, heads=2, positions=positions)


def fresh(architecture: Architecture, seed: int = 0) -> WorldForm:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        standard = np.eye(FEATURES, dtype=np.float32)
        return architecture.draw(song_width=SONG, standard=standard, mean=MEAN).eval()


def drawn_far(architecture: Architecture, seed: int = 0) -> WorldForm:
    """Return a model whose every weight, the linear part's too, is far from its beginning."""
    model, random = fresh(architecture, seed), torch.Generator().manual_seed(seed)
    linear = [model.linear.summary, model.linear.song, model.linear.taste, model.linear.offset]
    with torch.no_grad():
        for weights in (*model.parameters(), *linear):
            weights.add_(0.1 * torch.randn(weights.shape, generator=random))
    return model


def history(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    song = torch.from_numpy(rng.normal(size=(batch, length, SONG)).astype(np.float32))
    return song, torch.from_numpy(rng.integers(0, 2, (batch, length, FEATURES)).astype(np.float32))


class WorldPromises:
    """Inherited by the tests of each form, which say how it is drawn."""

    def architecture(self, positions: PositionEncoding) -> Architecture:
        raise NotImplementedError

    @pytest.fixture(params=[NO_POSITIONS, Rotary()], ids=["no positions", "rotary"])
    def model(self, request: pytest.FixtureRequest) -> WorldForm:
        return drawn_far(self.architecture(request.param))

    def test_before_training_every_signal_is_predicted_at_its_mean(self):
        song, features = history(2, 6)
        predicted = fresh(self.architecture(NO_POSITIONS))(song, features, song).sigmoid()

        assert_close(predicted, torch.from_numpy(MEAN).float().expand(2, 6, 4))

    @pytest.mark.parametrize("changed", range(9))
    def test_neither_later_tokens_nor_ones_own_feedback_change_a_prediction(self, model: WorldForm, changed: int):
        song, features = history(1, 9)
        before = model(song, features, song)
        features[:, changed:] = 1.0 - features[:, changed:]
        later = song.clone()
        later[:, changed + 1 :] += 1.0
        after = model(later, features, later)

        assert_close(after[:, : changed + 1], before[:, : changed + 1])

    def test_feedback_and_candidate_both_matter(self, model: WorldForm):
        song, features = history(1, 4)
        other_song, other_features = song.clone(), features.clone()
        other_song[:, -1] += 1.0
        other_features[:, 2] = 1.0 - other_features[:, 2]
        before = model(song, features, song)[:, -1]

        assert not torch.allclose(model(other_song, features, other_song)[:, -1], before)
        assert not torch.allclose(model(song, other_features, song)[:, -1], before)

    def test_a_song_asked_for_after_a_history_is_worth_what_it_is_in_the_history(self, model: WorldForm):
        song, features = history(3, 7)
        length = torch.tensor([6, 4, 0])
        asked = model.ask(song[:, :6], features[:, :6], length, song[torch.arange(3), length, None])
        in_place = model(song, features, song)[torch.arange(3), length]

        assert_close(asked[:, 0], in_place)

    def test_a_song_is_worth_the_same_alone_and_among_candidates(self, model: WorldForm):
        song, features = history(3, 6)
        length, candidates = torch.tensor([6, 2, 5]), torch.randn(3, 10, SONG)
        together = model.ask(song, features, length, candidates)

        assert together.shape == (3, 10, 4)
        assert_close(model.ask(song, features, length, candidates[:, 4:5]), together[:, 4:5])

    def test_padding_and_neighbours_change_nothing(self, model: WorldForm):
        song, features = history(4, 9)
        pad = torch.nn.functional.pad
        padded_song, padded = pad(song, (0, 0, 0, 5)), pad(features, (0, 0, 0, 5))
        everybody = model(padded_song, padded, padded_song)

        assert_close(everybody[1:2, :9], model(song[1:2], features[1:2], song[1:2]))
