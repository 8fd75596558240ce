"""The songs that may be recommended: a query in, the songs with the highest cosine out.

Three parts, none of which ever changes: a base, laid out once over the songs there were; the songs that came
since, compared one by one; and a mark for each song that may not be given any more. A change makes new marks and
a longer list of newcomers over the same base, so it costs what changed, and a search that is under way goes on
over what it began with. When newcomers are many, a new base is laid out in the background.

Legend: N rows of the catalogue · Q width of a query
"""

from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

NEWCOMER_LEAST: Final = 2048
NEWCOMER_SHARE: Final = 64
"""A new base is due when newcomers, or songs of the base that are gone, are more than either allows: some
thousands, or this part of the base. Either costs a search well under a millisecond."""
_MARGIN: Final = 32
"""How many songs more than wanted are asked of the base at first where some of its songs are gone."""

Found = tuple[Int[ndarray, " found"], Float[ndarray, " found"]]


@runtime_checkable
class Base(Protocol):
    """Vectors that were laid out once: exactly, or by a class that was measured to find nearly all of them."""

    @property
    def name(self) -> str:
        """The class, and with how much effort it searches."""

    def __len__(self) -> int: ...

    def search(self, query: Float[ndarray, " Q"], count: int) -> Found:
        """Return the places of the best vectors and their inner products; fewer, or -1, where it finds no more."""


class SongIndex:
    """Searches the rows that may be recommended."""

    def __init__(
        self,
        base: Base,
        base_rows: Int[ndarray, " B"],
        vectors: Float[ndarray, "N Q"],
        allowed: Bool[ndarray, " N"],
        *,
        laid_out: int,
    ) -> None:
        """Join a base and what came since.

        Args:
            base: over the vectors of `base_rows`.
            base_rows: rows, all below `laid_out`.
            vectors: the projected vector of every row.
            allowed: which rows may be given. Below `laid_out`, only rows of the base.
            laid_out: the rows from here on are newcomers.
        """
        self._base = base
        self._base_rows = base_rows
        self._vectors = vectors
        self._allowed = allowed
        self._laid_out = laid_out
        self._newcomers = laid_out + np.flatnonzero(allowed[laid_out:])
        self._count = int(np.count_nonzero(allowed))
        self._gone_count = len(base) - (self._count - len(self._newcomers))

    def __len__(self) -> int:
        return self._count

    @property
    def base_name(self) -> str:
        """Which class the base is of."""
        return self._base.name

    @property
    def is_due(self) -> bool:
        """Whether a new base should be laid out."""
        limit = max(NEWCOMER_LEAST, len(self._base) // NEWCOMER_SHARE)
        return max(len(self._vectors) - self._laid_out, self._gone_count) > limit

    def after(self, vectors: Float[ndarray, "N Q"], allowed: Bool[ndarray, " N"]) -> "SongIndex":
        """Return the index over the same base and more rows, of which fewer of the old ones may be allowed."""
        return SongIndex(self._base, self._base_rows, vectors, allowed, laid_out=self._laid_out)

    def search(self, query: Float[ndarray, " Q"], count: int) -> Found:
        """Return the rows of the `count` best songs, best first, and their cosines.

        Fewer songs come back where fewer are allowed, and none to a query that is not finite.
        """
        count = min(count, len(self))
        if not count or not np.isfinite(query).all():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        rows, scores = self._of_base(query, min(count, len(self) - len(self._newcomers)))
        if len(self._newcomers):
            more = self._vectors[self._newcomers] @ query
            best = _best(more, count)
            rows = np.concatenate([rows, self._newcomers[best]])
            scores = np.concatenate([scores, more[best]])
        kept = np.isfinite(scores)
        rows, scores = rows[kept], scores[kept]
        order = np.argsort(-scores, kind="stable")[:count]
        return rows[order], scores[order]

    def _of_base(self, query: Float[ndarray, " Q"], count: int) -> Found:
        """Return the best songs of the base that are still allowed, asking for more until there are enough."""
        wanted = count + min(self._gone_count, _MARGIN)
        while count:
            places, scores = self._base.search(query, wanted)
            rows = self._base_rows[places[places >= 0]]
            allowed = self._allowed[rows]
            rows, found = rows[allowed], scores[places >= 0][allowed]
            if len(rows) >= count:
                return rows[:count], found[:count]
            if wanted >= len(self._base) or len(allowed) < wanted:
                return self._one_by_one(query, count)
            wanted = min(4 * wanted, len(self._base))
        return np.zeros(0, np.int64), np.zeros(0, np.float32)

    def _one_by_one(self, query: Float[ndarray, " Q"], count: int) -> Found:
        """Return the same by looking at every vector: where the base itself does not find enough."""
        rows = np.flatnonzero(self._allowed[: self._laid_out])
        scores = self._vectors[rows] @ query
        best = _best(scores, count)
        return rows[best], scores[best]


def _best(scores: Float[ndarray, " n"], count: int) -> Int[ndarray, " k"]:
    """Return the places of the highest scores, highest first."""
    if count < len(scores):
        places = np.argpartition(-scores, count - 1)[:count]
        return places[np.argsort(-scores[places], kind="stable")]
    return np.argsort(-scores, kind="stable")
