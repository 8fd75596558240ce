"""The exact index of the songs that may be recommended: a query in, the songs with the highest cosine out.

Below some ten thousand songs a flat search beats every approximate index (SCIENCE §2); a larger catalogue gets
another class with the same two methods.

Legend: N songs in the index · Q width of a query
"""

import faiss
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

faiss.omp_set_num_threads(1)  # processes are the workers; threads inside one would only contend


class FlatIndex:
    """Every song compared with every query."""

    def __init__(self, vectors: Float[ndarray, "N Q"], rows: Int[ndarray, " N"]) -> None:
        """Hold the projected vectors of the given catalogue rows."""
        self._rows = rows
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def __len__(self) -> int:
        return len(self._rows)

    def search(
        self, query: Float[ndarray, " Q"], count: int
    ) -> tuple[Int[ndarray, " found"], Float[ndarray, " found"]]:
        """Return the catalogue rows of the `count` best songs, best first, and their cosines.

        Fewer songs come back where the index holds fewer, and none to a query that is not finite.
        """
        count = min(count, len(self))
        if not count:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        scores, places = self._index.search(query[None], count)
        found = (places[0] >= 0) & np.isfinite(scores[0])
        return self._rows[places[0][found]], scores[0][found]
