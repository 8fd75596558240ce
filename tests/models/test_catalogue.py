"""The catalogue maps stable keys to rows and back; rows live nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalogue import Catalogue, Changes, Song, artist_key, empty_catalogue, gather
from models.errors import DataError, UnknownSong
from models.listening import NO_SONG, song_key
from tests.bundles import SPACE


def catalogue_of(*song_ids: str) -> Catalogue:
    songs = [Song(song_id=song_id) for song_id in song_ids]
    return Catalogue(songs=songs, embeddings={}, withdrawn=np.zeros(len(songs), bool))


@settings(max_examples=50)
@given(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=20))
def test_every_song_is_found_by_its_key(song_ids: list[str]):
    catalogue = catalogue_of(*song_ids)

    np.testing.assert_array_equal(catalogue.rows(catalogue.keys), np.arange(len(song_ids)))
    assert [catalogue.row(song_id) for song_id in song_ids] == list(range(len(song_ids)))


def test_a_key_it_does_not_hold_has_no_row():
    keys = np.array([[song_key("a"), 7], [NO_SONG, song_key("b")]])

    np.testing.assert_array_equal(catalogue_of("b", "a").rows(keys), [[1, NO_SONG], [NO_SONG, 0]])
    np.testing.assert_array_equal(catalogue_of().rows(keys), np.full((2, 2), NO_SONG))


def test_an_unknown_id_is_named():
    with pytest.raises(UnknownSong, match="song 'c' is not in the catalogue of 2 songs"):
        catalogue_of("a", "b").row("c")


def test_the_same_id_twice_is_refused():
    with pytest.raises(DataError, match="'a' and 'a' have the same key"):
        catalogue_of("a", "b", "a")


def test_a_matrix_with_another_number_of_rows_is_refused():
    with pytest.raises(DataError, match="'tiny' must hold 1 rows; got 2"):
        Catalogue(
            songs=[Song(song_id="a")], embeddings={SPACE.name: np.zeros((2, 3))}, withdrawn=np.zeros(1, bool)
        )


def test_songs_of_one_artist_share_a_key_and_songs_of_none_have_their_own():
    songs = [Song(song_id="a", artist="X"), Song(song_id="b", artist="X"), Song(song_id="c"), Song(song_id="d")]
    catalogue = Catalogue(songs=songs, embeddings={}, withdrawn=np.zeros(4, bool))

    assert catalogue.artists[0] == catalogue.artists[1] == artist_key("X")
    assert len(set(catalogue.artists.tolist())) == 3


def test_a_song_named_like_an_artist_is_not_that_artist():
    songs = [Song(song_id="X"), Song(song_id="b", artist="X")]
    catalogue = Catalogue(songs=songs, embeddings={}, withdrawn=np.zeros(2, bool))

    assert catalogue.artists[0] != catalogue.artists[1]


def test_gathering_no_song_gives_zeros():
    matrix = np.arange(6.0).reshape(3, 2)

    np.testing.assert_array_equal(gather(matrix, np.array([[2, NO_SONG]])), [[[4, 5], [0, 0]]])
    np.testing.assert_array_equal(gather(np.zeros((0, 2)), np.array([NO_SONG])), [[0, 0]])


def changes(*songs: Song, revision: int = 1, withdrawn: bool = False, **embeddings: list[list[float]]) -> Changes:
    return Changes(
        revision=revision,
        songs=songs,
        withdrawn=np.full(len(songs), withdrawn),
        embeddings={space: np.array(rows, np.float32) for space, rows in embeddings.items()},
    )


def test_a_catalogue_follows_what_changed_and_the_one_before_stays_as_it_was(tiny_catalogue):
    new, other = Song(song_id="new"), Song(song_id="song-3", artist="Somebody else")
    after = tiny_catalogue.after(changes(new, other, tiny=[[1.0] * 8, [2.0] * 8]))

    assert (len(tiny_catalogue), len(after), after.superseded_count) == (60, 62, 1)
    assert after.songs[after.row("song-3")] == other
    assert after.withdrawn[3]
    assert not tiny_catalogue.withdrawn[3]
    assert tiny_catalogue.row("song-3") == 3
    np.testing.assert_array_equal(after.embeddings["tiny"][after.row("new")], np.ones(8))
    assert after.continues(tiny_catalogue)


def test_a_song_that_is_only_withdrawn_keeps_its_row(tiny_catalogue):
    same = {"tiny": [tiny_catalogue.embeddings["tiny"][5].tolist()]}
    after = tiny_catalogue.after(changes(tiny_catalogue.songs[5], withdrawn=True, **same))

    assert (len(after), after.row("song-5"), bool(after.withdrawn[5])) == (60, 5, True)


def test_a_song_that_is_reinstated_gets_a_new_row(tiny_catalogue):
    """Indexes over earlier rows need not expect one of them back."""
    same = {"tiny": [tiny_catalogue.embeddings["tiny"][5].tolist()]}
    gone = tiny_catalogue.after(changes(tiny_catalogue.songs[5], withdrawn=True, **same))
    back = gone.after(changes(tiny_catalogue.songs[5], revision=2, **same))

    assert back.row("song-5") == 60
    assert back.withdrawn[5]
    assert not back.withdrawn[60]


def test_a_space_that_comes_later_is_unknown_for_the_songs_before(tiny_catalogue):
    after = tiny_catalogue.after(changes(Song(song_id="new"), other=[[1.0, 2.0]]))

    assert np.isnan(after.embeddings["other"][:60]).all()
    assert np.isnan(after.embeddings["tiny"][60]).all()


def test_changes_of_another_width_are_refused(tiny_catalogue):
    with pytest.raises(DataError, match="width 8; got 2"):
        tiny_catalogue.after(changes(Song(song_id="new"), tiny=[[1.0, 2.0]]))


def test_a_song_that_comes_twice_in_one_change_is_refused(tiny_catalogue):
    with pytest.raises(DataError, match="at most once"):
        tiny_catalogue.after(changes(Song(song_id="new"), Song(song_id="new", title="again")))


SOME_CHANGES = st.lists(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 2), st.booleans(), st.sampled_from([None, 1.0, 2.0])),
        unique_by=lambda change: change[0],
        max_size=6,
    ),
    max_size=12,
)
"""Each step: song number, title, whether it is withdrawn, and its embedding."""


@given(SOME_CHANGES, st.integers(0, 11), st.booleans())
def test_following_step_by_step_gives_what_is_known_at_the_end(steps, cut, compacts):
    catalogue, known = empty_catalogue(), {}
    for revision, step in enumerate(steps, 1):
        earlier = catalogue
        songs = [Song(song_id=f"s{number}", title=f"t{title}") for number, title, *_ in step]
        vectors = [[np.nan if value is None else value] for *_, value in step]
        known |= {song.song_id: (song, gone, value) for song, (*_, gone, value) in zip(songs, step, strict=True)}
        given_ = Changes(
            revision=revision,
            songs=songs,
            withdrawn=np.array([gone for _, _, gone, _ in step], bool),
            embeddings={"e": np.array(vectors, np.float32).reshape(-1, 1)},
        )
        catalogue = catalogue.after(given_)
        if revision == cut and compacts:
            fresh = earlier.compacted()
            catalogue = fresh.after(catalogue.changes_since(earlier))

    found = {}
    for row in catalogue.current():
        value = catalogue.embeddings["e"][row, 0]
        song = catalogue.songs[row]
        found[song.song_id] = (song, bool(catalogue.withdrawn[row]), None if np.isnan(value) else float(value))
    assert found == known
    active = {catalogue.songs[row].song_id for row in np.flatnonzero(~catalogue.withdrawn)}
    assert active == {song_id for song_id, (_, gone, _) in known.items() if not gone}
    assert np.count_nonzero(~catalogue.withdrawn) == len(active)
    assert all(catalogue.songs[catalogue.row(song_id)].song_id == song_id for song_id in known)
