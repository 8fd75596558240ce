"""Golden cases: synthetic listeners, and what a bundle must make of them wherever it is loaded.

A case is one invented listener; none is taken from a log. The expected tokens catch a tokeniser that changed, the
expected outputs of each graph a runtime that computes something else. All values were computed by PyTorch
when the bundle was exported; whoever loads it replays them through ONNX Runtime.

Legend: B cases · G songs · E embedding width · L tokens · F features · M members · D width of a graph's state
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.errors import BundleError, DataError
from models.listening import Listening

TOLERANCE: Final = 1e-4
"""How far an output may lie from its expected value."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """What a bundle must compute for each case."""

    song: Int[ndarray, "B L"]
    """The tokens' song keys, cut to the lookback."""
    features: Float[ndarray, "B L F"]
    length: Int[ndarray, " B"]
    state: Float[ndarray, "B M D"]
    """Output of the world graph."""
    previous_state: Float[ndarray, "B M D"]
    predicted: Float[ndarray, "B M G 4"]
    """Output of the head for every song, given `state`."""
    score: Float[ndarray, "B G"]
    """The policy's cosine with every song, through the projected index."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Golden:
    """B cases, the songs they were played, and the expected values."""

    names: tuple[str, ...]
    listening: Listening
    keys: Int[ndarray, " G"]
    embeddings: Float[ndarray, "G E"]
    expected: Expected


def golden_arrays(golden: Golden) -> dict[str, ndarray]:
    """Return the arrays of `golden.npz`."""
    arrays = {"names": np.array(golden.names), "keys": golden.keys, "embeddings": golden.embeddings}
    for prefix, columns in (("listening", golden.listening), ("expected", golden.expected)):
        arrays |= {f"{prefix}.{field.name}": getattr(columns, field.name) for field in fields(columns)}
    return arrays


def golden_of(arrays: Mapping[str, ndarray]) -> Golden:
    """Return the cases that `golden_arrays` wrote down.

    Raises:
        BundleError: an array is missing or too many, or the columns contradict each other.
    """
    expected = {"names", "keys", "embeddings"}
    expected |= {f"listening.{field.name}" for field in fields(Listening)}
    expected |= {f"expected.{field.name}" for field in fields(Expected)}
    if set(arrays) != expected:
        raise BundleError(f"golden.npz must hold {sorted(expected)}; got {sorted(arrays)}")
    try:
        return Golden(
            names=tuple(arrays["names"].tolist()),
            listening=Listening(**{field.name: arrays[f"listening.{field.name}"] for field in fields(Listening)}),
            keys=arrays["keys"],
            embeddings=arrays["embeddings"],
            expected=Expected(**{field.name: arrays[f"expected.{field.name}"] for field in fields(Expected)}),
        )
    except DataError as problem:
        raise BundleError(f"golden.npz holds no legal histories: {problem}") from problem
