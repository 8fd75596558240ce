"""A reading is one affine map that gives training songs zero mean and one small spread, and melts into layers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from models.errors import ConfigError, DataError
from training.networks.reading import ReadingConfig, UnscaledConfig, fit_reading, fit_unscaled

EMBEDDINGS = (np.random.default_rng(0).normal(size=(60, 9)) * np.linspace(3, 0.5, 9) + 4.0).astype(np.float32)


def test_training_songs_are_centred_and_equally_spread():
    vectors = fit_reading(EMBEDDINGS, ReadingConfig(components=4, spread=0.15))(EMBEDDINGS)

    assert vectors.shape == (60, 4)
    assert_allclose(vectors.mean(axis=0), 0, atol=1e-5)
    assert_allclose(vectors.std(axis=0), 0.15, rtol=1e-4)


def test_components_do_not_repeat_each_other():
    vectors = fit_reading(EMBEDDINGS, ReadingConfig(components=4))(EMBEDDINGS)

    assert_allclose(np.corrcoef(vectors.T), np.eye(4), atol=1e-3)


def test_what_follows_melts_into_one_map():
    reading = fit_reading(EMBEDDINGS, ReadingConfig(components=4))
    matrix, offset = np.arange(8.0).reshape(4, 2), np.array([1.0, -1.0])

    assert_allclose(reading.then(matrix, offset)(EMBEDDINGS), reading(EMBEDDINGS) @ matrix + offset, atol=1e-4)
    assert_allclose(reading.then(matrix)(EMBEDDINGS), reading(EMBEDDINGS) @ matrix, atol=1e-4)


def test_no_more_components_are_kept_than_the_songs_differ_in():
    flat = np.outer(np.arange(5.0), [1.0, 2.0, 0.0]).astype(np.float32)

    assert fit_reading(flat, ReadingConfig(components=3)).width == 1


def tagged(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return embeddings, a mood that is linear in them, and noisy tags of that mood."""
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(count, 12)) * np.linspace(3, 1, 12)
    mood = embeddings[:, -1]  # along the direction in which the songs differ least
    return embeddings.astype(np.float32), mood, 0.5 + 0.1 * (mood + rng.normal(size=count))


def test_a_tag_adds_the_direction_that_tells_it_without_its_noise():
    embeddings, mood, tag = tagged(2_000)
    vectors = fit_reading(embeddings, ReadingConfig(components=2, tag_spread=0.5), tags=tag[:, None])(embeddings)

    assert vectors.shape == (2_000, 3)
    assert np.corrcoef(vectors[:, 2], mood)[0, 1] > 0.95 > np.corrcoef(tag, mood)[0, 1]
    assert vectors[:, 2].std() == pytest.approx(0.5, rel=1e-4)


def test_few_tags_or_tags_that_say_nothing_add_no_direction():
    embeddings, _, tag = tagged(200)
    rare, silent, flat = np.full(200, np.nan), np.full(200, np.nan), np.full(200, 0.4)
    rare[:50] = tag[:50]

    assert fit_reading(embeddings, ReadingConfig(), tags=np.column_stack([rare, silent, flat])).width == 12


def test_songs_that_are_all_alike_cannot_be_read():
    with pytest.raises(DataError, match="two different songs"):
        fit_reading(np.ones((5, 3), np.float32), ReadingConfig())


@pytest.mark.parametrize("centred", [True, False])
def test_whole_and_unscaled_it_keeps_every_cosine(centred: bool):
    vectors = fit_unscaled(EMBEDDINGS, UnscaledConfig(components=9, centred=centred))(EMBEDDINGS)

    songs = EMBEDDINGS - EMBEDDINGS.mean(axis=0) if centred else EMBEDDINGS
    assert_allclose(cosines(vectors), cosines(songs), atol=1e-4)


def cosines(songs: np.ndarray) -> np.ndarray:
    unit = songs / np.linalg.norm(songs, axis=1, keepdims=True)
    return unit @ unit.T


def test_unscaled_the_first_component_is_the_loudest():
    spread = fit_unscaled(EMBEDDINGS, UnscaledConfig(components=3))(EMBEDDINGS).std(axis=0)

    assert spread[0] > spread[1] > spread[2]


def test_a_reading_without_components_or_spread_is_refused():
    with pytest.raises(ConfigError):
        ReadingConfig(components=0)
    with pytest.raises(ConfigError):
        UnscaledConfig(components=0)
    with pytest.raises(ConfigError):
        ReadingConfig(spread=0.0)
    with pytest.raises(ConfigError):
        ReadingConfig(tag_spread=0.0)
