"""The exact index: every song compared with every query. Below some ten thousand songs nothing is faster.

Legend: N songs · Q width of a query
"""

import faiss
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

faiss.omp_set_num_threads(1)  # processes are the workers; threads inside one would only contend


class ExactIndex:
    """A scan; its answers are what the others are measured by."""

    kind = name = "exact"

    def __init__(self, vectors: Float[ndarray, "N Q"]) -> None:
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def size_bytes(self) -> int:
        """Memory beside the songs' vectors: it has a copy of them."""
        return 4 * self._index.ntotal * self._index.d

    def search(
        self, query: Float[ndarray, " Q"], count: int
    ) -> tuple[Int[ndarray, " found"], Float[ndarray, " found"]]:
        """Return the places of the `count` vectors with the highest inner product, best first, and it."""
        scores, places = self._index.search(query[None], count)
        return places[0], scores[0]
