"""The songs that exist, which are withdrawn, and their embeddings per space: SQL owns the catalogue.

Every change has a revision, counted in the transaction that makes it, so that a replica that has seen revision
n reads only what changed after it.

Legend: N songs · E embedding width · n songs of one page
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sqlalchemy import Connection, Row, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from models.affect import Affect
from models.catalogue import Catalogue, Changes, Song, empty_catalogue
from models.errors import DataError, UnknownSong
from models.listening import song_key
from service.clock import Instant
from service.journal.audit import record_act
from service.journal.revisions import advance, hold, read_revisions
from service.journal.tables import bundles, song_embeddings, songs

_CHUNK: Final = 500
"""Rows per statement of a bulk write, and ids per statement of a read by id."""
PAGE: Final = 2000
"""Changed songs read at a time, and those that share the revision of the last of them."""


class SongRecord(NamedTuple):
    """A song as SQL holds it."""

    song: Song
    tag_affect: Affect | None
    """What the song's own annotation says, population-wide."""
    withdrawn: bool = False
    revision: int = 0


Vectors = Mapping[str, Mapping[str, Float[ndarray, " E"]]]
"""Space → song id → embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSongs:
    """Add songs, or replace what is known of them; answers the revision.

    A withdrawn song stays withdrawn. Songs that are on record as they come are left alone, so that an import again
    changes nothing and nobody has to follow it.
    """

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
            require_width(sql, space, matrix.shape[1])
        held_revision = hold(sql, "songs")
        ids = [record.song.song_id for record in self.songs]
        known = find_songs(sql, ids)
        vectors = read_vectors(sql, ids)
        self._refuse_gaps(sql, known, vectors)
        changed = [place for place in range(len(ids)) if not self._is_known(place, known, vectors)]
        if not changed:
            return held_revision
        revision = advance(sql, "songs")
        matrices = {space: matrix[changed] for space, matrix in self.embeddings.items()}
        write_songs(sql, [song_row(self.songs[place], revision, self.at) for place in changed], matrices)
        detail = {"song_count": len(changed), "spaces": sorted(self.embeddings), "revision": revision}
        record_act(sql, at=self.at, actor=self.actor, act="import songs", subject="songs", detail=detail)
        return revision

    def _is_known(self, place: int, known: Mapping[str, SongRecord], vectors: Vectors) -> bool:
        record = self.songs[place]
        song_id = record.song.song_id
        return (
            song_id in known
            and known[song_id][:2] == record[:2]
            and all(
                song_id in vectors.get(space, {}) and np.array_equal(vectors[space][song_id], matrix[place])
                for space, matrix in self.embeddings.items()
            )
        )

    def _refuse_gaps(self, sql: Connection, known: Mapping[str, SongRecord], vectors: Vectors) -> None:
        for version, space in answering_bundles(sql):
            if space in self.embeddings:
                continue
            for record in self.songs:
                song_id = record.song.song_id
                withdrawn = known[song_id].withdrawn if song_id in known else record.withdrawn
                if not withdrawn and song_id not in vectors.get(space, {}):
                    raise DataError(
                        f"every active song needs an embedding in space {space!r}, which bundle {version!r} "
                        f"reads; {song_id!r} has none"
                    )


def song_row(record: SongRecord, revision: int, at: Instant) -> dict[str, Any]:
    """Return the row of a song, as of a revision."""
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
        "updated_at": at,
    }


def write_songs(
    sql: Connection, rows: list[dict[str, Any]], embeddings: Mapping[str, Float[ndarray, "N E"]]
) -> None:
    """Write songs and their embeddings over what is there; what is withdrawn stays so."""
    _upsert(sql, songs, rows, key=["song_id"], replaced=_REPLACED)
    for space, matrix in embeddings.items():
        vectors = np.ascontiguousarray(matrix, "<f4")
        vector_rows = [
            {"space": space, "song_id": row["song_id"], "vector": vector.tobytes()}
            for row, vector in zip(rows, vectors, strict=True)
        ]
        _upsert(sql, song_embeddings, vector_rows, key=["space", "song_id"], replaced=["vector"])


def find_song(sql: Connection, song_id: str) -> SongRecord | None:
    """Return one song, if there is one of that id."""
    row = sql.execute(_READ.where(songs.c.song_id == bindparam("song")), {"song": song_id}).first()
    return None if row is None else _record(row)


def find_songs(sql: Connection, song_ids: Sequence[str]) -> dict[str, SongRecord]:
    """Return the songs there are among those asked for, by id."""
    found: dict[str, SongRecord] = {}
    for start in range(0, len(song_ids), _CHUNK):
        for row in sql.execute(_AMONG, {"asked": list(song_ids[start : start + _CHUNK])}):
            found[row.song_id] = _record(row)
    return found


def read_song(sql: Connection, song_id: str) -> SongRecord:
    """Return one song.

    Raises:
        UnknownSong: there is none of that id.
    """
    found = find_song(sql, song_id)
    if found is None:
        raise UnknownSong(f"song {song_id!r} does not exist")
    return found


def list_songs(sql: Connection, *, limit: int, after: str | None = None) -> list[SongRecord]:
    """Return songs in the order of their ids, beginning after the given one."""
    question = _READ.order_by(songs.c.song_id).limit(limit)
    if after is not None:
        question = question.where(songs.c.song_id > after)
    return [_record(row) for row in sql.execute(question)]


def read_changes(sql: Connection, *, since: int, limit: int = PAGE) -> Changes:
    """Return the songs changed or withdrawn after a revision, the earliest first, and the revision they lead to.

    About `limit` songs at most, but never a part of a revision. Where nothing changed: no songs, and the latest
    revision.
    """
    names = {"since": since, "page": limit}
    upto = sql.scalar(_UPTO, names)
    rows = [] if upto is None else sql.execute(_CHANGED, names | {"upto": upto}).all()
    ids = [row.song_id for row in rows]
    place = {song_id: row for row, song_id in enumerate(ids)}
    embeddings: dict[str, Float[ndarray, "n E"]] = {}
    for space, vectors in read_vectors(sql, ids).items():
        width = len(next(iter(vectors.values())))
        matrix = embeddings[space] = np.full((len(ids), width), np.nan, np.float32)
        matrix[[place[song_id] for song_id in vectors]] = list(vectors.values())
    return Changes(
        revision=read_revisions(sql).songs if upto is None else upto,
        songs=[_record(row).song for row in rows],
        withdrawn=np.array([row.withdrawn for row in rows], bool),
        embeddings=embeddings,
    )


def count_songs(sql: Connection) -> int:
    """Return how many songs there are, withdrawn ones included."""
    return sql.scalar(_COUNT) or 0


def read_vectors(sql: Connection, song_ids: Sequence[str]) -> Vectors:
    """Return space → song id → embedding of the songs asked for, where there is one."""
    found: dict[str, dict[str, Float[ndarray, " E"]]] = {}
    for space in held_spaces(sql):
        for start in range(0, len(song_ids), _CHUNK):
            asked = {"name": space, "asked": list(song_ids[start : start + _CHUNK])}
            for song_id, vector in sql.execute(_VECTORS, asked):
                found.setdefault(space, {})[song_id] = np.frombuffer(vector, "<f4")
    return found


def held_spaces(sql: Connection) -> Iterator[str]:
    """Yield every space that some song has an embedding in: one step through the key for each."""
    space = sql.scalar(_NEXT_SPACE, {"last": ""})
    while space is not None:
        yield space
        space = sql.scalar(_NEXT_SPACE, {"last": space})


def read_catalogue(sql: Connection) -> Catalogue:
    """Return every song, withdrawn ones included, with every space; NaN where a song has no embedding."""
    catalogue = empty_catalogue(room=count_songs(sql))
    for changes in _every_change(sql):
        catalogue = catalogue.after(changes)
    return catalogue


def _every_change(sql: Connection) -> Iterator[Changes]:
    since = 0
    while True:
        changes = read_changes(sql, since=since)
        yield changes
        if not changes.songs:
            return
        since = changes.revision


def songs_without_embedding(sql: Connection, space: str) -> int:
    """Return how many active songs have no embedding in a space; no song changes before the transaction ends."""
    hold(sql, "songs")
    held = select(song_embeddings.c.song_id).where(song_embeddings.c.space == bindparam("space"))
    question = (
        select(func.count()).select_from(songs).where(songs.c.withdrawn.is_(False), songs.c.song_id.not_in(held))
    )
    return sql.scalar(question, {"space": space}) or 0


def answering_bundles(sql: Connection) -> list[tuple[str, str]]:
    """Return the version and the space of each bundle that must be able to read every active song."""
    return [(version, space) for version, space in sql.execute(_ANSWERING)]


def require_width(sql: Connection, space: str, width: int) -> bool:
    """Refuse vectors of another width than those a space holds; return whether it holds any.

    Raises:
        DataError: the width is another one.
    """
    held = sql.scalar(_READ_ONE_VECTOR, {"name": space})
    if held is not None and len(held) != 4 * width:
        raise DataError(f"space {space!r} has vectors of width {len(held) // 4}; got {width}")
    return held is not None


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
_AMONG: Final = select(songs).where(songs.c.song_id.in_(bindparam("asked", expanding=True)))
_ANSWERING: Final = (
    select(bundles.c.version, bundles.c.embedding_space)
    .where(bundles.c.stage.in_(("live", "canary", "shadow")))
    .order_by(bundles.c.version)
)
_COUNT: Final = select(func.count()).select_from(songs)
_AFTER: Final = (
    select(songs.c.revision)
    .where(songs.c.revision > bindparam("since"))
    .order_by(songs.c.revision)
    .limit(bindparam("page"))
    .subquery()
)
_UPTO: Final = select(func.max(_AFTER.c.revision))
_CHANGED: Final = (
    select(songs)
    .where(songs.c.revision > bindparam("since"), songs.c.revision <= bindparam("upto"))
    .order_by(songs.c.revision, songs.c.song_id)
)
_NEXT_SPACE: Final = select(func.min(song_embeddings.c.space)).where(song_embeddings.c.space > bindparam("last"))
_VECTORS: Final = select(song_embeddings.c.song_id, song_embeddings.c.vector).where(
    song_embeddings.c.space == bindparam("name"),
    song_embeddings.c.song_id.in_(bindparam("asked", expanding=True)),
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
