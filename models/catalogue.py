"""The songs that exist: stable keys ↔ rows, metadata, and one matrix per embedding space.

Row numbers live only inside one catalogue object, and those that follow from it by `after`; histories, decisions
and blocks hold keys. Song embeddings are content, never identities, so that a new song needs no retraining (AMRS
§3.2).

Legend: N rows, one per song, and one more for each time a song was changed · E embedding width · n changed songs
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from models.errors import DataError, UnknownSong
from models.growing import Growing
from models.listening import NO_SONG, song_key, song_keys

RECENT_SHARE: Final = 16
"""Keys that came lately are looked up apart until they are more than this part of all keys."""
RECENT_LEAST: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """What is known of one song besides its sound; None where nobody said."""

    song_id: str
    title: str | None = None
    artist: str | None = None
    duration_seconds: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """Songs as they are now, new ones among them, each at most once."""

    revision: int
    """Of the catalogue, once it has followed them."""
    songs: Sequence[Song]
    withdrawn: Bool[ndarray, " n"]
    embeddings: Mapping[str, Float[ndarray, "_ _"]]
    """Every embedding that the songs have, one row per song; NaN where a song has none in a space."""


class _Places(NamedTuple):
    """Where the rows of keys are: both arrays in the order of the keys."""

    keys: Int[ndarray, " k"]
    rows: Int[ndarray, " k"]

    def find(self, keys: Int[ndarray, "*shape"]) -> Int[ndarray, "*shape"]:
        """Return the row of each key; `NO_SONG` where it is not here."""
        if not len(self.keys):
            return np.full(keys.shape, NO_SONG)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.rows[place], NO_SONG)

    def under(self, newer: "_Places") -> "_Places":
        """Return both as one; of a key that both hold, the newer row."""
        keys, first = np.unique(np.concatenate([newer.keys, self.keys]), return_index=True)
        return _Places(keys, np.concatenate([newer.rows, self.rows])[first])


_NOWHERE: Final = _Places(np.zeros(0, np.int64), np.zeros(0, np.int64))


class _Columns(NamedTuple):
    """A catalogue's columns as they grow."""

    songs: Growing
    keys: Growing
    artists: Growing
    embeddings: dict[str, Growing]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue:
    """Songs in a fixed order, with their embeddings; memory-mapped matrices are kept as they are.

    A catalogue never changes. The one that follows it, `after` changes, has the same rows and some more: a song
    that changed has a new row, by which its key is found from then on.
    """

    songs: Sequence[Song]
    embeddings: Mapping[str, Float[ndarray, "_ _"]]
    withdrawn: Bool[ndarray, " N"]
    """Withdrawn songs can still be encoded, never recommended. So it is with rows that a newer one replaced."""
    revision: int = 0
    """Of the last change that it has followed."""

    keys: Int[ndarray, " N"] = field(init=False)
    artists: Int[ndarray, " N"] = field(init=False)
    """The stable key of each song's artist; a song without one is its own artist."""
    superseded_count: int = field(init=False)
    """How many rows a newer one replaced."""
    _places: _Places = field(init=False)
    _recent: _Places = field(init=False)
    _columns: _Columns | None = field(init=False)

    def __post_init__(self) -> None:
        keys = song_keys([song.song_id for song in self.songs])
        order = np.argsort(keys, kind="stable")
        twins = np.flatnonzero(np.diff(keys[order]) == 0)
        if twins.size:
            first, second = order[twins[0]], order[twins[0] + 1]
            raise _twins(self.songs[first], self.songs[second])
        for space, matrix in self.embeddings.items():
            if len(matrix) != len(keys):
                raise DataError(f"space {space!r} must hold {len(keys)} rows; got {len(matrix)}")
        self._set(keys=keys, artists=_artists(self.songs), superseded_count=0)
        self._set(_places=_Places(keys[order], order), _recent=_NOWHERE, _columns=None)

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, keys: Int[ndarray, "*shape"]) -> Int[ndarray, "*shape"]:
        """Return the row of each song key; `NO_SONG` for keys that are not in the catalogue."""
        found = self._places.find(keys)
        if not len(self._recent.keys):
            return found
        recent = self._recent.find(keys)
        return np.where(recent == NO_SONG, found, recent)

    def row(self, song_id: str) -> int:
        """Return the row of one song.

        Raises:
            UnknownSong: the catalogue does not hold it.
        """
        row = int(self.rows(np.array([song_key(song_id)]))[0])
        if row == NO_SONG:
            raise UnknownSong(f"song {song_id!r} is not in the catalogue of {len(self)} songs")
        return row

    def current(self) -> Int[ndarray, " n"]:
        """Return the row of every song, withdrawn or not, in their order; of a song that changed, the newest."""
        return np.flatnonzero(self.rows(self.keys) == np.arange(len(self)))

    def after(self, changes: Changes) -> "Catalogue":
        """Return the catalogue that follows; of a song that only was withdrawn, nothing but that is new.

        Raises:
            DataError: two songs have the same key, or a space's width is another.
        """
        keys = song_keys([song.song_id for song in changes.songs])
        rows = self.rows(keys)  # (n,)
        self._refuse_twins(changes, keys, rows)
        self._refuse_widths(changes)
        known = rows != NO_SONG
        returns = known & self._are_withdrawn(rows) & ~changes.withdrawn
        added = ~self._are_same(changes, rows) | returns
        gone = self.withdrawn.copy()
        gone[rows[known & (added | changes.withdrawn)]] = True
        made = np.flatnonzero(added)
        recent = self._recent.under(_placed(keys[made], len(self)))
        places = self._places
        if len(recent.keys) > max(RECENT_LEAST, len(places.keys) // RECENT_SHARE):
            places, recent = places.under(recent), _NOWHERE
        columns = self._grown(changes, keys, made)
        return _following(
            columns,
            withdrawn=np.concatenate([gone, changes.withdrawn[made]]),
            revision=changes.revision,
            superseded_count=self.superseded_count + int(np.count_nonzero(known & added)),
            places=places,
            recent=recent,
        )

    def continues(self, other: "Catalogue") -> bool:
        """Whether this is the other catalogue, or follows from it: its rows are then the first of these."""
        if self is other:
            return True
        if self._columns is None or other._columns is None:
            return False
        return self._columns.keys.continues(other._columns.keys)

    def changes_since(self, earlier: "Catalogue") -> Changes:
        """Return what leads from a catalogue that this one continues to this one."""
        before = len(earlier)
        gone = np.flatnonzero(self.withdrawn[:before] & ~earlier.withdrawn)
        rows = np.concatenate([gone, np.arange(before, len(self))])
        rows = rows[self.rows(self.keys[rows]) == rows]
        return Changes(
            revision=self.revision,
            songs=[self.songs[row] for row in rows],
            withdrawn=self.withdrawn[rows],
            embeddings={space: np.asarray(matrix)[rows] for space, matrix in self.embeddings.items()},
        )

    def compacted(self) -> "Catalogue":
        """Return the same songs, each with one row; row numbers are others."""
        rows = self.current()
        return Catalogue(
            songs=[self.songs[row] for row in rows],
            embeddings={space: np.asarray(matrix)[rows] for space, matrix in self.embeddings.items()},
            withdrawn=self.withdrawn[rows],
            revision=self.revision,
        )

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _are_withdrawn(self, rows: Int[ndarray, " n"]) -> Bool[ndarray, " n"]:
        return (rows != NO_SONG) & np.append(self.withdrawn, False)[rows]

    def _refuse_twins(self, changes: Changes, keys: Int[ndarray, " n"], rows: Int[ndarray, " n"]) -> None:
        held = {int(key): song for key, song in zip(keys, changes.songs, strict=True)}
        if len(held) != len(keys):
            raise DataError("a song changes at most once at a time; one comes twice")
        for row, song in zip(rows.tolist(), changes.songs, strict=True):
            if row != NO_SONG and self.songs[row].song_id != song.song_id:
                raise _twins(self.songs[row], song)

    def _refuse_widths(self, changes: Changes) -> None:
        for space, matrix in changes.embeddings.items():
            held = self.embeddings.get(space)
            if held is not None and held.shape[1] != matrix.shape[1]:
                raise DataError(f"space {space!r} has vectors of width {held.shape[1]}; got {matrix.shape[1]}")

    def _are_same(self, changes: Changes, rows: Int[ndarray, " n"]) -> Bool[ndarray, " n"]:
        """Return which songs are known, and as they are but for being withdrawn."""
        same = np.array(
            [
                row != NO_SONG and self.songs[row] == song
                for row, song in zip(rows.tolist(), changes.songs, strict=True)
            ],
            bool,
        )
        asked = np.flatnonzero(same)
        for space in {*self.embeddings, *changes.embeddings} if len(asked) else ():
            before = _taken(self.embeddings.get(space), rows[asked])
            now = _taken(changes.embeddings.get(space), asked)
            same[asked] &= ((before == now) | (np.isnan(before) & np.isnan(now))).all(axis=1)
        return same

    def _grown(self, changes: Changes, keys: Int[ndarray, " n"], made: Int[ndarray, " m"]) -> _Columns:
        columns = self._columns or self._begun()
        songs = [changes.songs[place] for place in made]
        widths = {space: matrix.shape[1] for space, matrix in changes.embeddings.items()}
        embeddings = dict(columns.embeddings)
        for space in widths.keys() - embeddings.keys():
            embeddings[space] = _unknown(len(self), widths[space], room=columns.keys.room)
        return _Columns(
            songs=columns.songs.plus(_objects(songs)),
            keys=columns.keys.plus(keys[made]),
            artists=columns.artists.plus(_artists(songs)),
            embeddings={
                space: column.plus(_rows_of(changes, space, made, column.rows.shape[1]))
                for space, column in embeddings.items()
            },
        )

    def _begun(self) -> _Columns:
        """Return this catalogue's columns, ready to grow."""
        columns = _Columns(
            songs=Growing(_objects(self.songs)),
            keys=Growing(self.keys),
            artists=Growing(self.artists),
            embeddings={space: Growing(np.asarray(matrix)) for space, matrix in self.embeddings.items()},
        )
        self._set(_columns=columns)
        return columns


def empty_catalogue(*, room: int = 0) -> Catalogue:
    """Return a catalogue of no songs, that so many may follow without moving those before them."""
    catalogue = Catalogue(songs=(), embeddings={}, withdrawn=np.zeros(0, bool))
    object.__setattr__(
        catalogue,
        "_columns",
        _Columns(
            songs=Growing.empty((), object, room=room),
            keys=Growing.empty((), np.int64, room=room),
            artists=Growing.empty((), np.int64, room=room),
            embeddings={},
        ),
    )
    return catalogue


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


def _following(
    columns: _Columns,
    *,
    withdrawn: Bool[ndarray, " N"],
    revision: int,
    superseded_count: int,
    places: _Places,
    recent: _Places,
) -> Catalogue:
    """Return a catalogue over columns that are there already."""
    catalogue = object.__new__(Catalogue)
    catalogue._set(
        songs=columns.songs.rows,
        embeddings={space: column.rows for space, column in columns.embeddings.items()},
        withdrawn=withdrawn,
        revision=revision,
        keys=columns.keys.rows,
        artists=columns.artists.rows,
        superseded_count=superseded_count,
        _places=places,
        _recent=recent,
        _columns=columns,
    )
    return catalogue


def _placed(keys: Int[ndarray, " m"], first: int) -> _Places:
    order = np.argsort(keys)
    return _Places(keys[order], first + order)


def _twins(one: Song, other: Song) -> DataError:
    return DataError(f"songs {one.song_id!r} and {other.song_id!r} have the same key")


def _artists(songs: Sequence[Song]) -> Int[ndarray, " n"]:
    return np.array([song_key(artist_of(song)) for song in songs], np.int64).reshape(-1)


def _objects(songs: Sequence[Song]) -> Shaped[ndarray, " n"]:
    array = np.empty(len(songs), object)
    array[:] = songs
    return array


def _unknown(count: int, width: int, *, room: int) -> Growing:
    return Growing.empty((width,), np.float32, room=room).plus(np.full((count, width), np.nan, np.float32))


def _taken(matrix: Float[ndarray, "_ _"] | None, rows: Int[ndarray, " m"]) -> Float[ndarray, "m _"]:
    """Return rows of a matrix; NaN where there is none."""
    return np.full((len(rows), 1), np.nan, np.float32) if matrix is None else np.asarray(matrix)[rows]


def _rows_of(changes: Changes, space: str, made: Int[ndarray, " m"], width: int) -> Float[ndarray, "m E"]:
    matrix = changes.embeddings.get(space)
    if matrix is None:
        return np.full((len(made), width), np.nan, np.float32)
    return np.asarray(matrix, np.float32)[made]
