"""Inverted lists: songs gathered around centres, and only the lists nearest to a query are looked at.

Legend: N songs · Q width of a query
"""

import faiss
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from service.live.directions import Directions
from service.live.quantised import best_exactly

TRAINED_ON = 64
"""Songs per list from which the centres are learned."""


class InvertedIndex:
    """Songs in lists; `effort` is the share of the lists looked at, in 64ths."""

    efforts = (1, 2, 4, 8, 16, 32)
    kind = "inverted"

    def __init__(self, vectors: Float[ndarray, "N Q"], space: Directions) -> None:
        self._vectors, self._space = vectors, space
        listed = space.songs(vectors)
        self._lists = max(1, int(4 * np.sqrt(len(listed))))
        self._centres = faiss.IndexFlatIP(listed.shape[1])
        self._index = faiss.IndexIVFFlat(self._centres, listed.shape[1], self._lists, faiss.METRIC_INNER_PRODUCT)
        self._index.cp.min_points_per_centroid, self._index.cp.max_points_per_centroid = 1, TRAINED_ON
        self._index.cp.niter = 8
        self._index.train(listed)
        self._index.add(listed)
        self.effort = self.efforts[0]

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def effort(self) -> int:
        """The share of the lists that are looked at, in 64ths."""
        return self._effort

    @effort.setter
    def effort(self, effort: int) -> None:
        self._effort = effort
        self._index.nprobe = max(1, self._lists * effort // 64)

    @property
    def name(self) -> str:
        """The class, how many lists it looks at, and of how many."""
        return f"{self.kind} {self._index.nprobe}/{self._lists}"

    @property
    def size_bytes(self) -> int:
        """Memory beside the songs' vectors."""
        return (len(self) + self._lists) * (4 * self._space.of_songs.shape[1] + 8)

    def search(
        self, query: Float[ndarray, " Q"], count: int
    ) -> tuple[Int[ndarray, " found"], Float[ndarray, " found"]]:
        """Return the places of the best vectors in the nearest lists; fewer where they hold no more."""
        _, places = self._index.search(self._space.queries(query[None]), count)
        return best_exactly(self._vectors, query, places[0], count)
