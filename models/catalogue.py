"""The songs that exist: stable keys ↔ rows, metadata, and one matrix per embedding space.

Row numbers live only inside one catalogue object; histories, decisions and blocks hold keys. Song embeddings
are content, never identities, so that a new song needs no retraining (AMRS §3.2).

Legend: N songs · E embedding width
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.errors import DataError, UnknownSong
from models.listening import NO_SONG, song_key, song_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """What is known of one song besides its sound; None where nobody said."""

    song_id: str
    title: str | None = None
    artist: str | None = None
    duration_seconds: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue:
    """N songs in a fixed order, with their embeddings; memory-mapped matrices are kept as they are."""

    songs: Sequence[Song]
    embeddings: Mapping[str, Float[ndarray, "_ _"]]
    withdrawn: Bool[ndarray, " N"]
    """Withdrawn songs can still be encoded, never recommended."""

    keys: Int[ndarray, " N"] = field(init=False)
    artists: Int[ndarray, " N"] = field(init=False)
    """The stable key of each song's artist; a song without one is its own artist."""
    _order: Int[ndarray, " N"] = field(init=False)
    _sorted: Int[ndarray, " N"] = field(init=False)

    def __post_init__(self) -> None:
        keys = song_keys([song.song_id for song in self.songs])
        order = np.argsort(keys, kind="stable")
        twins = np.flatnonzero(np.diff(keys[order]) == 0)
        if twins.size:
            first, second = order[twins[0]], order[twins[0] + 1]
            raise DataError(
                f"songs {self.songs[first].song_id!r} and {self.songs[second].song_id!r} have the same key"
            )
        for space, matrix in self.embeddings.items():
            if len(matrix) != len(keys):
                raise DataError(f"space {space!r} must hold {len(keys)} rows; got {len(matrix)}")
        artists = [song_key(artist_of(song)) for song in self.songs]
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "artists", np.array(artists, np.int64).reshape(-1))
        object.__setattr__(self, "_order", order)
        object.__setattr__(self, "_sorted", keys[order])

    def __len__(self) -> int:
        return len(self.songs)

    def rows(self, keys: Int[ndarray, "*shape"]) -> Int[ndarray, "*shape"]:
        """Return the row of each song key; `NO_SONG` for keys that are not in the catalogue."""
        if not len(self):
            return np.full(keys.shape, NO_SONG)
        place = np.minimum(np.searchsorted(self._sorted, keys), len(self) - 1)
        return np.where(self._sorted[place] == keys, self._order[place], NO_SONG)

    def row(self, song_id: str) -> int:
        """Return the row of one song.

        Raises:
            UnknownSong: the catalogue does not hold it.
        """
        row = int(self.rows(np.array([song_key(song_id)]))[0])
        if row == NO_SONG:
            raise UnknownSong(f"song {song_id!r} is not in the catalogue of {len(self)} songs")
        return row

    def tagged(self, tag: str) -> Int[ndarray, " n"]:
        """Return the rows of the songs that carry a tag."""
        return np.array([row for row, song in enumerate(self.songs) if tag in song.tags], np.int64)


def artist_of(song: Song) -> str:
    """Return the name under which the repetition rule counts a song's artist."""
    return f"artist:{song.artist}" if song.artist else f"song:{song.song_id}"


def artist_key(artist: str) -> int:
    """Return the stable key of an artist's name: what `Catalogue.artists` holds for songs that have one."""
    return song_key(f"artist:{artist}")


def gather(matrix: Float[ndarray, "N *width"], rows: Int[ndarray, "*shape"]) -> Float[ndarray, "..."]:
    """Return matrix rows, with zeros where the row is `NO_SONG`."""
    if not len(matrix):
        return np.zeros((*rows.shape, *matrix.shape[1:]), matrix.dtype)
    found = matrix[np.maximum(rows, 0)]
    found[rows == NO_SONG] = 0
    return found
