"""Golden cases replayed: a bundle that does not compute here what it computed when it was made is refused."""

import numpy as np
from numpy import ndarray

from models.bundle import Bundle
from models.catalogue import gather
from models.errors import BundleError
from models.golden import TOLERANCE
from models.listening import NO_SONG
from models.tokens import Tokens, tokenise
from service.live.graphs import Graphs
from service.live.vectors import song_vectors


def replay(bundle: Bundle, graphs: Graphs) -> None:
    """Compute every golden case here, tokens first; this also warms the graphs up.

    Raises:
        BundleError: naming the first case and value that lies farther from the expected one than `TOLERANCE`.
    """
    golden, expected = bundle.golden, bundle.golden.expected
    tokens = tokenise(golden.listening, bundle.manifest.context).latest(bundle.manifest.lookback)
    _require(bundle, "length", tokens.length, expected.length)
    _require(bundle, "song", tokens.song, expected.song)
    _require(bundle, "features", tokens.features, expected.features)
    for name, found in _outputs(bundle, graphs, tokens).items():
        _require(bundle, name, found, getattr(expected, name))


def _outputs(bundle: Bundle, graphs: Graphs, tokens: Tokens) -> dict[str, ndarray]:
    golden, vectors = bundle.golden, song_vectors(bundle, bundle.golden.embeddings)
    order = np.argsort(golden.keys)
    place = np.minimum(np.searchsorted(golden.keys[order], tokens.song), len(order) - 1)
    rows = np.where(golden.keys[order][place] == tokens.song, order[place], NO_SONG)  # (B, L)
    state, previous_state = graphs.world(gather(vectors.world_token, rows), tokens)
    hidden = np.broadcast_to(vectors.head_hidden, (len(golden.names), *vectors.head_hidden.shape))
    query = graphs.policy(gather(vectors.policy_token, rows), tokens)
    return {
        "state": state,
        "previous_state": previous_state,
        "predicted": graphs.head(state, np.ascontiguousarray(hidden)),
        "score": query @ vectors.index_rows.T,
    }


def _require(bundle: Bundle, name: str, found: ndarray, expected: ndarray) -> None:
    if found.shape != expected.shape:
        raise BundleError(
            f"{bundle.version} fails its golden cases: {name} must have shape {expected.shape}, got {found.shape}"
        )
    difference = np.abs(found.astype(np.float64) - expected).reshape(len(found), -1).max(axis=1, initial=0.0)
    failing = np.flatnonzero(~(difference <= TOLERANCE))  # NaN fails too
    if failing.size:
        case = int(failing[0])
        raise BundleError(
            f"{bundle.version} fails its golden case {bundle.golden.names[case]!r}: {name} must agree within "
            f"{TOLERANCE}, differs by {difference[case]}"
        )
