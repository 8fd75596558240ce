"""A state knows what came before it and nothing else: not what comes later, not padding, not its neighbours."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from models.errors import ConfigError
from tests.training.invented import NAMES
from training.networks.encoder import EncoderConfig, HistoryEncoder

SONG, FEATURES = 5, len(NAMES)


def made(seed: int = 0) -> HistoryEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = EncoderConfig(width=16, blocks=2, heads=2, dropout=0.5)
        return HistoryEncoder(config, song_width=SONG, standard=np.eye(FEATURES, dtype=np.float32)).eval()


def drawn(batch: int, length: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    song = torch.from_numpy(rng.normal(size=(batch, length, SONG)).astype(np.float32))
    return song, torch.from_numpy(rng.integers(0, 2, (batch, length, FEATURES)).astype(np.float32))


ENCODER = made()


def test_there_is_a_state_for_every_prefix_the_empty_one_included():
    assert ENCODER(*drawn(3, 7)).shape == (3, 8, 16)
    assert ENCODER(*drawn(3, 0)).shape == (3, 1, 16)


@given(st.integers(1, 12), st.data())
def test_a_later_token_never_changes_an_earlier_state(length: int, data: st.DataObject):
    changed = data.draw(st.integers(0, length - 1))
    song, features = drawn(1, length)
    before = ENCODER(song, features)
    song[:, changed:] += 1.0
    features[:, changed:] = 1.0 - features[:, changed:]
    after = ENCODER(song, features)

    assert_close(after[:, : changed + 1], before[:, : changed + 1])
    assert not torch.allclose(after[:, changed + 1], before[:, changed + 1])


def test_padding_changes_nothing():
    song, features = drawn(2, 9)
    padded = ENCODER(torch.nn.functional.pad(song, (0, 0, 0, 5)), torch.nn.functional.pad(features, (0, 0, 0, 5)))

    assert_close(padded[:, :10], ENCODER(song, features))


def test_a_history_alone_has_the_states_it_has_among_others():
    song, features = drawn(4, 6)

    assert_close(ENCODER(song[2:3], features[2:3]), ENCODER(song, features)[2:3])


def test_states_from_song_parts_computed_before_are_the_same():
    song, features = drawn(2, 6)

    assert_close(ENCODER.encode(ENCODER.song_part(song), features), ENCODER(song, features))


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="width must divide by heads; got 16 and 3"):
        EncoderConfig(width=16, heads=3)


def test_a_dropout_of_one_is_refused():
    with pytest.raises(ConfigError, match="dropout"):
        EncoderConfig(dropout=1.0)
