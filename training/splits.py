"""Splits by listener: whoever is judged was never trained on, not even one of their plays. And by song, besides.

Monte Carlo cross-validation: the same seed gives the same splits to every variant that is compared, so that
comparisons are paired. Source: AMRS §3.3, "strong generalization".
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from models.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Rows of listeners, each ascending, no two overlapping."""

    train: Int[ndarray, " n"]
    validation: Int[ndarray, " v"]
    """Chooses the policies' checkpoints, and those of world models that stand alone; calibrates intervals.

    The world models of an ensemble are chosen by training listeners of whom they know nothing: whoever calibrates
    an ensemble's intervals has not chosen it."""
    test: Int[ndarray, " t"]


def split_listeners(listeners: Int[ndarray, " B"], rng: np.random.Generator) -> Split:
    """Return 80% of the listeners for training, 10% for validation and 10% for testing, at least one each.

    Whoever must be held out of everything is left out of `listeners`.

    Raises:
        DataError: there are fewer than three listeners.
    """
    count = len(listeners)
    if count < 3:
        raise DataError(f"a split needs at least 3 listeners; got {count}")
    tenth = max(1, round(count / 10))
    shuffled = rng.permutation(listeners)
    return Split(
        train=np.sort(shuffled[2 * tenth :]),
        validation=np.sort(shuffled[:tenth]),
        test=np.sort(shuffled[tenth : 2 * tenth]),
    )


def draw_new_songs(song_count: int, rng: np.random.Generator, *, share: float) -> Bool[ndarray, " N"]:
    """Return which songs are held out of training: drawn uniformly, at least one, and at least one is not.

    Raises:
        DataError: there are fewer than two songs.
    """
    if song_count < 2:
        raise DataError(f"songs can be held out where there are at least 2; got {song_count}")
    held_out = np.zeros(song_count, bool)
    count = int(np.clip(round(share * song_count), 1, song_count - 1))
    held_out[rng.choice(song_count, count, replace=False)] = True
    return held_out
