"""The predictors find the invented law: whoever walks dislikes the odd songs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.situnes.test_encoding import BRIEF
from training.situnes import references
from training.situnes.benchmark import Benchmark, Setting, read_benchmark
from training.situnes.encoding import Encoded, Sight, encode_crosswise, fit_encoding
from training.situnes.heads import FittedHead, Material, mix
from training.situnes.predictors import fit_likes, fit_moods, fit_reports, liked_chance
from training.situnes.scores import affect_scores, like_scores, mood_scores

SIGHT = Sight(situation=True, before=True)


@pytest.fixture(scope="module")
def life(invented: Path) -> Benchmark:
    return read_benchmark(invented, Setting.LIFE, 101)


@pytest.fixture(scope="module")
def encoded(life: Benchmark) -> tuple[Encoded, Encoded]:
    """Of the training rows and of the test."""
    encoding = fit_encoding(life.train, life.songs, SIGHT, BRIEF, seed=1)
    return encode_crosswise(life.train, life.songs, SIGHT, BRIEF, seed=1), encoding.encode(life.test, life.train)


@pytest.fixture(scope="module")
def material(life: Benchmark, encoded: tuple[Encoded, Encoded]) -> Material:
    return Material.of(life.train, encoded[0], life.songs, SIGHT, new_songs=False, seed=1, tree_count=20)


def test_likes_depend_on_walking_and_song(life: Benchmark, material: Material, encoded: tuple[Encoded, Encoded]):
    mixture = fit_likes(material)
    chance = liked_chance(mixture, material.asked(life.test, encoded[1]))

    assert mixture.shares.sum() == pytest.approx(1)
    assert (mixture.shares >= 0).all()
    assert like_scores(chance, life.test.liked).auc > 0.9
    means = references.listener_and_song_means(life.train, life.test)
    assert like_scores(chance, life.test.liked).rmse < like_scores(means, life.test.liked).rmse


def test_moods_and_reports_follow_the_report_before(
    life: Benchmark, material: Material, encoded: tuple[Encoded, Encoded]
):
    asked = material.asked(life.test, encoded[1])
    reporter = fit_reports(material)
    moods = mood_scores(fit_moods(material, reporter).predict(asked), life.test.mood)
    reports = affect_scores(reporter.predict(asked), life.test.after)

    held = affect_scores(references.persistence(life.test), life.test.after)
    most = mood_scores(references.majority(life.train.mood, len(life.test)), life.test.mood)
    assert moods.accuracy > most.accuracy
    assert reports.valence_r2 > held.valence_r2
    assert reports.arousal_r2 > 0.8  # it is .7 of arousal before


def test_what_was_said_after_the_song_is_not_read(
    life: Benchmark, material: Material, encoded: tuple[Encoded, Encoded]
):
    changed = replace(life.test, rating=6 - life.test.rating, after=-life.test.after)
    moods = fit_moods(material, fit_reports(material))

    told, retold = (moods.predict(material.asked(rows, encoded[1])) for rows in (life.test, changed))

    assert np.array_equal(told, retold)


def test_a_mixture_prefers_the_head_that_was_right_about_left_out_rows():
    """Half is shared evenly; the other half is the right one's."""
    truth = np.random.default_rng(1).normal(size=(50, 1))
    right, wrong = (
        FittedHead(name=name, left_out=left_out, how=lambda asked: np.zeros((1, 1)), weights={})
        for name, left_out in (("right", truth * 0.9), ("wrong", np.zeros((50, 1))))
    )

    assert mix([right, wrong], truth).shares == pytest.approx([0.75, 0.25], abs=1e-6)
    assert mix([wrong, right], truth).only(["wrong"], truth).shares == pytest.approx([1.0])


def test_a_new_listener_and_a_new_song_have_the_mean(life: Benchmark):
    asked = life.test.take(np.array([0, 1]))
    stranger = replace(asked, user=np.array([99, 99]), song=np.array([-1, -1]))

    told = references.listener_and_song_means(life.train, stranger)

    assert told == pytest.approx(np.full(2, life.train.liked.mean()))
