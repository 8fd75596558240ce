"""The history encoder: tokens → one state per prefix of the history, the empty prefix first.

Token = song part + feature part: the song part is linear, so it can be computed once per catalogue; where no
song stands, its vector is zero and so is its part. Source: AMRS §3.2–3.3.

Legend: B histories · L tokens, oldest first, padding at the end · K song width · F features · D width
· p places at which the state is asked for
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from models.errors import ConfigError
from training.networks.blocks import Block, Sight, initialise, stack
from training.networks.positions import NO_POSITIONS, PositionEncoding
from training.networks.summary import DECAYS, running_summary, summary_width


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """What fixes the history encoder's weights and forward pass; nothing about training."""

    width: int = 64
    blocks: int = 2
    heads: int = 4
    dropout: float = 0.1
    positions: PositionEncoding = NO_POSITIONS
    """How positions are told apart; the exported graphs know none."""
    decays: tuple[float, ...] = DECAYS
    """Of the running summary in each token; the paper's tokens have none."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"width must divide by heads; got {self.width} and {self.heads}")
        if self.blocks < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"an encoder needs a block and dropout in [0, 1); got {self.blocks} and {self.dropout}"
            )


class HistoryEncoder(nn.Module):
    """A causal transformer over BOS and the tokens."""

    standard: Tensor

    def __init__(self, config: EncoderConfig, *, song_width: int, standard: Float[ndarray, "F F"]) -> None:
        """Draw the weights.

        Args:
            config: the architecture.
            song_width: K, the reading's.
            standard: `standardisation` of the training tokens.
        """
        super().__init__()
        self.config = config
        width = config.width
        self.register_buffer("standard", torch.from_numpy(standard.astype(np.float32)))
        self.song_part = nn.Linear(song_width, width, bias=False)
        self.feature_part = nn.Sequential(
            nn.Linear(summary_width(len(standard), config.decays), width), nn.GELU(), nn.Linear(width, width)
        )
        self.begin = nn.Parameter(torch.randn(width))  # never zero: norms would divide by nothing
        self.blocks = stack(width, config.blocks, config.heads, config.dropout, config.positions)
        self.norm = nn.LayerNorm(width)
        self.song_part.apply(initialise)
        self.feature_part.apply(initialise)

    @property
    def width(self) -> int:
        """D."""
        return self.config.width

    def forward(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L+1 D"]:
        """Return the state after every prefix, the empty one first.

        Args:
            song: song vectors; zeros where a token has no song.
            features: as the tokeniser makes them.
        """
        return self.encode(self.song_part(song), features)

    def at(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], place: Int[Tensor, "B p"]
    ) -> Float[Tensor, "B p D"]:
        """Return the state after so many tokens: the same as `forward` there, for little more than half the work.

        Nobody asks the last block what it makes of the other positions.
        """
        stream = self.begun(self.song_part(song) + self.said(features))
        *earlier, last = self.blocks
        assert isinstance(last, Block)
        for block in earlier:
            stream = block(stream)
        return self.norm(last.at(stream, place))

    def encode(
        self, song_part: Float[Tensor, "B L D"], features: Float[Tensor, "B L F"]
    ) -> Float[Tensor, "B L+1 D"]:
        """Return the same from song parts that were computed before: what an exported graph is given."""
        return self.through(self.begun(song_part + self.said(features)))

    def said(self, features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L D"]:
        """Return what each token says beside its song."""
        return self.feature_part(running_summary(features, self.standard, self.config.decays))

    def begun(self, tokens: Float[Tensor, "B L D"]) -> Float[Tensor, "B L+1 D"]:
        """Return the tokens after BOS."""
        return torch.cat([self.begin.expand(tokens.shape[0], 1, -1), tokens], dim=1)

    def through(self, stream: Float[Tensor, "B T D"], sight: Sight | None = None) -> Float[Tensor, "B T D"]:
        """Return what the blocks make of a stream."""
        for block in self.blocks:
            stream = block(stream, sight)
        return self.norm(stream)
