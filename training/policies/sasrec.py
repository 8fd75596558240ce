"""SASRec: a causal transformer over song identities, the reference that a reader of recommender papers expects.

It reads which songs were played and where sessions began, and nothing else: no embedding, no feedback. A song is
what its identity's vector says, so a new song has none: one that no training listener played has only ever been
a negative and is hardly recommended. Source: Kang and McAuley 2018 (arXiv:1808.09781), trained with a softmax
over the whole catalogue in place of one sampled negative, which at some thousand songs is cheap and stronger.

Legend: B histories · L tokens · P plays in a batch · N songs · D width
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn

from models.listening import NO_SONG
from training.catalogue_nats import catalogue_nats
from training.copycat import CloningEpoch, CopycatConfig, learn_plays
from training.networks.blocks import stack
from training.networks.encoder import EncoderConfig
from training.networks.positions import NoPositions
from training.policies.policy import Moment
from training.seeding import torch_seeded_by
from training.splits import Split
from training.trained import CHUNK
from training.windows import Batch, Histories

_SPREAD: Final = 0.02
"""Of the first vectors: small, so that every song starts out nearly as likely as any other."""


class SasRecNetwork(nn.Module):
    """One vector for each song, one for each position; boundaries share a vector of their own."""

    def __init__(self, config: EncoderConfig, *, song_count: int, lookback: int) -> None:
        """Draw the weights."""
        super().__init__()
        self.songs = nn.Embedding(song_count + 1, config.width)  # the last stands for a boundary
        self.positions = nn.Embedding(lookback + 1, config.width)
        self.begin = nn.Parameter(torch.randn(config.width) * _SPREAD)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = stack(config.width, config.blocks, config.heads, config.dropout, NoPositions())
        self.norm = nn.LayerNorm(config.width)
        for embedding in (self.songs, self.positions):
            nn.init.normal_(embedding.weight, std=_SPREAD)

    def forward(self, song_row: Int[Tensor, "B L"]) -> Float[Tensor, "B L+1 D"]:
        """Return the state after every prefix, the empty one first; `NO_SONG` on boundaries and padding."""
        rows = torch.where(song_row == NO_SONG, self.songs.num_embeddings - 1, song_row)
        begin = self.begin.expand(len(rows), 1, -1)
        stream = torch.cat([begin, self.songs(rows)], dim=1)  # (B, L+1, D)
        stream = self.dropout(stream + self.positions.weight[: stream.shape[1]])
        for block in self.blocks:
            stream = block(stream)
        return self.norm(stream)

    def logits(self, state: Float[Tensor, "*shape D"]) -> Float[Tensor, "*shape N"]:
        """Return the score of every song."""
        return state @ self.songs.weight[:-1].T


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SasRec:
    """The trained network as a policy, and the road to it."""

    network: SasRecNetwork
    epochs: tuple[CloningEpoch, ...]

    @torch.inference_mode()
    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the logits."""
        parts = []
        for start in range(0, len(moment.rows), CHUNK):
            part = slice(start, start + CHUNK)
            states = self.network(torch.from_numpy(moment.rows[part]))  # (b, L+1, D)
            last = states[torch.arange(len(states)), torch.from_numpy(moment.tokens.length[part])]
            parts.append(self.network.logits(last))
        return torch.cat(parts).numpy()


def train_sasrec(
    histories: Histories,
    split: Split,
    *,
    lookback: int,
    config: CopycatConfig,
    rng: np.random.Generator,
    advance: Callable[[CloningEpoch], None] = lambda _: None,
) -> SasRec:
    """Return the network at the epoch that best foretells the plays of validation listeners.

    Args:
        config: Copycat's: width, blocks, windows, rate and patience are the same; its target space is not used.
        rng: first weights, dropout, and the order of windows.
        advance: told of each epoch as it ends.
    """
    with torch_seeded_by(rng):
        network = SasRecNetwork(config.encoder, song_count=len(histories.song_vectors), lookback=lookback)

        def nats(batch: Batch, counted: Bool[Tensor, "B L"]) -> Float[Tensor, " P"]:
            before = network(batch.song_row)[:, :-1][counted]  # (P, D)
            return catalogue_nats(before, network.songs.weight[:-1], batch.song_row[counted])

        epochs = learn_plays(
            network, nats, histories, split, lookback=lookback, config=config, rng=rng, advance=advance
        )
    return SasRec(network=network.eval(), epochs=epochs)
