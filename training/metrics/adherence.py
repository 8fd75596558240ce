"""Adherence: how near a policy's ranking stays to what the production policy played. A diagnostic, not a target.

Level 2 counts a song as relevant if it stands anywhere in that listener's log; level 3 only if it is the song
logged at that very step. Source: AMRS §4.2, with full ideal gains in NDCG (SCIENCE §1).

Legend: B rankings · N songs of the catalogue · best first
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray


def in_rank_order(scores: Float[ndarray, "B N"], relevant: Bool[ndarray, "B N"]) -> Bool[ndarray, "B N"]:
    """Return which places of each ranking hold a relevant song, best first; the first of equals stands first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(relevant, order, axis=1)


def hit_rate(ranked: Bool[ndarray, "B N"], *, depth: int) -> float:
    """Return the share of rankings with a relevant song among the first `depth`."""
    return float(ranked[:, :depth].any(axis=1).mean())


def mean_reciprocal_rank(ranked: Bool[ndarray, "B N"]) -> float:
    """Return the mean of 1 / place of the first relevant song; 0 where there is none."""
    reciprocal = np.where(ranked.any(axis=1), 1.0 / (ranked.argmax(axis=1) + 1), 0.0)
    return float(reciprocal.mean())


def ndcg(ranked: Bool[ndarray, "B N"], *, depth: int) -> float:
    """Return the mean discounted gain of the first `depth` over that of a perfect ranking, in [0, 1].

    The ideal is full: as many relevant songs as there are, up to `depth`. A ranking without any counts 0.
    """
    discount = 1.0 / np.log2(np.arange(2, min(depth, ranked.shape[1]) + 2))  # (depth,)
    gained = ranked[:, :depth] @ discount
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(ranked.sum(axis=1), len(discount))]
    return float(np.divide(gained, ideal, out=np.zeros(len(gained)), where=ideal > 0).mean())
