"""Where approximate indexes live: songs as unit directions, queries to match, inner products unchanged.

A projected song and a query differ by orders of magnitude between their coordinates, which cancel in the product;
whatever rounds coordinates loses it. Both are rotated and scaled so that songs have their own length again.

Legend: Q width of a query · R rank of the policy's last layer · n vectors
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.bundle import Projections

_NOTHING = 1e-6
"""Directions in which the layer is weaker than this part of its strongest are none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Directions:
    """The two maps; `songs(x) · queries(y)` is `x · y` for every projected song x and every y."""

    of_songs: Float[ndarray, "Q R"]
    of_queries: Float[ndarray, "Q R"]

    def songs(self, vectors: Float[ndarray, "n Q"]) -> Float[ndarray, "n R"]:
        """Return projected songs as directions."""
        return vectors @ self.of_songs

    def queries(self, queries: Float[ndarray, "n Q"]) -> Float[ndarray, "n R"]:
        """Return queries as directions."""
        return queries @ self.of_queries

    def aimed_at(self, directions: Float[ndarray, "n R"]) -> Float[ndarray, "n Q"]:
        """Return queries that seek these directions."""
        return directions @ self.of_songs.T


def directions(projections: Projections) -> Directions:
    """Return the maps for a bundle's index; their width is even, which codes of pairs need."""
    layer = np.column_stack([projections.policy_output.matrix.T, projections.policy_output.offset])  # (P, Q)
    _, strengths, axes = np.linalg.svd(layer.astype(np.float64), full_matrices=False)
    kept = strengths > _NOTHING * strengths[0]
    strengths, axes = strengths[kept], axes[kept].T
    odd = [(0, 0), (0, len(strengths) % 2)]
    return Directions(
        of_songs=np.pad(axes / strengths, odd).astype(np.float32),
        of_queries=np.pad(axes * strengths, odd).astype(np.float32),
    )
