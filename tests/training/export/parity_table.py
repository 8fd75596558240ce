"""How far ONNX Runtime lies from PyTorch, output by output: `python -m tests.training.export.parity_table`."""

import numpy as np

from models.listening import NO_SONG, concatenate
from models.tokens import Tokens, feature_names, tokenise
from tests.bundles import CONTEXT, make_trained
from tests.training.export.test_parity import BATCHES, LENGTHS, LOOKBACK, SONGS, differences
from training.export.golden import invented_listener
from training.export.graphs import head_graph, policy_graph, world_graph


def main() -> None:
    """Print one row per kind of history."""
    rng, keys, trained = np.random.default_rng(0), np.arange(SONGS), make_trained(seed=3)
    graphs = {
        "world.onnx": world_graph(trained.ensemble),
        "head.onnx": head_graph(trained.ensemble),
        "policy.onnx": policy_graph(trained.policy),
    }

    def random_tokens(length: int, batch: int) -> Tokens:
        lengths = rng.integers(0, length + 1, batch)
        lengths[0] = length
        features = rng.normal(size=(batch, length, len(feature_names(CONTEXT)))).astype(np.float32)
        features[..., 4:9] = rng.integers(0, 2, (batch, length, 5))
        return Tokens(song=rng.integers(NO_SONG, SONGS, (batch, length)), features=features, length=lengths)

    def tokenised(length: int, batch: int) -> Tokens:
        plays = [7] * (length // 8) + ([length % 8 - 1] if length % 8 else [])
        histories = [invented_listener(rng, plays, keys, CONTEXT) for _ in range(batch)]
        return tokenise(concatenate(histories), CONTEXT).latest(LOOKBACK)

    for name, tokens_of in (("random tokens", random_tokens), ("tokenised histories", tokenised)):
        found = [
            differences(trained, graphs, tokens_of(length, batch), keys) for length in LENGTHS for batch in BATCHES
        ]
        worst = {output: max(each[output] for each in found) for output in found[0]}
        print(f"{name}: " + "  ".join(f"{output} {value:.1e}" for output, value in worst.items()))


if __name__ == "__main__":
    main()
