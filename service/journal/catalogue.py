"""An operator's acts on one song: put, withdrawn, reinstated; refused whole, or on the audit with their effect.

Putting is idempotent by its nature, as is withdrawing: what changes nothing gets no revision. A withdrawn song
stays withdrawn, whoever puts or imports it again; only an operator's reinstatement, which is an act of its own,
brings it back.

Every act first holds the songs' revision. So does a promotion before it counts the songs its bundle cannot read:
neither can slip past the other.

Legend: E embedding width
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sqlalchemy import Connection, bindparam, select, update

from models.catalogue import Song
from models.errors import DataError
from models.listening import song_key
from service.clock import Instant
from service.errors import SongWithdrawn
from service.journal.audit import record_act
from service.journal.revisions import advance, hold
from service.journal.songs import (
    SongRecord,
    answering_bundles,
    find_song,
    read_song,
    read_vectors,
    require_width,
    song_row,
    write_songs,
)
from service.journal.tables import bundles, song_embeddings, songs
from service.journal.withdrawals import hold_off_recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class PutSong:
    """Add a song, or replace all that was said of it; answers the song as it now is.

    Embeddings are replaced space by space: those of spaces that are not given stay. What the song's own
    annotation says of its affect, which comes by import, stays as well.

    Raises, when called: SongWithdrawn; DataError, naming the place, for a space nobody reads or holds songs in,
    for another width than the space's, and for a missing embedding that a bundle which is answering reads.
    """

    song: Song
    embeddings: Mapping[str, Float[ndarray, " E"]]
    widths: Mapping[str, int] = field(default_factory=dict)
    """The widths of spaces that are known from elsewhere than SQL: of the bundles at hand."""
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> SongRecord:
        hold(sql, "songs")
        found = find_song(sql, self.song.song_id)
        if found is not None and found.withdrawn:
            raise SongWithdrawn(f"song {self.song.song_id!r} was withdrawn; an operator may reinstate it")
        held = read_vectors(sql, [self.song.song_id])
        known = {space: vectors[self.song.song_id] for space, vectors in held.items()}
        self._refuse_twin(sql)
        for space, vector in self.embeddings.items():
            self._check_space(sql, space, len(vector))
        _require_embeddings(sql, {*self.embeddings, *known})
        record = SongRecord(self.song, found and found.tag_affect)
        if found is not None and found.song == self.song and self._same(known):
            return found
        revision = advance(sql, "songs")
        matrices = {space: vector[None] for space, vector in self.embeddings.items()}
        write_songs(sql, [song_row(record, revision, self.at)], matrices)
        detail = {"new": found is None, "spaces": sorted(self.embeddings), "revision": revision}
        record_act(sql, at=self.at, actor=self.actor, act="put song", subject=self.song.song_id, detail=detail)
        return read_song(sql, self.song.song_id)

    def _same(self, known: Mapping[str, Float[ndarray, " E"]]) -> bool:
        return all(
            space in known and np.array_equal(known[space], vector.astype(np.float32))
            for space, vector in self.embeddings.items()
        )

    def _refuse_twin(self, sql: Connection) -> None:
        names = {"key": song_key(self.song.song_id), "song": self.song.song_id}
        twin = sql.scalar(_TWIN, names)
        if twin is not None:
            raise DataError(f"song_id: expected an id whose key no other song has; {twin!r} has it")

    def _check_space(self, sql: Connection, space: str, width: int) -> None:
        try:
            is_held = require_width(sql, space, width)
        except DataError as refusal:
            raise DataError(f"embeddings.{space}: {refusal}") from None
        expected = self.widths.get(space)
        if not is_held and expected not in (None, width):
            raise DataError(f"embeddings.{space}: space {space!r} has vectors of width {expected}; got {width}")
        if not is_held and expected is None and sql.scalar(_READS, {"name": space}) is None:
            raise DataError(
                f"embeddings.{space}: expected a space that a bundle reads or that songs are held in; nobody "
                f"knows {space!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawSong:
    """Never recommend a song again; it can still be heard of in histories. Answers its revision.

    Once it is committed no recommendation of the song is committed any more.

    Raises, when called: UnknownSong.
    """

    song_id: str
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> int:
        hold(sql, "songs")
        found = read_song(sql, self.song_id)
        if found.withdrawn:
            return found.revision
        revision = advance(sql, "songs")
        hold_off_recordings(sql)
        _mark(sql, self, withdrawn=True, revision=revision)
        return revision


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinstateSong:
    """Let a withdrawn song be recommended again, as it was; answers its revision.

    Raises, when called: UnknownSong; DataError: a bundle that is answering cannot read it.
    """

    song_id: str
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> int:
        hold(sql, "songs")
        found = read_song(sql, self.song_id)
        if not found.withdrawn:
            return found.revision
        _require_embeddings(sql, set(sql.scalars(_SPACES, {"song": self.song_id})))
        revision = advance(sql, "songs")
        _mark(sql, self, withdrawn=False, revision=revision)
        return revision


def _mark(sql: Connection, act: WithdrawSong | ReinstateSong, *, withdrawn: bool, revision: int) -> None:
    row = {"song": act.song_id, "withdrawn": withdrawn, "revision": revision, "updated_at": act.at}
    sql.execute(_MARK, row)
    name = "withdraw song" if withdrawn else "reinstate song"
    record_act(sql, at=act.at, actor=act.actor, act=name, subject=act.song_id, detail={"revision": revision})


def _require_embeddings(sql: Connection, spaces: set[str]) -> None:
    """Refuse a song that a bundle which is answering could not read."""
    for version, space in answering_bundles(sql):
        if space not in spaces:
            raise DataError(f"embeddings.{space}: expected an embedding, which bundle {version!r} reads; got none")


_TWIN: Final = select(songs.c.song_id).where(
    songs.c.song_key == bindparam("key"), songs.c.song_id != bindparam("song")
)
_READS: Final = select(bundles.c.version).where(bundles.c.embedding_space == bindparam("name")).limit(1)
_SPACES: Final = select(song_embeddings.c.space).where(song_embeddings.c.song_id == bindparam("song"))
_MARK: Final = update(songs).where(songs.c.song_id == bindparam("song"))
