"""The one form of network that the exported graphs rewrite, and a clear word to every other."""

from collections.abc import Sequence

from models.errors import ConfigError
from training.networks.encoder import HistoryEncoder
from training.networks.heads import FeedbackHead
from training.networks.inputs import EVERYTHING
from training.networks.policy import PolicyNetwork
from training.networks.positions import NO_POSITIONS
from training.networks.summary import DECAYS
from training.networks.world import WorldForm, WorldModel


def refuse_other_forms(members: Sequence[WorldForm], policy: PolicyNetwork) -> None:
    """Raise unless the graphs can be exact: factorized, without positional encoding, shown everything.

    Raises:
        ConfigError: a member or the policy is of another form; studies compare such networks, nobody serves them.
    """
    for number, member in enumerate(members):
        if not isinstance(member, WorldModel):
            raise ConfigError(
                f"only the factorized world model is exported; member {number} is a {type(member).__name__}"
            )
        if member.inputs != EVERYTHING:
            raise ConfigError(
                f"a served world model is shown everything; member {number} was trained on {member.inputs}"
            )
        served_head(member)
        _refuse_other_encoders(f"member {number}", member.encoder)
    _refuse_other_encoders("the policy", policy.encoder)


def served_head(member: WorldModel) -> FeedbackHead:
    """Return the head of a member that can be exported.

    Raises:
        ConfigError: it is of another kind.
    """
    if not isinstance(member.head, FeedbackHead):
        raise ConfigError(f"the exported head is a FeedbackHead; got a {type(member.head).__name__}")
    return member.head


def _refuse_other_encoders(name: str, encoder: HistoryEncoder) -> None:
    if encoder.config.positions != NO_POSITIONS:
        raise ConfigError(
            f"only networks without positional encoding are exported; {name} has {encoder.config.positions}"
        )
    if encoder.config.decays != DECAYS:
        raise ConfigError(
            f"exported tokens carry running means with the decays {DECAYS}; {name} has {encoder.config.decays}"
        )
