"""Which base a catalogue's songs are laid out in: the exact one, up to the size where it stops paying.

Legend: N rows of the catalogue · Q width of a query
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from service.live.exact import ExactIndex
from service.live.index import SongIndex


def lay_out(vectors: Float[ndarray, "N Q"], allowed: Bool[ndarray, " N"]) -> SongIndex:
    """Return an index over all rows that are allowed, without newcomers."""
    rows = np.flatnonzero(allowed)
    return SongIndex(ExactIndex(vectors[rows]), rows, vectors, allowed, laid_out=len(vectors))
