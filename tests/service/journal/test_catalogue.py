"""One song put, withdrawn or reinstated: refused whole, or on record with its revision and its audit."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sqlalchemy import Engine, insert, select

from models.affect import Affect
from models.catalogue import Song
from models.errors import DataError, UnknownSong
from service.errors import CatalogueGap, SongWithdrawn
from service.journal.bundles import PromoteBundle, RegisterBundle
from service.journal.catalogue import PutSong, ReinstateSong, WithdrawSong
from service.journal.revisions import read_revisions
from service.journal.songs import (
    ImportSongs,
    SongRecord,
    read_catalogue,
    read_changes,
    read_song,
    read_vectors,
    songs_without_embedding,
)
from service.journal.tables import audit, bundles
from tests.service.journal.examples import NOON

ANN = Song(song_id="song-1", title="Öl", artist="Ann", duration_seconds=200.5, tags=("slow", "strings"))


def act(engine: Engine, what: Any) -> Any:
    with engine.begin() as sql:
        return what(sql)


def put(song: Song = ANN, *, widths: dict[str, int] | None = None, **embeddings: list[float]) -> PutSong:
    vectors = {space: np.array(vector, np.float32) for space, vector in embeddings.items()}
    return PutSong(song=song, embeddings=vectors, widths=widths or {}, at=NOON, actor="test")


def withdraw(song_id: str = "song-1") -> WithdrawSong:
    return WithdrawSong(song_id=song_id, at=NOON, actor="test")


def reinstate(song_id: str = "song-1") -> ReinstateSong:
    return ReinstateSong(song_id=song_id, at=NOON, actor="test")


def acts(engine: Engine) -> list[str]:
    return act(engine, lambda sql: list(sql.scalars(select(audit.c.act).order_by(audit.c.audit_number))))


@pytest.fixture
def live(engine: Engine) -> Engine:
    """A database in which a bundle that reads `mert` is live."""
    register = RegisterBundle(
        version="b-1", digest="d", embedding_space="mert", gates_passed=True, at=NOON, actor="test"
    )
    act(engine, register)
    act(engine, PromoteBundle(version="b-1", digest="d", at=NOON, actor="test"))
    return engine


def test_a_song_that_is_put_is_there(live: Engine) -> None:
    found = act(live, put(mert=[1.0, 2.0]))

    assert (found.song, found.withdrawn, found.revision) == (ANN, False, 1)
    assert act(live, lambda sql: read_song(sql, "song-1")) == found
    assert_array_equal(act(live, read_catalogue).embeddings["mert"], [[1.0, 2.0]])
    assert acts(live)[-1] == "put song"


def test_putting_replaces_what_was_said_and_only_the_embeddings_that_are_given(live: Engine) -> None:
    act(live, ImportSongs(
        songs=[SongRecord(ANN, Affect(0.25, 0.5))],
        embeddings={"clap": np.ones((1, 3), np.float32), "mert": np.ones((1, 2), np.float32)},
        at=NOON,
        actor="test",
    ))  # fmt: skip
    found = act(live, put(Song(song_id="song-1", title="New"), mert=[5.0, 6.0]))

    assert found.song == Song(song_id="song-1", title="New")
    assert found.tag_affect == Affect(0.25, 0.5)
    vectors = act(live, lambda sql: read_vectors(sql, ["song-1"]))
    assert {space: found["song-1"].tolist() for space, found in vectors.items()} == {
        "clap": [1.0, 1.0, 1.0],
        "mert": [5.0, 6.0],
    }


def test_putting_the_same_again_changes_nothing(live: Engine) -> None:
    act(live, put(mert=[1.0, 2.0]))
    again = act(live, put(mert=[1.0, 2.0]))

    assert again.revision == 1
    assert act(live, read_revisions).songs == 1
    assert acts(live).count("put song") == 1


def test_a_new_song_without_an_embedding_that_is_read_is_refused_whole(live: Engine) -> None:
    with pytest.raises(DataError, match=r"^embeddings\.mert: expected an embedding, which bundle 'b-1' reads"):
        act(live, put())
    with pytest.raises(UnknownSong):
        act(live, lambda sql: read_song(sql, "song-1"))
    assert act(live, read_revisions).songs == 0


@pytest.mark.parametrize("stage", ["canary", "shadow"])
def test_so_is_one_that_a_bundle_on_trial_could_not_read(live: Engine, stage: str) -> None:
    row = {"version": "b-2", "digest": "e", "embedding_space": "clap", "gates_passed": True, "stage": stage}
    act(live, lambda sql: sql.execute(insert(bundles), row | {"registered_at": NOON, "live_count": 0}))

    with pytest.raises(DataError, match=r"embeddings\.clap: .*'b-2'"):
        act(live, put(mert=[1.0, 2.0]))
    act(live, put(mert=[1.0, 2.0], clap=[1.0]))


def test_a_space_that_nobody_knows_is_refused_by_name(live: Engine) -> None:
    """A typing mistake never passes for another space."""
    with pytest.raises(DataError, match=r"^embeddings\.mertt: expected a space that a bundle reads"):
        act(live, put(mert=[1.0, 2.0], mertt=[1.0, 2.0]))


def test_another_width_than_the_songs_have_is_refused(live: Engine) -> None:
    act(live, put(mert=[1.0, 2.0]))

    with pytest.raises(DataError, match=r"^embeddings\.mert: .*width 2; got 3"):
        act(live, put(mert=[1.0, 2.0, 3.0]))


def test_another_width_than_the_bundle_reads_is_refused_for_the_first_song_too(live: Engine) -> None:
    with pytest.raises(DataError, match=r"^embeddings\.mert: .*width 768; got 2"):
        act(live, put(mert=[1.0, 2.0], widths={"mert": 768}))


def test_a_withdrawn_song_cannot_be_put_back(live: Engine) -> None:
    act(live, put(mert=[1.0, 2.0]))
    act(live, withdraw())

    with pytest.raises(SongWithdrawn, match="song-1"):
        act(live, put(mert=[1.0, 2.0]))
    assert act(live, lambda sql: read_song(sql, "song-1")).withdrawn


def test_withdrawing_twice_is_withdrawing_once(live: Engine) -> None:
    act(live, put(mert=[1.0, 2.0]))

    assert [act(live, withdraw()) for _ in range(2)] == [2, 2]
    assert acts(live).count("withdraw song") == 1


def test_an_operator_may_reinstate_it_as_it_was(live: Engine) -> None:
    act(live, put(mert=[1.0, 2.0]))
    act(live, withdraw())
    revision = act(live, reinstate())

    changes = act(live, lambda sql: read_changes(sql, since=revision - 1))
    assert ([song.song_id for song in changes.songs], changes.withdrawn.tolist()) == (["song-1"], [False])
    assert_array_equal(changes.embeddings["mert"], [[1.0, 2.0]])
    assert acts(live)[-2:] == ["withdraw song", "reinstate song"]


def test_reinstating_what_the_live_bundle_cannot_read_is_refused(live: Engine) -> None:
    act(live, ImportSongs(songs=[SongRecord(ANN, None, withdrawn=True)], embeddings={}, at=NOON, actor="test"))

    with pytest.raises(DataError, match=r"embeddings\.mert"):
        act(live, reinstate())


def test_importing_a_song_that_the_live_bundle_cannot_read_is_refused(live: Engine) -> None:
    with pytest.raises(DataError, match=r"space 'mert'.*'song-1' has none"):
        act(live, ImportSongs(songs=[SongRecord(ANN, None)], embeddings={}, at=NOON, actor="test"))


def test_a_promotion_cannot_slip_past_a_song_that_its_bundle_cannot_read(live: Engine) -> None:
    """Counting the songs holds their revision, which a song being put holds too: one of them comes first."""
    row = {"version": "b-2", "digest": "e", "embedding_space": "clap", "gates_passed": True, "stage": "candidate"}
    act(live, lambda sql: sql.execute(insert(bundles), row | {"registered_at": NOON, "live_count": 0}))
    act(live, put(mert=[1.0, 2.0]))

    assert act(live, lambda sql: songs_without_embedding(sql, "clap")) == 1
    with pytest.raises(CatalogueGap):
        act(live, PromoteBundle(version="b-2", digest="e", at=NOON, actor="test"))


def test_changes_come_in_pages_of_whole_revisions(engine: Engine) -> None:
    for first in (0, 3, 6):
        songs = [SongRecord(Song(song_id=f"song-{first + place}"), None) for place in range(3)]
        act(engine, ImportSongs(songs=songs, embeddings={}, at=NOON, actor="test"))

    page = act(engine, lambda sql: read_changes(sql, since=0, limit=4))
    rest = act(engine, lambda sql: read_changes(sql, since=page.revision, limit=4))
    nothing = act(engine, lambda sql: read_changes(sql, since=rest.revision, limit=4))
    assert [(len(each.songs), each.revision) for each in (page, rest, nothing)] == [(6, 2), (3, 3), (0, 3)]


def test_an_import_again_changes_nothing(engine: Engine) -> None:
    again = ImportSongs(
        songs=[SongRecord(ANN, Affect(0.25, 0.5))],
        embeddings={"mert": np.array([[1.0, 2.0]], np.float32)},
        at=NOON,
        actor="test",
    )

    assert [act(engine, again), act(engine, again)] == [1, 1]
    assert acts(engine) == ["import songs"]
