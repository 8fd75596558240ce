"""The catalogue maps stable keys to rows and back; rows live nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalogue import Catalogue, Song, artist_key, gather
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


def test_tags_give_the_rows_that_carry_them(tiny_catalogue):
    np.testing.assert_array_equal(tiny_catalogue.tagged("piano"), np.arange(0, 60, 5))
    assert not len(tiny_catalogue.tagged("no such tag"))


def test_gathering_no_song_gives_zeros():
    matrix = np.arange(6.0).reshape(3, 2)

    np.testing.assert_array_equal(gather(matrix, np.array([[2, NO_SONG]])), [[[4, 5], [0, 0]]])
    np.testing.assert_array_equal(gather(np.zeros((0, 2)), np.array([NO_SONG])), [[0, 0]])
