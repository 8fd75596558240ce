"""The factorized world model: a state of the history and a candidate song → the feedback to expect.

One pass over the history, then any number of songs through the head. The head's first layer is linear in
[state ; song], so the song's share of it can be computed once per catalogue. Source: AMRS §3.3.

Legend: B histories · L tokens · K song width · F features · M members · D encoder width · H hidden width
· Z = D + 4 state width · U = D + 2 token part · V = H + 4 song part
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from models.affect import SIGNALS
from models.errors import ConfigError
from training.networks.blocks import initialise
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.linear_part import AFFECT, LinearPart


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldModelConfig:
    """What fixes a world model's weights and forward pass; nothing about training."""

    encoder: EncoderConfig
    hidden: int = 128
    """H, the head's."""

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ConfigError(f"the head needs a hidden unit; got {self.hidden}")


class FeedbackHead(nn.Module):
    """The linear part's logits, corrected by a light network on [state ; song]."""

    def __init__(self, *, width: int, song_width: int, hidden: int) -> None:
        """Draw the weights; before training, nothing is corrected."""
        super().__init__()
        self.hidden = hidden
        self.state_part = nn.Linear(width, hidden)
        self.song_part = nn.Linear(song_width, hidden, bias=False)
        self.output = nn.Linear(hidden, len(SIGNALS))
        self.apply(initialise)
        nn.init.zeros_(self.output.weight)

    def forward(
        self, state: Float[Tensor, "*#shape Z"], song_part: Float[Tensor, "*#shape V"]
    ) -> Float[Tensor, "... 4"]:
        """Return logits; leading axes broadcast.

        Args:
            state: the encoder's, then the linear part's logits.
            song_part: the song's share of the hidden layer, then of the linear part's logits.
        """
        bent = F.gelu(self.state_part(state) + song_part[..., : self.hidden])
        return state[..., -len(SIGNALS) :] + song_part[..., self.hidden :] + self.output(bent)


class WorldModel(nn.Module):
    """History encoder, linear part and feedback head."""

    def __init__(
        self,
        config: WorldModelConfig,
        *,
        song_width: int,
        standard: Float[ndarray, "F F"],
        mean: Float[ndarray, " 4"],
    ) -> None:
        """Draw the weights.

        Args:
            config: the architecture.
            song_width: K, the reading's.
            standard: `standardisation` of the training tokens.
            mean: of each signal over the training plays, in (0, 1); what is predicted before training.
        """
        super().__init__()
        self.config = config
        self.encoder = HistoryEncoder(config.encoder, song_width=song_width, standard=standard)
        self.linear = LinearPart(
            song_width=song_width,
            standard=self.encoder.standard,
            offset=torch.from_numpy(np.log(mean / (1 - mean))).float(),
        )
        self.head = FeedbackHead(width=self.state_width, song_width=song_width, hidden=config.hidden)

    @property
    def state_width(self) -> int:
        """D + 4."""
        return self.config.encoder.width + len(SIGNALS)

    def token_part(self, song: Float[Tensor, "*shape K"]) -> Float[Tensor, "*shape U"]:
        """Return a song's share of its token, then its effect on affect: all that the history side needs."""
        return torch.cat([self.encoder.song_part(song), song @ self.linear.song[:, AFFECT]], dim=-1)

    def song_part(self, song: Float[Tensor, "*shape K"]) -> Float[Tensor, "*shape V"]:
        """Return a song's share of the head's hidden layer, then of the linear part: all the head needs."""
        return torch.cat([self.head.song_part(song), song @ self.linear.song], dim=-1)

    def states(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L+1 Z"]:
        """Return the state after every prefix of each history, the empty one first."""
        return self.encode(self.token_part(song), features)

    def encode(
        self, token_part: Float[Tensor, "B L U"], features: Float[Tensor, "B L F"]
    ) -> Float[Tensor, "B L+1 Z"]:
        """Return the same from token parts that were computed before: what an exported graph is given."""
        width = self.encoder.width
        stream = self.encoder.encode(token_part[..., :width], features)  # (B, L+1, D)
        return torch.cat([stream, self.linear(token_part[..., width:], features)], dim=-1)

    def predict(self, state: Float[Tensor, "*left Z"], song: Float[Tensor, "*right K"]) -> Float[Tensor, "... 4"]:
        """Return the logits of the four signals if that song is played next; leading axes broadcast."""
        return self.head(state, self.song_part(song))

    def forward(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L 4"]:
        """Return, for every token, the logits of its feedback given the tokens before it and its own song."""
        return self.predict(self.states(song, features)[:, :-1], song)


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """World models that differ in their seeds and in the listeners they were shown (bootstrapped by listener)."""

    members: Sequence[WorldModel]

    def states(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B M L+1 Z"]:
        """Return every member's state after every prefix."""
        return torch.stack([member.states(song, features) for member in self.members], dim=1)

    def predict(self, state: Float[Tensor, "B M Z"], song: Float[Tensor, "B N K"]) -> Float[Tensor, "B M N 4"]:
        """Return every member's prediction, in [0, 1], of the four signals of N candidate songs each."""
        logits = [member.predict(state[:, m, None], song) for m, member in enumerate(self.members)]
        return torch.stack(logits, dim=1).sigmoid()
