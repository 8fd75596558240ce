"""The standard world model keeps the promises of the factorized one, the candidate in the sequence itself."""

import pytest

from models.errors import ConfigError
from tests.training.networks.world_promises import WorldPromises, encoder
from training.networks.inputs import Inputs
from training.networks.positions import NO_POSITIONS, PositionEncoding
from training.networks.standard import StandardWorldModelConfig


class TestStandard(WorldPromises):
    def architecture(self, positions: PositionEncoding = NO_POSITIONS) -> StandardWorldModelConfig:
        return StandardWorldModelConfig(encoder=encoder(positions), hidden=24)


def test_a_song_cannot_be_history_and_hidden_as_candidate():
    with pytest.raises(ConfigError, match="candidate and history at one position"):
        StandardWorldModelConfig(encoder=encoder(), inputs=Inputs(candidate=False))


def test_without_a_hidden_unit_there_is_no_head():
    with pytest.raises(ConfigError, match="hidden unit; got 0"):
        StandardWorldModelConfig(encoder=encoder(), hidden=0)
