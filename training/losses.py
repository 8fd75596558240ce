"""The losses as pure functions of tensors.

The world model's: squared error on engagement, valence and arousal, binary cross-entropy on the rating, each
only where the signal was observed (AMRS §3.3).

Shapes: any leading axes · 4 signals in `Signal` order.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from models.affect import Signal


def feedback_losses(
    logits: Float[Tensor, "*shape 4"], targets: Float[Tensor, "*shape 4"]
) -> Float[Tensor, "*shape 4"]:
    """Return the loss of every signal: squared error of the sigmoid, in nats for the rating; 0 where absent.

    Args:
        logits: of the four signals.
        targets: in [0, 1]; NaN where the signal was not observed.
    """
    known = torch.where(observed(targets), targets, 0.5)
    squared = (logits.sigmoid() - known) ** 2
    nats = F.binary_cross_entropy_with_logits(logits, known, reduction="none")
    is_rating = torch.arange(logits.shape[-1], device=logits.device) == Signal.RATING
    return torch.where(observed(targets), torch.where(is_rating, nats, squared), 0.0)


def observed(targets: Float[Tensor, "*shape 4"]) -> Bool[Tensor, "*shape 4"]:
    """Return where a signal was observed."""
    return ~targets.isnan()
