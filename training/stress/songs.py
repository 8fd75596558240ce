"""A catalogue to stumble over: the log's songs, a tenth of them withdrawn, and songs far from all of training.

A far song is a twin of a real one, moved outward from the middle of the training songs. Seen from the middle it
lies in the same direction, so the policy wants it about as much as its twin; but nothing is known there.

Legend: N songs of the log · F far songs · A = N + F, all of them · G training songs · E embedding width
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.catalogue import Catalogue, Song

OUTWARD: Final = 8.0
"""How many times as far from the middle a twin lies."""
_TWINS: Final = 100
_WITHDRAWN_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HostileSongs:
    """The catalogue, and which of its songs are which."""

    catalogue: Catalogue
    embeddings: Float[ndarray, "A E"]
    is_far: Bool[ndarray, " A"]

    @property
    def ordinary(self) -> Int[ndarray, " n"]:
        """Keys of the songs that may be played."""
        return self.catalogue.keys[~self.is_far & ~self.catalogue.withdrawn]

    @property
    def far(self) -> Int[ndarray, " F"]:
        """Keys of the far songs."""
        return self.catalogue.keys[self.is_far]


def hostile_songs(
    songs: Sequence[Song],
    embeddings: Float[ndarray, "N E"],
    heard: Int[ndarray, " G"],
    rng: np.random.Generator,
) -> HostileSongs:
    """Return the catalogue to stumble over.

    Args:
        songs: the log's.
        embeddings: of the same songs.
        heard: rows of the training songs; twins are made of those that lie farthest out already.
        rng: draws which songs are withdrawn.
    """
    middle = embeddings[heard].mean(axis=0, dtype=np.float64)
    outward = embeddings[heard] - middle
    outermost = np.argsort(-np.linalg.norm(outward, axis=1), kind="stable")[:_TWINS]
    twins = (middle + OUTWARD * outward[outermost]).astype(np.float32)
    far = [Song(song_id=f"far-twin-of-{songs[row].song_id}") for row in heard[outermost]]
    is_far = np.arange(len(songs) + len(far)) >= len(songs)
    withdrawn = ~is_far & (rng.random(len(is_far)) < _WITHDRAWN_SHARE)
    return HostileSongs(
        catalogue=Catalogue(songs=[*songs, *far], embeddings={}, withdrawn=withdrawn),
        embeddings=np.concatenate([embeddings, twins]).astype(np.float32),
        is_far=is_far,
    )
