"""A transformer block: attention to what may be seen, then a small network at each position.

As a rule a position sees itself and what came before it. Padding stands at the end of a window, where causality
hides it, so no padding mask is needed. How positions are told apart is an object passed in
(`training.networks.positions`); the deployed networks have none (AMRS §4.3).

Legend: B histories · T positions, oldest first · D width · H heads · p positions that are asked for
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.positions import PositionEncoding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """Which positions each one sees, where that is not simply all up to itself."""

    sees: Bool[Tensor, "B T T"]
    """Rows see columns; every row sees at least one."""
    places: Int[Tensor, "B T"]
    """Where each position stands in time, for the positional encoding."""


class CausalAttention(nn.Module):
    """Each position reads every position up to and including itself, or what it is told it sees."""

    def __init__(self, width: int, heads: int, dropout: float, positions: PositionEncoding) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.positions = positions
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)

    def forward(self, stream: Float[Tensor, "B T D"], sight: Sight | None = None) -> Float[Tensor, "B T D"]:
        """Return what each position reads."""
        batch, length, width = stream.shape
        split = self.project(stream).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, H, T, D/H) each
        places = torch.arange(length, device=stream.device)[None] if sight is None else sight.places
        query, key = (self.positions(each, places[:, None]) for each in (query, key))
        read = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if sight is None else sight.sees[:, None],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=sight is None,
        )
        return self.merge(read.transpose(1, 2).reshape(batch, length, width))

    def at(self, stream: Float[Tensor, "B T D"], place: Int[Tensor, "B p"]) -> Float[Tensor, "B p D"]:
        """Return what the given positions read of all up to themselves; the others are only read."""
        batch, length, width = stream.shape
        weight, bias = self.project.weight, self.project.bias
        asked = F.linear(taken(stream, place), weight[:width], bias[:width])
        split = F.linear(stream, weight[width:], bias[width:]).view(batch, length, 2, self.heads, -1)
        key, value = split.permute(2, 0, 3, 1, 4)  # (B, H, T, D/H) each
        query = asked.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)  # (B, H, p, D/H)
        everywhere = torch.arange(length, device=stream.device)
        read = F.scaled_dot_product_attention(
            self.positions(query, place[:, None]),
            self.positions(key, everywhere[None, None]),
            value,
            attn_mask=(everywhere <= place[..., None])[:, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.merge(read.transpose(1, 2).reshape(batch, -1, width))


class Block(nn.Module):
    """Pre-norm attention and pre-norm network, each added to the stream."""

    def __init__(self, width: int, heads: int, dropout: float, positions: PositionEncoding) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads, dropout, positions)
        self.network_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, stream: Float[Tensor, "B T D"], sight: Sight | None = None) -> Float[Tensor, "B T D"]:
        """Return the stream after this block."""
        return self._thought(stream + self.dropout(self.attention(self.attention_norm(stream), sight)))

    def at(self, stream: Float[Tensor, "B T D"], place: Int[Tensor, "B p"]) -> Float[Tensor, "B p D"]:
        """Return the stream after this block at the given positions alone."""
        read = self.attention.at(self.attention_norm(stream), place)
        return self._thought(taken(stream, place) + self.dropout(read))

    def _thought(self, stream: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Return the stream after the network at each position."""
        return stream + self.dropout(self.narrow(F.gelu(self.widen(self.network_norm(stream)))))


def taken(stream: Float[Tensor, "B T D"], place: Int[Tensor, "B p"]) -> Float[Tensor, "B p D"]:
    """Return the given positions of each history."""
    return stream.gather(1, place[..., None].expand(-1, -1, stream.shape[-1]))


def initialise(module: nn.Module) -> None:
    """Draw one module's weights small and normal, biases zero; to be given to `Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def stack(width: int, blocks: int, heads: int, dropout: float, positions: PositionEncoding) -> nn.ModuleList:
    """Return freshly drawn blocks; the last layer of each branch starts small, so that depth starts calm."""
    return nn.ModuleList(
        _calm(Block(width, heads, dropout, positions), (2 * blocks) ** -0.5) for _ in range(blocks)
    )


def _calm(block: Block, scale: float) -> Block:
    block.apply(initialise)
    with torch.no_grad():
        block.attention.merge.weight.mul_(scale)
        block.narrow.weight.mul_(scale)
    return block
