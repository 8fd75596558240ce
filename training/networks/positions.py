"""Positional encodings: how a query and a key learn where they stand, or that they do not.

Each is a small object that an attention calls on its queries and on its keys. Source: AMRS §4.3 compares none
with rotary encoding (Su et al. 2024, RoFormer, eq. 34).

Legend: any leading axes · T positions · W width of one head
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from models.errors import ConfigError


@runtime_checkable
class PositionEncoding(Protocol):
    """What is done to queries and keys alike."""

    def __call__(
        self, vectors: Float[Tensor, "*shape T W"], places: Int[Tensor, "*#shape T"]
    ) -> Float[Tensor, "*shape T W"]:
        """Return the vectors as they are at their places."""
        ...


@dataclass(frozen=True, slots=True)
class NoPositions:
    """The causal mask alone tells order."""

    def __call__(
        self, vectors: Float[Tensor, "*shape T W"], places: Int[Tensor, "*#shape T"]
    ) -> Float[Tensor, "*shape T W"]:
        """Return the vectors as they are."""
        del places
        return vectors


NO_POSITIONS: Final = NoPositions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotary:
    """Each pair of numbers is turned by an angle that grows with the place: scores hang on distances alone."""

    base: float = 10_000.0
    """Pair i of n turns by base^(−i/n) radians a place."""

    def __post_init__(self) -> None:
        if not self.base > 1:
            raise ConfigError(f"rotary encoding needs a base above 1; got {self.base}")

    def __call__(
        self, vectors: Float[Tensor, "*shape T W"], places: Int[Tensor, "*#shape T"]
    ) -> Float[Tensor, "*shape T W"]:
        """Return the vectors turned; lengths stay.

        Raises:
            ConfigError: a head's width is odd.
        """
        if vectors.shape[-1] % 2:
            raise ConfigError(
                f"rotary encoding turns pairs, so heads must be of even width; got {vectors.shape[-1]}"
            )
        pairs = vectors.shape[-1] // 2
        speed = self.base ** (-torch.arange(pairs, dtype=vectors.dtype, device=vectors.device) / pairs)
        angle = places[..., None] * speed  # (…, T, W/2)
        first, second = vectors[..., :pairs], vectors[..., pairs:]
        cosine, sine = angle.cos(), angle.sin()
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
