"""A graph of neighbours (HNSW): a search walks from song to song towards the query.

Source: Malkov and Yashunin 2018. Quick to search, and by far the slowest to build.

Legend: N songs · Q width of a query
"""

import faiss
from jaxtyping import Float, Int
from numpy import ndarray

from service.live.directions import Directions
from service.live.quantised import best_exactly

LINKS = 32
BUILD_EFFORT = 80


class LinkedIndex:
    """Songs in a graph; `effort` is how many songs a walk keeps in sight."""

    efforts = (200, 400, 800)
    kind = "linked"

    def __init__(self, vectors: Float[ndarray, "N Q"], space: Directions) -> None:
        self._vectors, self._space = vectors, space
        linked = space.songs(vectors)
        self._index = faiss.IndexHNSWFlat(linked.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = BUILD_EFFORT
        self._index.add(linked)
        self.effort = self.efforts[0]

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def effort(self) -> int:
        """How many songs a walk keeps in sight."""
        return int(self._index.hnsw.efSearch)

    @effort.setter
    def effort(self, effort: int) -> None:
        self._index.hnsw.efSearch = effort

    @property
    def name(self) -> str:
        """The class, and how many songs a walk keeps in sight."""
        return f"{self.kind} {self.effort}"

    @property
    def size_bytes(self) -> int:
        """Memory beside the songs' vectors."""
        return len(self) * (4 * self._space.of_songs.shape[1] + 8 * LINKS)

    def search(
        self, query: Float[ndarray, " Q"], count: int
    ) -> tuple[Int[ndarray, " found"], Float[ndarray, " found"]]:
        """Return the places of the best vectors that the walk met."""
        _, places = self._index.search(self._space.queries(query[None]), count)
        return best_exactly(self._vectors, query, places[0], count)
