"""Only what the graphs can rewrite exactly is exported; every other form is named and refused."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import ConfigError
from tests.training.networks.world_promises import FEATURES, SONG, encoder, fresh
from training.export.deployed_form import refuse_other_forms
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.heads import PlainHead
from training.networks.inputs import Inputs
from training.networks.policy import PolicyNetwork
from training.networks.positions import Rotary
from training.networks.standard import StandardWorldModelConfig
from training.networks.world import WorldModelConfig

DEPLOYED = WorldModelConfig(encoder=encoder(), hidden=8)


def policy(config: EncoderConfig = DEPLOYED.encoder) -> PolicyNetwork:
    standard = np.eye(FEATURES, dtype=np.float32)
    return PolicyNetwork(HistoryEncoder(config, song_width=SONG, standard=standard), target_width=4)


def test_the_deployed_form_passes():
    refuse_other_forms([fresh(DEPLOYED), fresh(DEPLOYED, seed=1)], policy())


@pytest.mark.parametrize(
    ("architecture", "complaint"),
    [
        (StandardWorldModelConfig(encoder=encoder()), "member 1 is a StandardWorldModel"),
        (replace(DEPLOYED, inputs=Inputs(lookback=10)), "member 1 was trained on Inputs"),
        (replace(DEPLOYED, head=PlainHead), "is a FeedbackHead; got a PlainHead"),
        (replace(DEPLOYED, encoder=encoder(Rotary())), "member 1 has Rotary"),
        (replace(DEPLOYED, encoder=replace(encoder(), decays=())), r"member 1 has \(\)"),
    ],
)
def test_every_other_form_is_named(architecture, complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        refuse_other_forms([fresh(DEPLOYED), fresh(architecture)], policy())


def test_a_policy_with_positions_is_named():
    with pytest.raises(ConfigError, match="the policy has Rotary"):
        refuse_other_forms([fresh(DEPLOYED)], policy(encoder(Rotary())))
