"""The policy network: a history → the direction in which the next song is looked for.

ŝ = W h + b is compared by cosine with the targets y = unit(target map of the song's embedding); the target
map is a fixed affine map, a `Reading`. Source: AMRS §3.4.

Legend: B histories · L tokens · K song width · F features · D state width · Q target width · N songs
· p places at which the state is asked for
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.blocks import initialise
from training.networks.encoder import HistoryEncoder


class PolicyNetwork(nn.Module):
    """History encoder and one linear output layer."""

    def __init__(self, encoder: HistoryEncoder, *, target_width: int) -> None:
        """Draw the output layer's weights."""
        super().__init__()
        self.encoder = encoder
        self.output = nn.Linear(encoder.width, target_width)
        self.output.apply(initialise)

    def states(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L+1 D"]:
        """Return the state h after every prefix of each history, the empty one first."""
        return self.encoder(song, features)

    def states_at(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], place: Int[Tensor, "B p"]
    ) -> Float[Tensor, "B p D"]:
        """Return the state after the given numbers of tokens of each history."""
        return self.encoder.at(song, features, place)

    def wanted(self, state: Float[Tensor, "*shape D"]) -> Float[Tensor, "*shape Q"]:
        """Return ŝ, the song wanted next, scaled to unit length."""
        return F.normalize(self.output(state), dim=-1)

    def forward(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L+1 Q"]:
        """Return ŝ of unit length after every prefix, the empty one first."""
        return self.wanted(self.states(song, features))


def cosines(wanted: Float[Tensor, "*shape Q"], targets: Float[Tensor, "N Q"]) -> Float[Tensor, "*shape N"]:
    """Return the policy's score of every song: both sides have unit length already."""
    return torch.matmul(wanted, targets.T)
