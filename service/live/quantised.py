"""Product quantisation: every song scanned by a code of a few bytes, and the best of them compared exactly.

A code is half a byte for each pair of coordinates; scanning it costs a tenth of the song's own vector, and
learning it seconds. Source: Jégou et al. 2011, and faiss's scan of 4-bit codes in registers.

Legend: N songs · Q width of a query
"""

import faiss
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from service.live.directions import Directions

TRAINED_ON = 20_000
"""Songs from which the codes are learned."""


class QuantisedIndex:
    """Codes for all songs; `effort` is how many times the songs asked for are compared exactly."""

    efforts = (5, 10, 20, 40)
    kind = "quantised"

    def __init__(self, vectors: Float[ndarray, "N Q"], space: Directions) -> None:
        self._vectors, self._space = vectors, space
        coded = space.songs(vectors)
        self._index = faiss.IndexPQFastScan(coded.shape[1], coded.shape[1] // 2, 4, faiss.METRIC_INNER_PRODUCT)
        self._index.train(coded[:: max(1, len(coded) // TRAINED_ON)])
        self._index.add(coded)
        self.effort = self.efforts[0]

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def name(self) -> str:
        """The class, and how many songs it compares exactly for each one asked for."""
        return f"{self.kind} ×{self.effort}"

    @property
    def size_bytes(self) -> int:
        """Memory beside the songs' vectors."""
        return len(self) * self._space.of_songs.shape[1] // 4

    def search(
        self, query: Float[ndarray, " Q"], count: int
    ) -> tuple[Int[ndarray, " found"], Float[ndarray, " found"]]:
        """Return the places of the best vectors by the exact product, of those that are best by code."""
        _, places = self._index.search(self._space.queries(query[None]), min(len(self), count * self.effort))
        return best_exactly(self._vectors, query, places[0], count)


def best_exactly(
    vectors: Float[ndarray, "N Q"], query: Float[ndarray, " Q"], places: Int[ndarray, " n"], count: int
) -> tuple[Int[ndarray, " found"], Float[ndarray, " found"]]:
    """Return the best of some places, best first, by their vectors; -1 is no place."""
    places = places[places >= 0]
    scores = vectors[places] @ query
    if count < len(places):
        kept = np.argpartition(-scores, count - 1)[:count]
        places, scores = places[kept], scores[kept]
    order = np.argsort(-scores, kind="stable")
    return places[order], scores[order]
