"""Songs as the graphs of one bundle want them: every linear map of an embedding, computed once per song.

Source: SCIENCE §2; the maps are exact rewritings of the trained networks.

Legend: N songs · E embedding width · M members · H hidden width of the head · n added songs
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import faiss
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from models.bundle import Bundle
from models.errors import BundleError
from models.growing import Growing

CHUNK: Final = 8192
"""Songs whose vectors are computed at a time: what is needed beside the result stays small."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SongVectors:
    """One row per song."""

    world_token: Float[ndarray, "N D"]
    policy_token: Float[ndarray, "N P"]
    head_hidden: Float[ndarray, "N M H"]
    index_rows: Float[ndarray, "N Q"]
    """What a query is multiplied with to give the policy's cosine."""
    support_distance: Float[ndarray, " N"]
    """From each embedding to its nearest training song."""
    known: Bool[ndarray, " N"]
    """Whether the song has an embedding in the bundle's space."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GrowingVectors:
    """The vectors of a catalogue that songs are added to; those that are there already stay where they are."""

    rows: SongVectors
    _columns: Mapping[str, Growing]

    def plus(self, bundle: Bundle, embeddings: Float[ndarray, "n E"]) -> "GrowingVectors":
        """Return the vectors of more songs.

        Raises:
            BundleError: the embeddings have another width than the bundle's space.
        """
        columns = dict(self._columns)
        for start in range(0, len(embeddings), CHUNK):
            more = song_vectors(bundle, embeddings[start : start + CHUNK])
            columns = {name: column.plus(getattr(more, name)) for name, column in columns.items()}
        return GrowingVectors(rows=_view(columns), _columns=columns)


def growing_vectors(bundle: Bundle, embeddings: Float[ndarray, "N E"]) -> GrowingVectors:
    """Return the vectors of a catalogue's songs, which more may follow.

    Raises:
        BundleError: the embeddings have another width than the bundle's space.
    """
    nothing = song_vectors(bundle, embeddings[:0])
    arrays = {field.name: getattr(nothing, field.name) for field in fields(SongVectors)}
    columns = {
        name: Growing.empty(array.shape[1:], array.dtype, room=len(embeddings)) for name, array in arrays.items()
    }
    return GrowingVectors(rows=_view(columns), _columns=columns).plus(bundle, embeddings)


def _view(columns: Mapping[str, Growing]) -> SongVectors:
    return SongVectors(**{name: column.rows for name, column in columns.items()})


def song_vectors(bundle: Bundle, embeddings: Float[ndarray, "N E"]) -> SongVectors:
    """Return the songs in the forms that the bundle's graphs take.

    A row that is not finite (a withdrawn song without an embedding) becomes a token of zeros, as if the song
    were unknown, and predictions that are not numbers, which guardrails forbid.

    Raises:
        BundleError: the embeddings have another width than the bundle's space.
    """
    space = bundle.manifest.space
    if embeddings.shape[1] != space.width:
        raise BundleError(
            f"{bundle.version} reads embeddings of width {space.width} ({space.name}); got {embeddings.shape[1]}"
        )
    maps, members = bundle.projections, bundle.manifest.member_count
    known = np.isfinite(embeddings).all(axis=1)  # (N,)
    finite = np.where(known[:, None], embeddings, np.float32(0))
    with np.errstate(
        invalid="ignore"
    ):  # OpenBLAS reads past short vectors, and may meet a NaN that it throws away
        head_hidden = maps.head_hidden(finite)
        support_distance = nearest_distances(maps.support_points, maps.support_map(finite))
        world_token, policy_token = maps.world_token(finite), maps.policy_token(finite)
        index_rows = maps.index_rows(finite)
    head_hidden = head_hidden.reshape(len(finite), members, len(maps.head_hidden.offset) // members)
    world_token[~known], policy_token[~known] = 0.0, 0.0
    head_hidden[~known], support_distance[~known] = np.nan, np.nan
    return SongVectors(
        world_token=world_token,
        policy_token=policy_token,
        head_hidden=head_hidden,
        index_rows=index_rows,
        support_distance=support_distance,
        known=known,
    )


def nearest_distances(points: Float[ndarray, "S D"], asked: Float[ndarray, "N D"]) -> Float[ndarray, " N"]:
    """Return the Euclidean distance from each vector asked about to its nearest point; infinite without points."""
    if not len(points) or not len(asked):
        return np.full(len(asked), np.inf)
    squared, _ = faiss.knn(np.ascontiguousarray(asked, np.float32), np.ascontiguousarray(points, np.float32), 1)
    return np.sqrt(np.maximum(squared[:, 0], 0.0)).astype(np.float64)
