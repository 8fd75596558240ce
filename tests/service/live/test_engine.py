"""An engine opens only over a catalogue it can read and a bundle that answers as it did when it was made."""

from dataclasses import replace

import numpy as np
import pytest

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.errors import BundleError
from models.listening import NO_SONG, Mode
from service.errors import CatalogueGap
from service.live.engine import open_engine
from service.live.golden import replay
from service.live.graphs import open_graphs
from service.live.vectors import nearest_distances
from tests.bundles import SPACE, make_embeddings, make_songs


def catalogue(*, withdrawn: list[int] = [], without: list[int] = [], space: str = SPACE.name) -> Catalogue:  # noqa: B006
    embeddings, gone = make_embeddings(), np.zeros(60, bool)
    embeddings[without], gone[withdrawn] = np.nan, True
    return Catalogue(songs=make_songs(), embeddings={space: embeddings}, withdrawn=gone)


def test_every_active_song_is_in_the_index(tiny_bundle: Bundle):
    assert len(open_engine(tiny_bundle, catalogue()).index) == 60
    assert len(open_engine(tiny_bundle, catalogue(withdrawn=[4, 5])).index) == 58


def test_an_active_song_without_an_embedding_refuses_the_swap_by_name(tiny_bundle: Bundle):
    with pytest.raises(CatalogueGap, match=r"1 of 60 active songs have no embedding; the first is 'song-7'"):
        open_engine(tiny_bundle, catalogue(without=[7]))


def test_a_catalogue_of_another_space_refuses_the_swap(tiny_bundle: Bundle):
    with pytest.raises(CatalogueGap, match="space 'tiny'"):
        open_engine(tiny_bundle, catalogue(space="other"))


def test_embeddings_of_another_width_refuse_the_swap(tiny_bundle: Bundle):
    narrow = Catalogue(
        songs=make_songs(), embeddings={SPACE.name: make_embeddings()[:, :5]}, withdrawn=np.zeros(60, bool)
    )

    with pytest.raises(BundleError, match="width 8 .*; got 5"):
        open_engine(tiny_bundle, narrow)


def test_a_withdrawn_song_is_still_read_and_needs_no_embedding(tiny_bundle: Bundle):
    engine = open_engine(tiny_bundle, catalogue(withdrawn=[4, 5], without=[5]))

    assert engine.vectors.world_token[4].any()
    assert not engine.vectors.world_token[5].any()
    assert np.isnan(engine.vectors.head_hidden[5]).all()
    assert np.isnan(engine.vectors.support_distance[5])


def test_an_empty_catalogue_is_served_in_silence(tiny_bundle: Bundle):
    nothing = Catalogue(
        songs=[], embeddings={SPACE.name: np.zeros((0, 8), np.float32)}, withdrawn=np.zeros(0, bool)
    )

    assert len(open_engine(tiny_bundle, nothing).index) == 0


def test_approved_songs_keep_their_order_and_unknown_ones_are_left_out(tiny_bundle: Bundle):
    table = tiny_bundle.guardrails.model_copy(update={"approved": {"calm": ("song-9", "no such", "song-2")}})

    engine = open_engine(replace(tiny_bundle, guardrails=table), catalogue())

    np.testing.assert_array_equal(engine.approved[Mode.CALM], [9, 2])
    assert not len(engine.approved[Mode.SLEEP])


def test_a_key_leads_back_to_its_song(tiny_bundle: Bundle, tiny_catalogue: Catalogue):
    engine = open_engine(tiny_bundle, tiny_catalogue)

    assert engine.song_id_of(int(tiny_catalogue.keys[11])) == "song-11"
    assert engine.song_id_of(NO_SONG) is None


def test_support_is_the_distance_to_the_nearest_training_song():
    points = np.array([[0.0, 0.0], [3.0, 4.0]], np.float32)

    np.testing.assert_allclose(
        nearest_distances(points, np.array([[0.0, 1.0], [3.0, 4.5]])), [1.0, 0.5], rtol=1e-6
    )
    assert np.isinf(nearest_distances(points[:0], np.zeros((1, 2)))).all()
    assert nearest_distances(points, np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize("name", ["features", "state", "previous_state", "predicted", "score"])
def test_a_golden_value_that_does_not_come_out_again_is_refused_and_its_case_named(tiny_bundle: Bundle, name: str):
    golden = tiny_bundle.golden
    altered = getattr(golden.expected, name).copy()
    altered[2] += np.float32(2e-4)
    broken = replace(tiny_bundle, golden=replace(golden, expected=replace(golden.expected, **{name: altered})))

    with pytest.raises(BundleError, match=f"golden case 'one play': {name} must agree"):
        open_engine(broken, catalogue())


def test_a_golden_value_that_is_no_number_is_refused(tiny_bundle: Bundle):
    golden = tiny_bundle.golden
    altered = golden.expected.score.copy()
    altered[0, 0] = np.nan
    broken = replace(tiny_bundle, golden=replace(golden, expected=replace(golden.expected, score=altered)))

    with pytest.raises(BundleError, match="golden case 'nothing happened': score"):
        open_engine(broken, catalogue())


def test_a_tokeniser_that_changed_is_caught(tiny_bundle: Bundle):
    """As if a report had been read into another token than when the bundle was made."""
    golden = tiny_bundle.golden
    listening = replace(golden.listening, before=golden.listening.before[::-1].copy())

    with pytest.raises(BundleError, match="features must agree"):
        replay(replace(tiny_bundle, golden=replace(golden, listening=listening)), open_graphs(tiny_bundle))


@pytest.mark.parametrize("name", ["world.onnx", "head.onnx", "policy.onnx"])
def test_a_graph_with_other_inputs_is_refused(tiny_bundle: Bundle, name: str):
    other = "head.onnx" if name == "world.onnx" else "world.onnx"
    swapped = {**tiny_bundle.graphs, name: tiny_bundle.graphs[other]}

    with pytest.raises(BundleError, match=f"{name} must map"):
        open_graphs(replace(tiny_bundle, graphs=swapped))


def test_a_graph_that_does_not_compile_is_refused(tiny_bundle: Bundle):
    with pytest.raises(BundleError, match=r"world\.onnx cannot be compiled"):
        open_graphs(replace(tiny_bundle, graphs={**tiny_bundle.graphs, "world.onnx": b"rubbish"}))
