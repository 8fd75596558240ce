"""SQL owns the catalogue: songs, what is withdrawn, embeddings per space, and a revision that tells of changes."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sqlalchemy import Engine, select

from models.affect import Affect
from models.catalogue import Song
from models.errors import DataError, UnknownSong
from service.journal.catalogue import WithdrawSong
from service.journal.revisions import read_revisions
from service.journal.songs import (
    ImportSongs,
    SongRecord,
    list_songs,
    read_catalogue,
    read_changes,
    read_song,
    songs_without_embedding,
)
from service.journal.tables import audit, song_embeddings
from tests.service.journal.examples import NOON

ANN = SongRecord(
    Song(song_id="song-1", title="Öl", artist="Ann", duration_seconds=200.5, tags=("slow", "strings")),
    Affect(0.25, 0.5),
)
BEN = SongRecord(Song(song_id="song-2"), None)


def act(engine: Engine, what: Any) -> Any:
    with engine.begin() as sql:
        return what(sql)


def bring(*records: SongRecord, **embeddings: list[list[float]]) -> ImportSongs:
    matrices = {space: np.array(rows, np.float32) for space, rows in embeddings.items()}
    return ImportSongs(songs=records, embeddings=matrices, at=NOON, actor="test")


def test_a_song_comes_back_as_it_came(engine: Engine) -> None:
    act(engine, bring(ANN, BEN))

    assert act(engine, lambda sql: read_song(sql, "song-1"))[:3] == ANN[:3]
    assert act(engine, lambda sql: read_song(sql, "song-2"))[:3] == BEN[:3]


def test_a_song_that_is_not_there_is_named(engine: Engine) -> None:
    with pytest.raises(UnknownSong, match="song-7"):
        act(engine, lambda sql: read_song(sql, "song-7"))
    with pytest.raises(UnknownSong, match="song-7"):
        act(engine, WithdrawSong(song_id="song-7", at=NOON, actor="test"))


def test_songs_come_in_pages_by_id(engine: Engine) -> None:
    act(engine, bring(*(SongRecord(Song(song_id=f"song-{n}"), None) for n in range(5))))

    pages = [
        act(engine, lambda sql, after=after: list_songs(sql, limit=2, after=after)) for after in (None, "song-3")
    ]
    assert [[record.song.song_id for record in page] for page in pages] == [["song-0", "song-1"], ["song-4"]]


def test_the_catalogue_holds_every_space_with_nan_where_a_song_has_no_embedding(engine: Engine) -> None:
    act(engine, bring(ANN, mert=[[1.0, 2.0]]))
    act(engine, bring(BEN, clap=[[3.0]]))

    catalogue = act(engine, read_catalogue)
    assert [song.song_id for song in catalogue.songs] == ["song-1", "song-2"]
    assert_array_equal(catalogue.embeddings["mert"], np.array([[1, 2], [np.nan, np.nan]], np.float32))
    assert_array_equal(catalogue.embeddings["clap"], np.array([[np.nan], [3]], np.float32))


def test_an_empty_catalogue_can_be_read(engine: Engine) -> None:
    assert len(act(engine, read_catalogue)) == 0


def test_an_embedding_is_replaced(engine: Engine) -> None:
    act(engine, bring(ANN, mert=[[1.0, 2.0]]))
    act(engine, bring(ANN, mert=[[5.0, 6.0]]))

    assert_array_equal(act(engine, read_catalogue).embeddings["mert"], [[5.0, 6.0]])


def test_a_withdrawn_song_stays_and_stays_withdrawn_when_imported_again(
    engine: Engine,
) -> None:
    act(engine, bring(ANN, BEN))
    act(engine, WithdrawSong(song_id="song-1", at=NOON, actor="test"))
    act(engine, bring(ANN))

    catalogue = act(engine, read_catalogue)
    assert [catalogue.songs[row].song_id for row in np.flatnonzero(catalogue.withdrawn)] == ["song-1"]


def test_what_changed_after_a_revision_is_told(engine: Engine) -> None:
    first = act(engine, bring(ANN, BEN))
    second = act(engine, WithdrawSong(song_id="song-2", at=NOON, actor="test"))

    assert (first, second) == (1, 2)
    assert act(engine, read_revisions).songs == 2
    changes = act(engine, lambda sql: read_changes(sql, since=first))
    assert [song.song_id for song in changes.songs] == ["song-2"]
    assert changes.withdrawn.tolist() == [True]
    assert changes.revision == 2


def test_active_songs_without_an_embedding_are_counted(engine: Engine) -> None:
    act(engine, bring(ANN, mert=[[1.0, 2.0]]))
    act(engine, bring(BEN))

    assert act(engine, lambda sql: songs_without_embedding(sql, "mert")) == 1
    act(engine, WithdrawSong(song_id="song-2", at=NOON, actor="test"))
    assert act(engine, lambda sql: songs_without_embedding(sql, "mert")) == 0


@pytest.mark.parametrize(
    "matrix", [[[1.0, 2.0], [3.0, 4.0]], [[float("nan"), 1.0]], [[float("inf"), 1.0]]], ids=["rows", "nan", "inf"]
)
def test_embeddings_that_do_not_fit_leave_nothing(engine: Engine, matrix: list[list[float]]) -> None:
    with pytest.raises(DataError, match="mert"):
        act(engine, bring(ANN, mert=matrix))
    assert act(engine, lambda sql: list_songs(sql, limit=9)) == []


def test_another_width_is_refused(engine: Engine) -> None:
    act(engine, bring(ANN, mert=[[1.0, 2.0]]))

    with pytest.raises(DataError, match="width 2; got 3"):
        act(engine, bring(BEN, mert=[[1.0, 2.0, 3.0]]))


def test_vectors_are_little_endian_float32(engine: Engine) -> None:
    act(engine, bring(ANN, mert=[[1.0, -2.0]]))

    assert act(engine, lambda sql: sql.scalar(select(song_embeddings.c.vector))) == bytes.fromhex(
        "0000803f000000c0"
    )


def test_an_import_is_on_the_audit(engine: Engine) -> None:
    act(engine, bring(ANN, BEN, mert=[[1.0], [2.0]]))

    row = act(engine, lambda sql: sql.execute(select(audit)).one())
    assert (row.act, row.actor, row.detail) == (
        "import songs",
        "test",
        {"song_count": 2, "spaces": ["mert"], "revision": 1},
    )
