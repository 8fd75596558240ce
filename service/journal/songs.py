"""The songs that exist, which are withdrawn, and their embeddings per space: SQL owns the catalogue.

Every change has a revision, counted in the transaction that makes it, so that a replica that has seen revision
n reads only what changed after it.

Legend: N songs · E embedding width
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sqlalchemy import Connection, Row, Table, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from models.affect import Affect
from models.catalogue import Catalogue, Song
from models.errors import DataError, UnknownSong
from models.listening import song_key
from service.clock import Instant
from service.journal.audit import record_act
from service.journal.revisions import advance
from service.journal.tables import song_embeddings, songs

_CHUNK: Final = 500
"""Rows per statement of a bulk write."""


class SongRecord(NamedTuple):
    """A song as SQL holds it."""

    song: Song
    tag_affect: Affect | None
    """What the song's own annotation says, population-wide."""
    withdrawn: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSongs:
    """Add songs, or replace what is known of them; answers the revision. A withdrawn song stays withdrawn."""

    songs: Sequence[SongRecord]
    embeddings: Mapping[str, Float[ndarray, "N E"]]
    """One row per song, in the same order, for each space given."""
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> int:
        for space, matrix in self.embeddings.items():
            if len(matrix) != len(self.songs) or not np.isfinite(matrix).all():
                raise DataError(
                    f"space {space!r} must hold {len(self.songs)} finite rows; got {len(matrix)} rows, "
                    f"{int((~np.isfinite(matrix)).any(axis=1).sum())} of them not finite"
                )
            _require_width(sql, space, matrix.shape[1])
        revision = advance(sql, "songs")
        changed = [self._row(record, revision) for record in self.songs]
        _upsert(sql, songs, changed, key=["song_id"], replaced=_REPLACED)
        for space, matrix in self.embeddings.items():
            vectors = np.ascontiguousarray(matrix, "<f4")
            rows = [
                {"space": space, "song_id": record.song.song_id, "vector": vector.tobytes()}
                for record, vector in zip(self.songs, vectors, strict=True)
            ]
            _upsert(sql, song_embeddings, rows, key=["space", "song_id"], replaced=["vector"])
        detail = {"song_count": len(self.songs), "spaces": sorted(self.embeddings), "revision": revision}
        record_act(sql, at=self.at, actor=self.actor, act="import songs", subject="songs", detail=detail)
        return revision

    def _row(self, record: SongRecord, revision: int) -> dict[str, Any]:
        song, affect = record.song, record.tag_affect
        return {
            "song_id": song.song_id,
            "song_key": song_key(song.song_id),
            "title": song.title,
            "artist": song.artist,
            "duration_seconds": song.duration_seconds,
            "tags": list(song.tags),
            "tag_valence": affect and affect.valence,
            "tag_arousal": affect and affect.arousal,
            "withdrawn": record.withdrawn,
            "revision": revision,
            "updated_at": self.at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawSong:
    """Never recommend a song again; it can still be heard of in histories. Answers the revision."""

    song_id: str
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> int:
        read_song(sql, self.song_id)
        revision = advance(sql, "songs")
        row = {"song": self.song_id, "withdrawn": True, "revision": revision, "updated_at": self.at}
        sql.execute(_WITHDRAW, row)
        detail = {"revision": revision}
        record_act(sql, at=self.at, actor=self.actor, act="withdraw song", subject=self.song_id, detail=detail)
        return revision


def read_song(sql: Connection, song_id: str) -> SongRecord:
    """Return one song.

    Raises:
        UnknownSong: there is none of that id.
    """
    row = sql.execute(_READ.where(songs.c.song_id == bindparam("song")), {"song": song_id}).first()
    if row is None:
        raise UnknownSong(f"song {song_id!r} does not exist")
    return _record(row)


def list_songs(sql: Connection, *, limit: int, after: str | None = None) -> list[SongRecord]:
    """Return songs in the order of their ids, beginning after the given one."""
    question = _READ.order_by(songs.c.song_id).limit(limit)
    if after is not None:
        question = question.where(songs.c.song_id > after)
    return [_record(row) for row in sql.execute(question)]


def changed_songs(sql: Connection, *, since: int) -> list[SongRecord]:
    """Return the songs changed or withdrawn after a revision, in the order of their revisions."""
    question = _READ.where(songs.c.revision > bindparam("since")).order_by(songs.c.revision, songs.c.song_id)
    return [_record(row) for row in sql.execute(question, {"since": since})]


def read_catalogue(sql: Connection) -> Catalogue:
    """Return every song, withdrawn ones included, by id, with every space; NaN where a song has no embedding."""
    records = [_record(row) for row in sql.execute(_READ.order_by(songs.c.song_id))]
    row_of = {record.song.song_id: row for row, record in enumerate(records)}
    spaces = sql.scalars(select(song_embeddings.c.space).distinct().order_by(song_embeddings.c.space)).all()
    return Catalogue(
        songs=[record.song for record in records],
        embeddings={space: _read_space(sql, space, row_of) for space in spaces},
        withdrawn=np.array([record.withdrawn for record in records], bool),
    )


def _read_space(sql: Connection, space: str, row_of: Mapping[str, int]) -> Float[ndarray, "N E"]:
    found = sql.execute(_READ_SPACE, {"name": space}).all()
    matrix = np.full((len(row_of), len(found[0].vector) // 4), np.nan, np.float32)
    rows = [row_of[song_id] for song_id, _ in found]
    matrix[rows] = np.frombuffer(b"".join(vector for _, vector in found), "<f4").reshape(len(found), -1)
    return matrix


def songs_without_embedding(sql: Connection, space: str) -> int:
    """Return how many active songs have no embedding in a space."""
    held = select(song_embeddings.c.song_id).where(song_embeddings.c.space == bindparam("space"))
    question = (
        select(func.count()).select_from(songs).where(songs.c.withdrawn.is_(False), songs.c.song_id.not_in(held))
    )
    return sql.scalar(question, {"space": space}) or 0


def _require_width(sql: Connection, space: str, width: int) -> None:
    held = sql.scalar(_READ_ONE_VECTOR, {"name": space})
    if held is not None and len(held) != 4 * width:
        raise DataError(f"space {space!r} has vectors of width {len(held) // 4}; got {width}")


def _record(row: "Row[Any]") -> SongRecord:
    song = Song(
        song_id=row.song_id,
        title=row.title,
        artist=row.artist,
        duration_seconds=row.duration_seconds,
        tags=tuple(row.tags),
    )
    affect = None if row.tag_valence is None else Affect(row.tag_valence, row.tag_arousal)
    return SongRecord(song, affect, row.withdrawn, row.revision)


def _upsert(
    sql: Connection, table: Table, rows: list[dict[str, Any]], *, key: list[str], replaced: list[str]
) -> None:
    make = postgresql.insert if sql.dialect.name == "postgresql" else sqlite.insert
    statement = make(table)
    statement = statement.on_conflict_do_update(
        index_elements=key, set_={name: statement.excluded[name] for name in replaced}
    )
    for start in range(0, len(rows), _CHUNK):
        sql.execute(statement, rows[start : start + _CHUNK])


_READ: Final = select(songs)
_READ_SPACE: Final = select(song_embeddings.c.song_id, song_embeddings.c.vector).where(
    song_embeddings.c.space == bindparam("name")
)
_READ_ONE_VECTOR: Final = (
    select(song_embeddings.c.vector).where(song_embeddings.c.space == bindparam("name")).limit(1)
)
_REPLACED: Final = [
    "title",
    "artist",
    "duration_seconds",
    "tags",
    "tag_valence",
    "tag_arousal",
    "revision",
    "updated_at",
]
_WITHDRAW: Final = update(songs).where(songs.c.song_id == bindparam("song"))
