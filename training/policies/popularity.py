"""Popularity: the songs that training listeners played most, the same for everybody.

Legend: B histories · N songs
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.listening import NO_SONG
from training.policies.policy import Moment
from training.windows import Histories


def play_counts(histories: Histories, listeners: Int[ndarray, " b"]) -> Int[ndarray, " N"]:
    """Return how often the given listeners played each song."""
    rows = histories.song_row[histories.tokens_of(listeners)]
    return np.bincount(rows[rows != NO_SONG], minlength=len(histories.song_vectors))


@dataclass(frozen=True, slots=True, eq=False)
class Popularity:
    """The most played first."""

    plays: Int[ndarray, " N"]

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return how often each song was played."""
        return np.tile(self.plays.astype(np.float64), (len(moment.mode), 1))
