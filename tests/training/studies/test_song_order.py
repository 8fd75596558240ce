"""Candidates are compared with the truth listener by listener, and whoever knows more orders them better."""

from collections.abc import Mapping

import numpy as np
import pytest

from tests.training import small_run
from training.material import Material
from training.platform.truth import Truth
from training.studies.cells import Row
from training.studies.song_order import draw_question, linear_reading, model_order, reference_order


@pytest.fixture(scope="module")
def material() -> Material:
    return small_run.material()


@pytest.fixture(scope="module")
def truth(material: Material) -> Truth:
    assert material.truth is not None
    return material.truth


@pytest.fixture(scope="module")
def orders(material: Material, truth: Truth) -> Mapping[tuple[str, str], Row]:
    question = draw_question(material, truth, np.random.default_rng(0))
    rows = [
        *reference_order(material, truth, question),
        *model_order("member", small_run.world().ensemble.members[0], material, question, lookback=32),
    ]
    return {(str(row["row"]), str(row["signal"])): row for row in rows}


def pairwise(orders: Mapping[tuple[str, str], Row], name: str, signal: str) -> float:
    value = orders[name, signal]["pairwise"]
    assert isinstance(value, float)
    return value


def test_every_listener_is_asked_about_uniform_songs(material: Material, truth: Truth):
    question = draw_question(material, truth, np.random.default_rng(0))
    few = draw_question(material, truth, np.random.default_rng(0), among=np.array([3, 5]))

    assert question.songs.shape == (len(material.split.test), 100)
    assert len(np.unique(question.songs)) > 100
    assert set(np.unique(few.songs)) == {3, 5}


def test_the_tag_orders_affect_and_nothing_else(orders: Mapping[tuple[str, str], Row]):
    assert pairwise(orders, "population tag", "arousal") > 0.6
    assert orders["population tag", "engagement"]["pairwise"] is None
    assert orders["plays by training listeners", "valence"]["slope"] is None


def test_the_filter_that_knows_the_songs_orders_them_better_than_any_reading(
    orders: Mapping[tuple[str, str], Row],
):
    for signal in ("engagement", "rating", "valence", "arousal"):
        told = pairwise(orders, "best from the observed history", signal)
        assert told > pairwise(orders, "best linear reading of the embedding", signal)
        assert told > pairwise(orders, "member", signal)


def test_a_reading_of_songs_not_fitted_on_them_tells_their_affect(material: Material, truth: Truth):
    affect = truth.simulation.songs.affect
    read = linear_reading(material, truth)

    assert np.corrcoef(read[:, 2], affect[:, 0])[0, 1] > 0.5
    assert np.corrcoef(read[:, 3], affect[:, 1])[0, 1] > 0.5
