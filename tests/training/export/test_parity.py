"""What serves computes what was trained: ONNX Runtime on the graphs and PyTorch agree within 1e-4."""

import os
from pathlib import Path

import numpy as np
import pytest

from models.golden import TOLERANCE
from models.listening import NO_SONG, concatenate
from models.tokens import Tokens, feature_names, tokenise
from tests.bundles import CONTEXT, make_trained
from training.export.export import Trained
from training.export.golden import answers, invented_listener
from training.export.graphs import head_graph, policy_graph, world_graph
from training.export.parity import parity
from training.export.projections import projections

LOOKBACK = 128
LENGTHS = [0, 1, 2, 50, LOOKBACK]
BATCHES = [1, 3, 64]
SONGS = 12


@pytest.fixture(scope="module")
def trained() -> Trained:
    """Small networks with random weights."""
    return make_trained(seed=3)


@pytest.fixture(scope="module")
def graphs(trained: Trained) -> dict[str, bytes]:
    """Their graphs."""
    return {
        "world.onnx": world_graph(trained.ensemble),
        "head.onnx": head_graph(trained.ensemble),
        "policy.onnx": policy_graph(trained.policy),
    }


def differences(trained: Trained, graphs: dict[str, bytes], tokens: Tokens, keys: np.ndarray) -> dict[str, float]:
    """The largest difference of each output, between PyTorch and ONNX Runtime."""
    maps = {"reading": trained.reading, "target_map": trained.target_map}
    embeddings = trained.support[: len(keys)]
    expected = answers(trained.ensemble, trained.policy, tokens, keys=keys, embeddings=embeddings, **maps)
    rewritten = projections(trained.ensemble, trained.policy, support=trained.support, **maps)
    return parity(expected, graphs=graphs, projections=rewritten, keys=keys, embeddings=embeddings)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("length", LENGTHS)
def test_on_random_tokens(trained: Trained, graphs, rng, length: int, batch: int):
    """Features far beyond what a tokeniser makes; in a batch, every length up to the longest."""
    keys = np.arange(SONGS)
    lengths = rng.integers(0, length + 1, batch)
    lengths[0] = length
    tokens = Tokens(
        song=rng.integers(NO_SONG, SONGS, (batch, length)),
        features=rng.normal(size=(batch, length, len(feature_names(CONTEXT)))).astype(np.float32),
        length=lengths,
    )
    tokens.features[..., 4:9] = rng.integers(0, 2, (batch, length, 5))  # presence and boundary are bits

    assert max(differences(trained, graphs, tokens, keys).values()) < TOLERANCE


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("length", LENGTHS)
def test_on_tokenised_histories(trained: Trained, graphs, rng, length: int, batch: int):
    """Histories of exactly so many tokens, sessions of seven plays, cut to the lookback."""
    keys = np.arange(SONGS)
    plays = [7] * (length // 8) + ([length % 8 - 1] if length % 8 else [])
    histories = concatenate([invented_listener(rng, plays, keys, CONTEXT) for _ in range(batch)])
    tokens = tokenise(histories, CONTEXT).latest(LOOKBACK)

    assert set(tokens.length.tolist()) == {length}
    assert max(differences(trained, graphs, tokens, keys).values()) < TOLERANCE


@pytest.mark.skipif("AMRS_SITUNES_DIR" not in os.environ, reason="AMRS_SITUNES_DIR does not name the SiTunes data")
@pytest.mark.parametrize("batch", BATCHES)
def test_on_real_listeners(graphs, batch: int):
    """Listeners of SiTunes, in the networks' own width: their songs are stood in for by the tiny catalogue's."""
    from training.importers.situnes import import_situnes

    log = import_situnes(Path(os.environ["AMRS_SITUNES_DIR"]))
    listening = log.listening()
    real = make_trained(seed=4, context=log.description.context)
    real_graphs = {
        "world.onnx": world_graph(real.ensemble),
        "head.onnx": head_graph(real.ensemble),
        "policy.onnx": policy_graph(real.policy),
    }
    chosen = np.arange(batch) % listening.listener_count
    for lookback in (1, 2, 50, LOOKBACK):
        tokens = tokenise(listening.select(chosen), log.description.context).latest(lookback)
        keys = np.unique(tokens.song[tokens.song != NO_SONG])[: len(real.support)]

        assert max(differences(real, real_graphs, tokens, keys).values()) < TOLERANCE


def test_a_history_counts_the_same_alone_or_in_a_batch(trained: Trained, graphs, rng):
    keys = np.arange(SONGS)
    parts = [invented_listener(rng, plays, keys, CONTEXT) for plays in ([3], [], [9, 2], [1])]
    embeddings = trained.support[:SONGS]
    maps = {"reading": trained.reading, "target_map": trained.target_map}

    def expected(listening):
        tokens = tokenise(listening, CONTEXT).latest(LOOKBACK)
        return answers(trained.ensemble, trained.policy, tokens, keys=keys, embeddings=embeddings, **maps)

    together = expected(concatenate(parts))
    for place, each in enumerate(parts):
        alone = expected(each)
        for name in ("state", "previous_state", "predicted", "score"):
            np.testing.assert_allclose(getattr(together, name)[place], getattr(alone, name)[0], atol=1e-5)


def test_the_same_weights_give_the_same_bytes(trained: Trained, graphs):
    assert world_graph(trained.ensemble) == graphs["world.onnx"]
    assert head_graph(trained.ensemble) == graphs["head.onnx"]
    assert policy_graph(trained.policy) == graphs["policy.onnx"]
