"""One engine is live; a swap replaces it whole or not at all, and the one before it is one call away."""

from dataclasses import replace

import numpy as np
import pytest

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.errors import BundleError, Unavailable
from models.repository import Repository
from service.errors import CatalogueGap, StageConflict
from service.live.live import Live
from tests.bundles import SPACE, make_catalogue, make_embeddings, make_songs, seal_bundle


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with other weights."""
    repository = Repository(tmp_path_factory.mktemp("other"))
    return repository.open(seal_bundle(repository, seed=1))


def with_one_song_gone() -> Catalogue:
    gone = np.zeros(60, bool)
    gone[0] = True
    return Catalogue(songs=make_songs(), embeddings={SPACE.name: make_embeddings()}, withdrawn=gone)


def test_before_the_first_bundle_nothing_is_live():
    with pytest.raises(Unavailable, match="no bundle is live"):
        _ = Live().engine


def test_a_swap_is_live_at_once_and_keeps_the_one_before(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    live.swap(tiny_bundle, make_catalogue())

    live.swap(other_bundle, make_catalogue())

    assert live.engine.bundle is other_bundle
    assert live.loaded.previous is not None
    assert live.loaded.previous.bundle is tiny_bundle


def test_a_rollback_and_another_go_back_and_forth(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    live.swap(tiny_bundle, make_catalogue())
    live.swap(other_bundle, make_catalogue())

    assert live.rollback().bundle is tiny_bundle
    assert live.engine.bundle is tiny_bundle
    assert live.rollback().bundle is other_bundle


def test_without_an_earlier_bundle_there_is_no_rollback(tiny_bundle: Bundle):
    live = Live()
    live.swap(tiny_bundle, make_catalogue())

    with pytest.raises(StageConflict, match="no earlier bundle"):
        live.rollback()
    assert live.engine.bundle is tiny_bundle


def test_the_same_bundle_again_does_not_push_the_earlier_one_out(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    for bundle in (tiny_bundle, other_bundle, other_bundle):
        live.swap(bundle, make_catalogue())

    assert live.rollback().bundle is tiny_bundle


def test_a_bad_bundle_leaves_the_old_one_live(tiny_bundle: Bundle, other_bundle: Bundle):
    live = Live()
    live.swap(tiny_bundle, make_catalogue())
    golden = other_bundle.golden
    expected = replace(golden.expected, score=golden.expected.score + np.float32(1))

    with pytest.raises(BundleError, match="golden"):
        live.swap(replace(other_bundle, golden=replace(golden, expected=expected)), make_catalogue())
    assert live.engine.bundle is tiny_bundle


def test_a_changed_catalogue_reaches_both_engines(tiny_bundle: Bundle, other_bundle: Bundle):
    """A song withdrawn must not come back by a rollback."""
    live = Live()
    live.swap(tiny_bundle, make_catalogue())
    live.swap(other_bundle, make_catalogue())

    live.renew(with_one_song_gone())

    assert len(live.engine.index) == 59
    assert len(live.rollback().index) == 59


def test_a_catalogue_the_live_bundle_cannot_read_is_not_taken(tiny_bundle: Bundle):
    live = Live()
    before = live.swap(tiny_bundle, make_catalogue())

    with pytest.raises(CatalogueGap):
        live.renew(Catalogue(songs=make_songs(), embeddings={}, withdrawn=np.zeros(60, bool)))
    assert live.engine is before


def test_song_ids_are_read_from_the_live_catalogue(tiny_bundle: Bundle, tiny_catalogue: Catalogue):
    live = Live()
    live.swap(tiny_bundle, tiny_catalogue)

    assert live.song_id_of(int(tiny_catalogue.keys[5])) == "song-5"
    assert live.song_id_of(1) is None
