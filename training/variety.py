"""Variety: keeping a tuned policy's songs as many as its reference's.

Preferences lead every listener the same way. What the wanted directions have in common grows, the same few songs
stand nearest to all of them, and coverage falls, though no listener's own order changed much. The output layer is
affine, so what listeners have in common can be told from what is their own: ŝ = μ + (ŝ − μ), with μ the mean over
situations. *Widening* multiplies the second part. The widening is the least that brings back the reference's
number of different first songs, on listeners who were not trained on; no truth and no world model is asked.

Legend: S situations · D state width · Q target width · N songs
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from models.errors import ConfigError
from training.networks.policy import PolicyNetwork

_FIRST_SONGS: Final = 5
"""Songs of each situation that count: a rollout's length."""
_HALVINGS: Final = 4
"""Steps of the search; the widening is found to a sixteenth of the widest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variety:
    """How many different songs a tuned policy shall play, and how far it may be widened for it."""

    share: float = 1.25
    """Of the reference's different first songs; 0 lets variety go, as the paper does. Above 1, because a rollout
    loses more of it than its first songs tell."""
    widest: float = 2.0
    """The largest widening, counted from 0; where it does not suffice, it is what is used."""

    def __post_init__(self) -> None:
        if self.share < 0 or self.widest < 0:
            raise ConfigError(f"share and widest must be at least 0; got {self.share} and {self.widest}")


AS_VARIED: Final = Variety()
"""The default."""
LET_GO: Final = Variety(share=0.0)
"""However few songs remain: the paper's recipe."""


def widened(network: PolicyNetwork, state: Float[Tensor, "S D"], widening: float) -> PolicyNetwork:
    """Return a policy whose wanted directions deviate (1 + widening) times as far from their mean over states."""
    wide = deepcopy(network)
    with torch.no_grad():
        common = wide.output(state).mean(dim=0)  # (Q,)
        wide.output.weight.mul_(1 + widening)
        wide.output.bias.sub_(common).mul_(1 + widening).add_(common)
    return wide


def first_song_count(wanted: Float[Tensor, "S Q"], targets: Float[ndarray, "N Q"]) -> int:
    """Return how many different songs are among the nearest few of some situation; ŝ of unit length."""
    count = min(_FIRST_SONGS, len(targets))
    nearest = torch.topk(wanted @ torch.from_numpy(targets).T, count, dim=1).indices
    return len(np.unique(nearest.numpy()))


def least_widening(
    network: PolicyNetwork,
    state: Float[Tensor, "S D"],
    targets: Float[ndarray, "N Q"],
    *,
    reference_count: int,
    variety: Variety,
) -> float:
    """Return the least widening that reaches the wanted share of the reference's first songs, or the widest.

    Args:
        network: the tuned policy.
        state: its states in the situations that are watched.
        targets: songs in the policy's target space, of unit length.
        reference_count: `first_song_count` of the reference in the same situations.
    """

    def suffices(widening: float) -> bool:
        with torch.inference_mode():
            wanted = widened(network, state, widening).wanted(state)
        return first_song_count(wanted, targets) >= variety.share * reference_count

    if suffices(0.0):
        return 0.0
    low, high = 0.0, variety.widest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high
