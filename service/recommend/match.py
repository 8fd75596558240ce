"""Match: the songs of the catalogue that come nearest to what the policy wants, exclusions removed."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from service.live.engine import Engine


def match(
    engine: Engine, query: Float[ndarray, " Q"], count: int, excluded: Int[ndarray, " n"]
) -> tuple[Int[ndarray, " K"], Float[ndarray, " K"]]:
    """Return the rows of the `count` best songs that are not excluded, best first, and their cosines."""
    rows, scores = engine.index.search(query, count + len(excluded))
    kept = np.isin(rows, excluded, invert=True) if len(excluded) else np.ones(len(rows), bool)
    return rows[kept][:count], scores[kept][:count]
