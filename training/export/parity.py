"""Parity: how far ONNX Runtime, on what a bundle holds, lies from PyTorch on the trained networks.

Legend: B cases · L tokens · G songs · M members
"""

import numpy as np
import onnxruntime
from numpy import ndarray

from models.bundle import Projections
from models.catalogue import gather
from models.golden import Expected
from models.tokens import Tokens


def parity(
    expected: Expected, *, graphs: dict[str, bytes], projections: Projections, keys: ndarray, embeddings: ndarray
) -> dict[str, float]:
    """Return the largest absolute difference of each output, over all cases.

    Args:
        expected: what PyTorch computed (`training.export.golden.answers`).
        graphs: the bundle's graphs by file name.
        projections: the bundle's.
        keys: of the songs that the cases play and are asked about.
        embeddings: of the same songs.
    """
    tokens = Tokens(song=expected.song, features=expected.features, length=expected.length)
    row_of = {int(key): row for row, key in enumerate(keys)}
    rows = np.vectorize(lambda key: row_of.get(key, -1), otypes=[np.int64])(tokens.song)
    cases, members = expected.state.shape[:2]
    hidden = projections.head_hidden(embeddings).reshape(1, len(keys), members, -1)
    common = {"features": tokens.features, "length": tokens.length}
    state, previous_state = _run(
        graphs["world.onnx"],
        song=gather(projections.world_token(embeddings), rows),
        previous=tokens.previous,
        **common,
    )
    (predicted,) = _run(graphs["head.onnx"], state=state, song_hidden=np.repeat(hidden, cases, axis=0))
    (query,) = _run(graphs["policy.onnx"], song=gather(projections.policy_token(embeddings), rows), **common)
    found = {
        "state": state,
        "previous_state": previous_state,
        "predicted": predicted,
        "score": query @ projections.index_rows(embeddings).T,
    }
    return {name: float(np.abs(values - getattr(expected, name)).max()) for name, values in found.items()}


def _run(graph: bytes, **inputs: ndarray) -> list[ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)
