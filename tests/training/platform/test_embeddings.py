"""The acoustic space tells a linear probe more than the semantic one, and neither tells everything."""

import numpy as np
import pytest
from jaxtyping import Float
from numpy import ndarray

from training.platform.embeddings import draw_embedding
from training.platform.parameters import CLAMP3_SIM, MERT_SIM, SongParameters
from training.platform.songs import Songs, draw_songs


@pytest.fixture(scope="module")
def songs() -> Songs:
    return draw_songs(3_000, SongParameters(), np.random.default_rng(4))


@pytest.fixture(scope="module")
def mert(songs: Songs) -> Float[ndarray, "songs 768"]:
    return draw_embedding(songs, MERT_SIM, np.random.default_rng(5))


@pytest.fixture(scope="module")
def clamp(songs: Songs) -> Float[ndarray, "songs 768"]:
    return draw_embedding(songs, CLAMP3_SIM, np.random.default_rng(6))


def probe(embedding: Float[ndarray, "songs 768"], latent: Float[ndarray, " songs"]) -> float:
    """R² on the odd songs of a ridge fitted to the even ones, on 64 principal components."""
    centred = embedding - embedding.mean(0)
    _, _, directions = np.linalg.svd(centred[::2], full_matrices=False)
    inputs = centred @ directions[:64].T
    weights = np.linalg.solve(inputs[::2].T @ inputs[::2] + 1e-3 * np.eye(64), inputs[::2].T @ latent[::2])
    return float(1 - np.mean((latent[1::2] - inputs[1::2] @ weights) ** 2) / latent[1::2].var())


def test_both_spaces_are_768_wide_and_finite(mert: ndarray, clamp: ndarray) -> None:
    for embedding in (mert, clamp):
        assert embedding.shape == (3_000, 768)
        assert embedding.dtype == np.float32
        assert np.isfinite(embedding).all()


def test_the_acoustic_space_reads_valence_and_tempo_better(songs: Songs, mert: ndarray, clamp: ndarray) -> None:
    assert probe(mert, songs.affect[:, 0]) > probe(clamp, songs.affect[:, 0]) + 0.08
    assert probe(mert, songs.tempo_bpm) > probe(clamp, songs.tempo_bpm) + 0.08


def test_no_space_reads_affect_perfectly_nor_appeal_well(songs: Songs, mert: ndarray) -> None:
    """Noise sits on the latents: were it on the 768 outputs, a probe would read beyond .95."""
    assert 0.55 < probe(mert, songs.affect[:, 0]) < 0.8
    assert 0.65 < probe(mert, songs.affect[:, 1]) < 0.88
    assert probe(mert, songs.appeal) < 0.3


def test_embeddings_are_anisotropic(mert: ndarray, clamp: ndarray) -> None:
    """The mean cosine between songs is far from 0, as it is in audio models, and higher for the acoustic one."""
    mean_cosine = [
        float(((e / np.linalg.norm(e, axis=1, keepdims=True)).mean(0) ** 2).sum()) for e in (mert, clamp)
    ]

    assert mean_cosine[0] > mean_cosine[1] > 0.2
