"""The standard world model: a causal transformer in which the candidate song stands in the sequence itself.

Feedback is shifted right by one, so that the position of song i+1 sees that song but only the feedback up to i
(AMRS §3.3). Every candidate therefore costs a pass of its own; those after one history share it, each seeing the
history and itself. It is a form to compare with, never exported: the deployed one is `training.networks.world`.

Legend: B histories · L tokens · K song width · F features · N candidates · D width · T = L + N positions
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from models.affect import SIGNALS
from models.errors import ConfigError
from training.networks.blocks import Sight, initialise
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.inputs import EVERYTHING, Inputs
from training.networks.linear_part import LinearPart
from training.networks.world import WorldForm, mean_logits


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardWorldModelConfig:
    """What fixes a standard world model's weights and forward pass; nothing about training."""

    encoder: EncoderConfig
    hidden: int = 128
    """Units of the hidden layer behind the transformer."""
    inputs: Inputs = EVERYTHING

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ConfigError(f"the head needs a hidden unit; got {self.hidden}")
        if self.inputs.candidate != self.inputs.past_songs:
            raise ConfigError(
                "in the standard form a song is candidate and history at one position; it is shown as both or as "
                f"neither; got candidate {self.inputs.candidate} and past songs {self.inputs.past_songs}"
            )

    def draw(
        self, *, song_width: int, standard: Float[ndarray, "F F"], mean: Float[ndarray, " 4"]
    ) -> "StandardWorldModel":
        """Return a standard world model with freshly drawn weights."""
        return StandardWorldModel(self, song_width=song_width, standard=standard, mean=mean)


class StandardWorldModel(WorldForm):
    """A transformer over songs and the feedback before them, a linear part, and a head at each position."""

    def __init__(
        self,
        config: StandardWorldModelConfig,
        *,
        song_width: int,
        standard: Float[ndarray, "F F"],
        mean: Float[ndarray, " 4"],
    ) -> None:
        """Draw the weights; before training, every signal is predicted at its mean. Arguments as for `draw`."""
        super().__init__()
        self.config = config
        self.inputs = config.inputs
        self.encoder = HistoryEncoder(config.encoder, song_width=song_width, standard=standard)
        self.linear = LinearPart(song_width=song_width, standard=self.encoder.standard, offset=mean_logits(mean))
        self.widen = nn.Linear(self.encoder.width, config.hidden)
        self.output = nn.Linear(config.hidden, len(SIGNALS))
        self.widen.apply(initialise)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], candidate: Float[Tensor, "B L K"]
    ) -> Float[Tensor, "B L 4"]:
        linear = self.linear.predict(self.linear(song, features)[:, :-1], candidate)
        stream = self.encoder.song_part(candidate) + self._heard(features)[:, :-1]
        return linear + self._correction(self.encoder.through(stream))

    def ask(
        self,
        song: Float[Tensor, "B L K"],
        features: Float[Tensor, "B L F"],
        length: Int[Tensor, " B"],
        candidates: Float[Tensor, "B N K"],
    ) -> Float[Tensor, "B N 4"]:
        history, count = torch.arange(len(length)), candidates.shape[1]
        heard = self._heard(features)  # (B, L+1, D)
        asked = self.encoder.song_part(candidates) + heard[history, length, None]  # (B, N, D)
        stream = torch.cat([self.encoder.song_part(song) + heard[:, :-1], asked], dim=1)  # (B, T, D)
        read = self.encoder.through(stream, _side_by_side(length, song.shape[1], count))[:, -count:]
        state = self.linear(song, features)[history, length, None]
        return self.linear.predict(state, candidates) + self._correction(read)

    def _correction(self, read: Float[Tensor, "B T D"]) -> Float[Tensor, "B T 4"]:
        """Return what is added to the linear part's logits at each position."""
        return self.output(F.gelu(self.widen(read)))

    def _heard(self, features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L+1 D"]:
        """Return what every position hears beside its song: BOS, then the feedback of the token before."""
        return self.encoder.begun(self.encoder.said(features))


def _side_by_side(length: Int[Tensor, " B"], longest: int, count: int) -> Sight:
    """Return the sight of candidates behind histories: each sees its history's tokens and itself."""
    place = torch.arange(longest + count, device=length.device)
    is_candidate = place >= longest
    causal = (place[:, None] >= place) & ~is_candidate  # (T, T): a later token of the history sees earlier ones
    within = (place < length[:, None])[:, None]  # (B, 1, T)
    itself = torch.eye(len(place), dtype=torch.bool, device=length.device)
    sees = torch.where(is_candidate[:, None], within | itself, causal | itself)
    return Sight(sees=sees, places=torch.where(is_candidate, length[:, None], place))
