"""Exposure: which songs a population has been shown, as four measures and as versioned snapshots.

Source: AMRS §4.2, with the definitions that reproduce the paper's own Random row (SCIENCE §1): 2,350 uniform
draws over 6,988 songs give coverage 0.286, normalised entropy 0.8525 and Gini 0.7507.

Legend: N songs of the catalogue · R rollouts · T songs of one rollout · E embedding width
"""

from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.errors import DataError


def coverage(counts: Int[ndarray, " N"]) -> float:
    """Return the share of the catalogue that was shown at least once, in [0, 1]."""
    return float(np.mean(counts > 0))


def normalized_entropy(counts: Int[ndarray, " N"]) -> float:
    """Return the entropy of what was shown over that of a uniform catalogue, in [0, 1].

    Raises:
        DataError: nothing was shown, or the catalogue has fewer than two songs.
    """
    _require_exposure(counts)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(counts)))


def gini(counts: Int[ndarray, " N"]) -> float:
    """Return the inequality of exposure over the whole catalogue, never-shown songs included, in [0, 1)."""
    _require_exposure(counts)
    ascending = np.sort(counts).astype(np.float64)
    ranks = np.arange(1, len(counts) + 1)
    return float(2 * (ranks * ascending).sum() / (len(counts) * ascending.sum()) - (len(counts) + 1) / len(counts))


def mean_cosine_distance(embeddings: Float[ndarray, "N E"]) -> float:
    """Return the mean cosine distance over all pairs of different songs, without forming the pairs."""
    if len(embeddings) < 2:
        raise DataError(f"a distance between songs needs at least 2 of them; got {len(embeddings)}")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    total = unit.sum(axis=0, dtype=np.float64)
    pairs = len(unit) * (len(unit) - 1)
    return float(1.0 - (total @ total - len(unit)) / pairs)


def intra_list_diversity(
    rollouts: Int[ndarray, "R T"], embeddings: Float[ndarray, "N E"], *, catalogue_distance: float
) -> float:
    """Return the mean pairwise cosine distance within a rollout over that of the catalogue (ILD).

    Args:
        rollouts: rows of the songs of each rollout, at least two a rollout; a rollout with a `NO_SONG` is
            measured on the songs it has, and left out if fewer than two remain.
        catalogue_distance: `mean_cosine_distance` of the whole catalogue.
    """
    distances = [
        mean_cosine_distance(embeddings[rows])
        for rows in (rollout[rollout >= 0] for rollout in rollouts)
        if len(rows) >= 2
    ]
    if not distances:
        raise DataError("diversity within a rollout needs a rollout of at least 2 songs")
    return float(np.mean(distances)) / catalogue_distance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExposureSnapshot:
    """How often each song was shown under one mode over the last exposures: what the coverage floor reads.

    A snapshot is a value: its id is the digest of what it holds, so that a decision can name it and be
    replayed with it.
    """

    keys: Int[ndarray, " n"]
    """The songs that were shown, as ascending keys."""
    counts: Int[ndarray, " n"]
    catalogue_size: int
    snapshot_id: str = field(init=False)
    """The digest of the contents, 16 hexadecimal digits."""

    def __post_init__(self) -> None:
        if len(self.keys) != len(self.counts) or np.any(np.diff(self.keys) <= 0):
            raise DataError("a snapshot needs one count per song, and its keys ascending")
        contents = (self.keys.tobytes(), self.counts.tobytes(), str(self.catalogue_size).encode())
        object.__setattr__(self, "snapshot_id", sha256(b"|".join(contents)).hexdigest()[:16])

    @property
    def coverage(self) -> float:
        """The share of the catalogue shown, in [0, 1]; 0 of an empty catalogue."""
        return float(np.count_nonzero(self.counts) / self.catalogue_size) if self.catalogue_size else 0.0

    def counts_of(self, songs: Int[ndarray, "*shape"]) -> Int[ndarray, "*shape"]:
        """Return how often each of the given songs was shown."""
        if not len(self.keys):
            return np.zeros(songs.shape, np.int64)
        place = np.minimum(np.searchsorted(self.keys, songs), len(self.keys) - 1)
        return np.where(self.keys[place] == songs, self.counts[place], 0)


def empty_snapshot(catalogue_size: int) -> ExposureSnapshot:
    """Return the snapshot before anything was shown."""
    return ExposureSnapshot(
        keys=np.zeros(0, np.int64), counts=np.zeros(0, np.int64), catalogue_size=catalogue_size
    )


def _require_exposure(counts: Int[ndarray, " N"]) -> None:
    if len(counts) < 2 or counts.sum() <= 0:
        raise DataError(f"exposure needs 2 songs and 1 exposure; got {len(counts)} and {counts.sum()}")
