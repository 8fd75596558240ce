"""Variety: keeping a tuned policy's songs as many as its reference's.

Preferences lead every listener the same way. What the wanted directions have in common grows, the same few songs
stand nearest to all of them, and coverage falls, though no listener's own order changed much. The output layer is
affine, so what listeners have in common can be told from what is their own: ŝ = μ + (ŝ − μ), with μ the mean over
situations. Two things are done to the second part.

*Widening* multiplies it. Listeners get back the taste that preferences took; the songs hardly become more.

*Flattening* brings its principal directions nearer to one length: σ → σ (σ₁/σ)^p. A clone tells listeners apart
along a few directions, those of genre, and looks for the same in all others; so of each genre the few songs that
have nothing particular elsewhere are nearest to everybody. Where listeners also differ in the others, each finds
songs of their own, at little cost in what they are like. The power p is the least that brings back the reference's
number of different first songs, on listeners who were not trained on; no truth and no world model is asked.

Legend: S situations · D state width · Q target width · N songs · k principal directions
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from models.errors import ConfigError
from training.networks.policy import PolicyNetwork

_CHUNK: Final = 2048
"""Situations that are scored at once: bounds memory, changes no number."""
_FIRST_SONGS: Final = 5
"""Songs of each situation that count: a rollout's length."""
_HALVINGS: Final = 4
"""Steps of the search; the flattening is found to a sixteenth of the flattest."""
_SHORTEST: Final = 1e-3
"""Of the longest principal direction: shorter ones are lengthened as if they were so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variety:
    """How many different songs a tuned policy shall play, and what may be done for it."""

    share: float = 1.15
    """Of the reference's different first songs; 0 lets variety go, as the paper does. Above 1, because a rollout
    loses more of it than its first songs tell."""
    widening: float = 0.25
    """By how much what is a listener's own is multiplied, counted from 0. A little: where the platform plays what
    everybody likes, what is common to listeners is worth much."""
    flattest: float = 0.8
    """The largest flattening p, in [0, 1]; where it does not suffice, it is what is used."""

    def __post_init__(self) -> None:
        if self.share < 0 or self.widening < 0 or not 0 <= self.flattest <= 1:
            raise ConfigError(
                "share and widening must be at least 0, and flattest in [0, 1]; got "
                f"{self.share}, {self.widening} and {self.flattest}"
            )


AS_VARIED: Final = Variety()
"""The default."""
LET_GO: Final = Variety(share=0.0, widening=0.0)
"""However few songs remain: the paper's recipe."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deviations:
    """What is wanted in some situations, taken apart: the mean, and the principal directions of the rest."""

    output: nn.Linear
    """The output layer that was taken apart."""
    common: Float[Tensor, " Q"]
    length: Float[Tensor, " k"]
    """Of the principal directions, the longest first."""
    direction: Float[Tensor, "k Q"]

    @classmethod
    def of(cls, network: PolicyNetwork, state: Float[Tensor, "S D"]) -> "Deviations":
        """Take a policy's wanted directions apart, over the situations in which it has these states."""
        with torch.no_grad():
            wanted = network.output(state)  # (S, Q), of any length
            common = wanted.mean(dim=0)
            _, length, direction = torch.linalg.svd(wanted - common, full_matrices=False)
        return cls(output=network.output, common=common, length=length, direction=direction)

    def varied(self, *, widening: float, flattening: float) -> nn.Linear:
        """Return an output layer whose wanted directions deviate otherwise from their mean.

        Args:
            widening: the deviations are multiplied by 1 + this.
            flattening: p; at 1 their principal directions all have the length of the longest.
        """
        other = deepcopy(self.output)
        with torch.no_grad():
            longer = (self.length[0] / self.length.clamp(min=_SHORTEST * float(self.length[0]))) ** flattening
            change = torch.eye(len(self.common)) + (self.direction.T * (longer - 1)) @ self.direction  # (Q, Q)
            other.weight.copy_((1 + widening) * change @ other.weight)
            other.bias.copy_(self.common + (1 + widening) * change @ (other.bias - self.common))
        return other


def varied(
    network: PolicyNetwork, state: Float[Tensor, "S D"], *, widening: float, flattening: float
) -> PolicyNetwork:
    """Return a policy whose wanted directions deviate otherwise from their mean over states; see `Deviations`."""
    other = deepcopy(network)
    other.output = Deviations.of(network, state).varied(widening=widening, flattening=flattening)
    return other


def first_song_count(wanted: Float[Tensor, "S Q"], targets: Float[ndarray, "N Q"]) -> int:
    """Return how many different songs are among the nearest few of some situation; ŝ of unit length."""
    count, songs = min(_FIRST_SONGS, len(targets)), torch.from_numpy(targets).T
    nearest = [torch.topk(part @ songs, count, dim=1).indices for part in wanted.split(_CHUNK)]
    return len(np.unique(torch.cat(nearest).numpy()))


def least_flattening(
    network: PolicyNetwork,
    state: Float[Tensor, "S D"],
    targets: Float[ndarray, "N Q"],
    *,
    reference_count: int,
    variety: Variety,
) -> float:
    """Return the least flattening that reaches the wanted share of the reference's first songs, or the flattest.

    Args:
        network: the tuned policy, not yet widened.
        state: its states in the situations that are watched.
        targets: songs in the policy's target space, of unit length.
        reference_count: `first_song_count` of the reference in the same situations.
        variety: the share, and how far the policy is widened at the same time.
    """
    apart = Deviations.of(network, state)

    def suffices(flattening: float) -> bool:
        output = apart.varied(widening=variety.widening, flattening=flattening)
        with torch.inference_mode():
            wanted = F.normalize(output(state), dim=-1)
        return first_song_count(wanted, targets) >= variety.share * reference_count

    if suffices(0.0):
        return 0.0
    low, high = 0.0, variety.flattest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high
