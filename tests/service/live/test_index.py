"""A search finds the best songs that may be given, however they are laid out and whatever has changed since."""

from collections.abc import Iterator
from itertools import accumulate, count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Bundle
from service.live.directions import directions
from service.live.exact import ExactIndex
from service.live.index import SongIndex
from service.live.layout import CLASSES, RECALL, draw_queries, lay_out, measure_exact, with_more_effort
from tests.bundles import SPACE


@pytest.fixture(scope="module")
def vectors(tiny_bundle: Bundle) -> np.ndarray:
    """Three thousand projected songs."""
    drawn = np.random.default_rng(3).normal(size=(3000, SPACE.width)).astype(np.float32)
    return tiny_bundle.projections.index_rows(drawn)


def exact_index(vectors: np.ndarray, laid_out: int, allowed: np.ndarray) -> SongIndex:
    return SongIndex(ExactIndex(vectors[:laid_out]), np.arange(laid_out), vectors, allowed, laid_out=laid_out)


@given(st.data())
@settings(max_examples=60)
def test_newcomers_and_songs_that_are_gone_make_no_difference_to_what_is_found(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    count = data.draw(st.integers(1, 120))
    laid_out = data.draw(st.integers(0, count))
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    allowed = rng.random(count) < data.draw(st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]))
    query = rng.normal(size=4).astype(np.float32)
    wanted = data.draw(st.integers(1, 130))

    index = exact_index(vectors, laid_out, allowed)
    rows, scores = index.search(query, wanted)

    expected = np.sort(vectors[allowed] @ query)[::-1][:wanted]
    assert len(index) == np.count_nonzero(allowed)
    assert allowed[rows].all()
    assert len(set(rows.tolist())) == len(rows) == len(expected)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


def test_an_index_that_follows_leaves_the_one_before_as_it_was(vectors):
    query = draw_queries(vectors, _plain(vectors))[0]
    before = exact_index(vectors[:2000], 1000, np.ones(2000, bool))
    found = before.search(query, 50)[0].tolist()
    gone = np.ones(3000, bool)
    gone[found] = False

    after = before.after(vectors, gone)

    assert not set(after.search(query, 50)[0]) & set(found)
    assert before.search(query, 50)[0].tolist() == found


def test_a_query_that_is_no_number_finds_nothing(vectors):
    index = exact_index(vectors, 3000, np.ones(3000, bool))

    assert not len(index.search(np.full(vectors.shape[1], np.nan, np.float32), 5)[0])


def test_a_new_layout_is_due_when_much_has_changed(vectors):
    many = np.repeat(vectors, 2, axis=0)
    index = exact_index(many, 3000, np.ones(6000, bool))
    few_gone, most_gone = np.ones(3000, bool), np.zeros(3000, bool)
    few_gone[:9] = False

    assert index.is_due
    assert not exact_index(vectors, 3000, few_gone).is_due
    assert exact_index(vectors, 3000, most_gone).is_due


def test_directions_leave_every_product_as_it_was(tiny_bundle: Bundle, vectors):
    space = directions(tiny_bundle.projections)
    queries = np.random.default_rng(1).normal(size=(9, vectors.shape[1])).astype(np.float32)

    np.testing.assert_allclose(
        space.songs(vectors) @ space.queries(queries).T, vectors @ queries.T, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(np.linalg.norm(space.songs(vectors), axis=1), 1.0, rtol=1e-3)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.kind)
def test_every_class_finds_enough_with_some_effort_and_tells_exact_cosines(tiny_bundle: Bundle, vectors, kind):
    space = directions(tiny_bundle.projections)
    queries = draw_queries(vectors, space)[:20]
    truth, _ = measure_exact(ExactIndex(vectors), queries, 100)
    base = kind(vectors, space)

    assert any(each.recall >= RECALL for each in with_more_effort(base, queries, truth, 100))
    places, scores = base.search(queries[0], 100)
    np.testing.assert_allclose(scores, vectors[places] @ queries[0], rtol=1e-6)
    assert base.size_bytes > 0


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.kind)
def test_exclusions_still_leave_as_many_songs_as_asked_for(tiny_bundle: Bundle, vectors, kind):
    """Where a class by itself finds too few that are left, every song is looked at."""
    space = directions(tiny_bundle.projections)
    allowed = np.zeros(3000, bool)
    allowed[np.random.default_rng(2).choice(3000, 250, replace=False)] = True
    index = SongIndex(kind(vectors, space), np.arange(3000), vectors, allowed, laid_out=3000)

    for query in draw_queries(vectors, space)[:10]:
        rows, _ = index.search(query, 200)
        assert len(rows) == 200
        assert allowed[rows].all()


def test_a_large_catalogue_is_laid_out_by_measured_recall(tiny_bundle: Bundle, vectors):
    """By a timer on which each search is quicker than the one before: the class is quicker than the scan."""
    index = lay_out(
        vectors, np.ones(3000, bool), tiny_bundle.projections, exact_up_to=100, timer=speeding_up().__next__
    )

    assert index.base_name.partition(" ")[0] in {kind.kind for kind in CLASSES}
    assert len(index.search(draw_queries(vectors, directions(tiny_bundle.projections))[0], 100)[0]) == 100


def test_a_small_catalogue_is_scanned(tiny_bundle: Bundle, vectors):
    assert lay_out(vectors, np.ones(3000, bool), tiny_bundle.projections).base_name == "exact"


def test_a_class_that_is_no_quicker_than_the_scan_is_not_taken(tiny_bundle: Bundle, vectors):
    index = lay_out(vectors, np.ones(3000, bool), tiny_bundle.projections, exact_up_to=100, timer=lambda: 0.0)

    assert index.base_name == "exact"


def speeding_up() -> Iterator[float]:
    """Seconds, each less after the one before."""
    return accumulate(1 / passed for passed in count(1))


def _plain(vectors):
    from service.live.directions import Directions

    same = np.eye(vectors.shape[1], dtype=np.float32)
    return Directions(of_songs=same, of_queries=same)
