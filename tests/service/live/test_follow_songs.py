"""A worker follows what SQL knows of the songs: all of it at first, then what changed, whatever else goes on."""

import numpy as np
import pytest

from models.bundle import Bundle
from models.catalogue import Song
from service.journal.catalogue import ReinstateSong, WithdrawSong
from service.journal.journal import Journal, open_journal
from service.journal.revisions import advance
from service.journal.songs import ImportSongs, SongRecord
from service.live.follow_songs import SongFollower
from service.live.live import Live
from tests.bundles import SPACE, make_embeddings, make_songs
from tests.service.journal.examples import NOON
from tests.service.live.swapping import swap

pytestmark = pytest.mark.anyio


def bring(*places: int, moved: float = 0.0) -> ImportSongs:
    songs, embeddings = make_songs(), make_embeddings() + np.float32(moved)
    return ImportSongs(
        songs=[SongRecord(songs[place], None) for place in places],
        embeddings={SPACE.name: embeddings[list(places)]},
        at=NOON,
        actor="test",
    )


def withdraw(song_id: str) -> WithdrawSong:
    return WithdrawSong(song_id=song_id, at=NOON, actor="test")


def active(live: Live) -> set[str]:
    catalogue = live.catalogue
    return {catalogue.songs[row].song_id for row in np.flatnonzero(~catalogue.withdrawn)}


async def follower_of(journal: Journal, *, page: int = 2000) -> tuple[SongFollower, Live]:
    live = Live()
    follower = SongFollower(journal, live, page=page)
    await follower.look()
    return follower, live


async def test_everything_is_read_at_first_and_then_what_changed(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        for start in range(0, 60, 7):
            await journal.administer(bring(*range(start, min(60, start + 7))))
        follower, live = await follower_of(journal, page=10)
        whole = live.catalogue
        await journal.administer(withdraw("song-5"))
        await journal.administer(bring(3, moved=1.0))
        await follower.look()

    assert len(whole) == 60
    assert active(live) == {f"song-{place}" for place in range(60)} - {"song-5"}
    assert live.catalogue.continues(whole)
    assert len(live.catalogue) == 61
    moved = live.catalogue.embeddings[SPACE.name][live.catalogue.row("song-3")]
    np.testing.assert_array_equal(moved, make_embeddings()[3] + np.float32(1.0))


async def test_a_look_at_what_has_not_changed_changes_nothing(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        await journal.administer(bring(1, 2))
        follower, live = await follower_of(journal)
        before = live.catalogue
        await follower.look()
        assert live.catalogue is before
        await journal.administer(lambda sql: advance(sql, "songs"))
        await follower.look()

    assert live.catalogue.revision == 2


async def test_a_withdrawn_song_that_was_reinstated_may_be_given_again(
    database_url: str, tiny_bundle: Bundle
) -> None:
    async with open_journal(database_url) as journal:
        await journal.administer(bring(*range(60)))
        follower, live = await follower_of(journal)
        swap(live, tiny_bundle, live.catalogue)
        counts = []
        for act in (withdraw("song-5"), ReinstateSong(song_id="song-5", at=NOON, actor="test")):
            await journal.administer(act)
            await follower.look()
            counts.append(len(live.engine.index))

    assert counts == [59, 60]


async def test_a_database_that_went_back_is_read_again(database_url: str) -> None:
    """As after a restore from a backup: what came after it is gone."""
    async with open_journal(database_url) as journal:
        await journal.administer(bring(1))
        follower, live = await follower_of(journal)
        ahead = live.catalogue
        live.renew(
            type(ahead)(songs=[Song(song_id="lost")], embeddings={}, withdrawn=np.zeros(1, bool), revision=9)
        )
        await follower.look()

    assert active(live) == {"song-1"}
    assert live.catalogue.revision == 1
