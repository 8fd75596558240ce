"""The running summary: what a history has said so far, as plain means.

A listener's habit — how far they hear songs out, how generous they are, where their affect rests — is a mean
over all they ever said, and a few hundred listeners cannot teach attention to divide. So the means are given:
over everything, and over what is recent. What they are worth is measured in docs/decisions/world-model.md.

Legend: B histories · L tokens · F features of a token · S width of the summary
"""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.tokens import BOUNDARY_FEATURE, PRESENT_FEATURES, SIGNAL_FEATURES

DECAYS: Final = (1.0, 0.9)
"""The weight that a token keeps for each token that follows it; 1 remembers everything alike."""
PRIOR_COUNT: Final = 5.0
"""A mean is drawn towards the training mean, 0, as if so many observations had said so."""
COUNT_SCALE: Final = 1 / 3
"""Brings log(1 + count) to about unit size."""


def summary_width(feature_count: int, decays: tuple[float, ...] = DECAYS) -> int:
    """Return S."""
    return feature_count + len(decays) * 8


def running_summary(
    features: Float[Tensor, "B L F"], standard: Float[Tensor, "F F"], decays: tuple[float, ...] = DECAYS
) -> Float[Tensor, "B L S"]:
    """Return, for each token, its own standardised features, and each signal's mean and count up to it.

    One mean and one count for each decay; without any, a token says only what it says itself.
    """
    standardised, present = features @ standard, features[..., PRESENT_FEATURES]
    signals = standardised[..., SIGNAL_FEATURES]
    parts = [standardised]
    for decay in decays:
        weight = fading(features, decay)  # (L, L)
        count = weight @ present  # (B, L, 4)
        parts += [weight @ signals / (count + PRIOR_COUNT), torch.log1p(count) * COUNT_SCALE]
    return torch.cat(parts, dim=-1)


def session_sum(
    values: Float[Tensor, "B L V"], features: Float[Tensor, "B L F"], *, decay: float
) -> Float[Tensor, "B L V"]:
    """Return, for each token, the sum of values over its session so far, each fading by `decay` a token."""
    session = features[..., BOUNDARY_FEATURE].cumsum(dim=1)  # (B, L)
    same = session[:, :, None] == session[:, None, :]  # (B, L, L)
    return (fading(features, decay) * same) @ values


def fading(features: Float[Tensor, "B L F"], decay: float) -> Float[Tensor, "L L"]:
    """Return the weight of each token (column) at each later one (row): decay to the power of their distance."""
    place = torch.arange(features.shape[1], device=features.device)
    distance = place[:, None] - place[None, :]
    return torch.where(distance >= 0, decay ** distance.clamp(min=0).to(features.dtype), 0.0)
