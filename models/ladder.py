"""The fallback ladder: which rungs there are, how many songs each looks at, and who is asked for on which.

On the first two the policy proposes; on the others people did, and their order is the songs' only score. Each rung
is for those alone to whom the ones before allowed nothing; below the last there is silence (SAFETY, Fallback
ladder). What binds on a rung is `models.guardrails`.

Legend: B listeners · b of them, still waiting for a song · K candidates
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.guardrails import Rung
from models.listening import NO_SONG

LADDER: Final = (Rung.POLICY, Rung.WIDER, Rung.KNOWN_SAFE, Rung.APPROVED)
"""The rungs that hold songs, in order."""
WIDER: Final = 4
"""How many times as many candidates the ladder's second rung looks at."""

AskRung = Callable[[Rung, Int[ndarray, " b"]], Int[ndarray, " b"]]
"""Told a rung and the places of those who reached it; gives a place among each one's candidates, or `NO_SONG`."""


def descend(listener_count: int, ask: AskRung) -> None:
    """Ask rung after rung for those to whom none before gave a song, until everybody has one or none is left."""
    waiting = np.arange(listener_count)
    for rung in LADDER:
        if not len(waiting):
            return
        waiting = waiting[ask(rung, waiting) == NO_SONG]


def reach(rung: Rung, candidate_count: int) -> int:
    """Return how many songs a rung looks at, at most.

    Args:
        rung: one of the ladder's.
        candidate_count: K, the songs that the policy proposes.
    """
    return WIDER * candidate_count if rung is Rung.WIDER else candidate_count


def list_scores(count: int) -> Float[ndarray, " K"]:
    """Return the scores of the songs of a list that people made: minus their places."""
    return -np.arange(count, dtype=np.float32)
