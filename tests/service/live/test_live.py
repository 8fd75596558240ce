"""One engine is live; a swap replaces it whole or not at all, and the one before it is one call away."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.bundle import Bundle, Manifest
from models.catalogue import Catalogue, Changes, Song
from models.errors import BundleError, Unavailable
from models.repository import Repository
from service.errors import CatalogueGap
from service.live.engine import Engine, open_engine
from service.live.live import Live
from tests.bundles import SPACE, make_catalogue, make_embeddings, make_songs, seal_bundle
from tests.service.live.swapping import roll_back, swap


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with other weights."""
    repository = Repository(tmp_path_factory.mktemp("other"))
    return repository.open(seal_bundle(repository, seed=1))


def with_one_song_gone() -> Catalogue:
    gone = np.zeros(60, bool)
    gone[0] = True
    return Catalogue(songs=make_songs(), embeddings={SPACE.name: make_embeddings()}, withdrawn=gone)


def changes(
    *song_ids: str, withdrawn: Sequence[str] = (), without: Sequence[str] = (), space: str = SPACE.name
) -> Changes:
    """Songs with embeddings drawn anew."""
    drawn = np.random.default_rng(len(song_ids)).normal(size=(len(song_ids), SPACE.width)).astype(np.float32)
    drawn[[song_id in without for song_id in song_ids]] = np.nan
    return Changes(
        revision=1,
        songs=[Song(song_id=song_id, title="changed") for song_id in song_ids],
        withdrawn=np.array([song_id in withdrawn for song_id in song_ids]),
        embeddings={space: drawn},
    )


def in_space(bundle: Bundle, name: str) -> Manifest:
    return bundle.manifest.model_copy(update={"space": SPACE.model_copy(update={"name": name})})


def in_two_spaces() -> Catalogue:
    embeddings = make_embeddings()
    return Catalogue(
        songs=make_songs(), embeddings={SPACE.name: embeddings, "other": embeddings}, withdrawn=np.zeros(60, bool)
    )


def given(engine: Engine) -> set[str]:
    """The songs that an engine may give, as its index has them."""
    query = np.ones(engine.vectors.index_rows.shape[1], np.float32)
    rows, _ = engine.index.search(query, 1000)
    return {engine.catalogue.songs[row].song_id for row in rows}


def test_before_the_first_bundle_nothing_is_live():
    with pytest.raises(Unavailable, match="no bundle is live"):
        _ = Live().engine


def test_a_swap_is_live_at_once_and_keeps_the_one_before(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    swap(live, tiny_bundle, make_catalogue())

    swap(live, other_bundle, make_catalogue())

    assert live.engine.bundle is other_bundle
    assert live.loaded.previous is not None
    assert live.loaded.previous.bundle is tiny_bundle


def test_a_rollback_and_another_go_back_and_forth(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    swap(live, tiny_bundle, make_catalogue())
    swap(live, other_bundle, make_catalogue())

    assert roll_back(live).bundle is tiny_bundle
    assert live.engine.bundle is tiny_bundle
    assert roll_back(live).bundle is other_bundle


def test_the_same_bundle_again_does_not_push_the_earlier_one_out(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    for bundle in (tiny_bundle, other_bundle, other_bundle):
        swap(live, bundle, make_catalogue())

    assert roll_back(live).bundle is tiny_bundle


def test_a_bad_bundle_leaves_the_old_one_live(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    swap(live, tiny_bundle, make_catalogue())
    golden = other_bundle.golden
    expected = replace(golden.expected, score=golden.expected.score + np.float32(1))

    with pytest.raises(BundleError, match="golden"):
        swap(live, replace(other_bundle, golden=replace(golden, expected=expected)), make_catalogue())
    assert live.engine.bundle is tiny_bundle


def test_a_changed_catalogue_reaches_both_engines(tiny_bundle: Bundle, other_bundle: Bundle):
    """A song withdrawn must not come back by a rollback."""
    live = Live()
    swap(live, tiny_bundle, make_catalogue())
    swap(live, other_bundle, make_catalogue())

    live.renew(with_one_song_gone())

    assert len(live.engine.index) == 59
    assert len(roll_back(live).index) == 59


def test_songs_that_the_live_bundle_cannot_read_are_left_out_and_what_else_changed_is_followed(
    tiny_bundle: Bundle,
):
    """A withdrawal must not wait for another song's embedding."""
    live = Live()
    swap(live, tiny_bundle, make_catalogue())

    live.renew(live.catalogue.after(changes("new", "song-7", withdrawn=["song-7"], without=["new"])))

    assert live.engine.gaps.tolist() == [live.catalogue.row("new")]
    assert given(live.engine) == {f"song-{place}" for place in range(60)} - {"song-7"}


def test_an_earlier_bundle_that_cannot_read_a_new_song_is_let_go(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    swap(live, tiny_bundle, make_catalogue())
    live.renew(in_two_spaces())
    swap(live, replace(other_bundle, manifest=in_space(other_bundle, "other")), live.catalogue)

    live.renew(live.catalogue.after(changes("new", space="other")))

    assert live.loaded.previous is None


def test_a_bundle_that_cannot_read_every_song_is_not_let_answer(tiny_bundle: Bundle, other_bundle: Bundle):
    """The song came while the bundle was being opened."""
    live = Live()
    swap(live, tiny_bundle, make_catalogue())
    engine = open_engine(other_bundle, live.catalogue)
    live.renew(live.catalogue.after(changes("new", without=["new"])))

    with pytest.raises(CatalogueGap, match="new"):
        live.hold(replace(live.loaded, current=engine))
    assert live.engine.bundle is tiny_bundle


def test_what_is_opened_while_songs_change_answers_over_the_newest(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    at_first = make_catalogue()
    swap(live, tiny_bundle, at_first)
    live.renew(at_first.after(changes("new", "song-7", withdrawn=["song-7"])))

    swap(live, other_bundle, at_first)

    assert live.engine.bundle is other_bundle
    assert given(live.engine) == {*(f"song-{place}" for place in range(60)), "new"} - {"song-7"}
    assert given(roll_back(live)) == given(live.engine)


def test_song_ids_are_read_from_the_live_catalogue(tiny_bundle: Bundle, tiny_catalogue: Catalogue):
    live = Live()
    swap(live, tiny_bundle, tiny_catalogue)

    assert live.song_id_of(int(tiny_catalogue.keys[5])) == "song-5"
    assert live.song_id_of(1) is None
