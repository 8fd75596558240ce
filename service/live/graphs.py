"""A bundle's three graphs in ONNX Runtime: one thread each, never spinning, because processes are the workers.

Legend: B listeners · L tokens · F features · M members · K candidates · D, H widths
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import onnxruntime
from jaxtyping import Float
from numpy import ndarray

from models.bundle import Bundle
from models.errors import BundleError
from models.tokens import Tokens

_SIGNATURES = {
    "world.onnx": (("song", "features", "length", "previous"), ("state", "previous_state")),
    "head.onnx": (("state", "song_hidden"), ("predicted",)),
    "policy.onnx": (("song", "features", "length"), ("query",)),
}
"""The inputs and outputs that every bundle's graphs have."""


OnRun = Callable[[str, float], object]
"""Told of each run of a graph: `world`, `head` or `policy`, and the seconds it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphs:
    """The graphs of one bundle, ready to run; safe to share between threads."""

    _world: onnxruntime.InferenceSession
    _head: onnxruntime.InferenceSession
    _policy: onnxruntime.InferenceSession
    _on_run: OnRun | None = None

    def world(
        self, song: Float[ndarray, "B L D"], tokens: Tokens
    ) -> tuple[Float[ndarray, "B M H"], Float[ndarray, "B M H"]]:
        """Return the world model's state after all tokens, and before the last play.

        Args:
            song: the songs of the tokens as the world encoder wants them; zeros where a token has none.
        """
        inputs = {"song": song, "features": tokens.features, "length": tokens.length, "previous": tokens.previous}
        state, previous_state = self._run("world", self._world, inputs)
        return state, previous_state

    def head(
        self, state: Float[ndarray, "B M D"], song_hidden: Float[ndarray, "B K M H"]
    ) -> Float[ndarray, "B M K 4"]:
        """Return the four signals that each member predicts of each song."""
        return self._run("head", self._head, {"state": state, "song_hidden": song_hidden})[0]

    def policy(self, song: Float[ndarray, "B L D"], tokens: Tokens) -> Float[ndarray, "B Q"]:
        """Return the query whose inner product with a projected index row is the policy's cosine."""
        inputs = {"song": song, "features": tokens.features, "length": tokens.length}
        return self._run("policy", self._policy, inputs)[0]

    def _run(self, name: str, graph: onnxruntime.InferenceSession, inputs: dict[str, ndarray]) -> Any:
        if self._on_run is None:
            return graph.run(None, inputs)
        began = perf_counter()
        outputs = graph.run(None, inputs)
        self._on_run(name, perf_counter() - began)
        return outputs


def open_graphs(bundle: Bundle, on_run: OnRun | None = None) -> Graphs:
    """Return the bundle's graphs, compiled.

    Raises:
        BundleError: a graph cannot be compiled, or asks for other inputs than a bundle's graphs have.
    """
    sessions = {name: _session(bundle, name) for name in _SIGNATURES}
    return Graphs(
        _world=sessions["world.onnx"],
        _head=sessions["head.onnx"],
        _policy=sessions["policy.onnx"],
        _on_run=on_run,
    )


def _session(bundle: Bundle, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(bundle.graphs[name], options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # ONNX Runtime raises its own, undocumented kinds
        raise BundleError(f"{bundle.version}/{name} cannot be compiled: {problem}") from problem
    found = tuple(each.name for each in session.get_inputs()), tuple(each.name for each in session.get_outputs())
    if found != _SIGNATURES[name]:
        raise BundleError(f"{bundle.version}/{name} must map {_SIGNATURES[name]}; it maps {found}")
    return session
