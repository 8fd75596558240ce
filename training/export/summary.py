"""The running summary and the world models' linear part, as graphs (`training.networks.summary`, `.linear_part`).

Legend: M members · B histories · L tokens · T = L+1 positions · P positions read · F features · S summary width
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from models.affect import SIGNALS
from models.tokens import BOUNDARY_FEATURE, PRESENT_FEATURES, SIGNAL_FEATURES
from training.export.builder import Builder
from training.export.layers import array, as_float, begin_with, by_member, part, picked, positions
from training.networks.linear_part import AFFECT, EFFECT_DECAY, LinearPart
from training.networks.summary import COUNT_SCALE, DECAYS, PRIOR_COUNT


def running_summary(graph: Builder, features: str, standards: Sequence[Tensor]) -> str:
    """Write the running summary, (B, L, F) → (M, B, L, S); (1, B, L, S) where members standardise alike."""
    matrices = [array(standard) for standard in standards]
    if all(np.array_equal(matrix, matrices[0]) for matrix in matrices):
        matrices = matrices[:1]
    standard = graph("MatMul", features, graph.floats(np.stack(matrices)[:, None]))  # (M, B, L, F)
    signals = part(graph, standard, 3, SIGNAL_FEATURES)
    present = part(graph, features, 2, PRESENT_FEATURES)
    parts = [standard]
    for decay in DECAYS:
        count = _kept(graph, present, features, axis=1, decay=decay)  # (B, L, 4)
        doubted = graph("Add", count, graph.floats(np.array(PRIOR_COUNT)))
        logarithm = graph("Log", graph("Add", count, graph.floats(np.array(1.0))))
        scaled = graph("Mul", logarithm, graph.floats(np.array(COUNT_SCALE)))
        parts.append(graph("Div", _kept(graph, signals, features, axis=2, decay=decay), doubted))
        parts.append(graph("Expand", scaled, graph.integers(len(matrices), 1, 1, 1)))
    return graph("Concat", *parts, axis=3)


def linear_part(
    graph: Builder, parts: Sequence[LinearPart], *, effect: str, summary: str, features: str, read: str
) -> str:
    """Write the linear parts; return their logits (M, B, P, 4) after as many tokens as `read` (B, P) says.

    Args:
        effect: the songs' effects on affect, (M, B, L, 2).
        summary: the running summary, (M or 1, B, L, S).
    """
    said = graph("MatMul", summary, graph.floats(by_member([each.summary for each in parts], axes=1)))
    place = np.eye(len(SIGNALS))[AFFECT] * EFFECT_DECAY  # (2, 4): one song later, in the places of affect
    left = graph("MatMul", graph("MatMul", _of_the_session(graph, features), effect), graph.floats(place))
    nothing = np.zeros((len(parts), 1, 1, len(SIGNALS)))
    heard = begin_with(graph, nothing, graph("Add", said, left), read)  # (M, B, T, 4)
    pick = picked(graph, positions(graph, heard, 2), read)
    return graph(
        "Add", graph("MatMul", pick, heard), graph.floats(by_member([each.offset for each in parts], axes=2))
    )


def _of_the_session(graph: Builder, features: str) -> str:
    """Write the (B, L, L) weights of the earlier tokens of each token's own session."""
    boundary = part(graph, features, 2, slice(BOUNDARY_FEATURE, BOUNDARY_FEATURE + 1))  # (B, L, 1)
    session = graph("CumSum", boundary, graph.integer(1))
    same = as_float(graph, graph("Equal", session, graph("Transpose", session, perm=[0, 2, 1])))  # (B, L, L)
    return graph("Mul", _fading(graph, features, EFFECT_DECAY), same)


def _kept(graph: Builder, values: str, features: str, *, axis: int, decay: float) -> str:
    """Write, for each token, the sum of values so far along an axis, each fading by `decay` a token."""
    if decay == 1:
        return graph("CumSum", values, graph.integer(axis))
    return graph("MatMul", _fading(graph, features, decay), values)


def _fading(graph: Builder, features: str, decay: float) -> str:
    """Write the (L, L) weights of earlier tokens: decay to the power of the distance, 0 for later ones."""
    places = as_float(graph, positions(graph, features, 1))  # (L,)
    distance = graph("Sub", graph("Unsqueeze", places, graph.integers(1)), places)  # (L, L)
    nothing = graph.floats(np.array(0.0))
    earlier = as_float(graph, graph("GreaterOrEqual", distance, nothing))
    faded = graph("Mul", graph("Max", distance, nothing), graph.floats(np.array(np.log(decay))))
    return graph("Mul", earlier, graph("Exp", faded))
