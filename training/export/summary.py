"""The running summary and the world models' linear part, as graphs (`training.networks.summary`, `.linear_part`).

Legend: M members · B histories · L tokens · T = L+1 positions · P positions read · F features · S summary width
· W song width · Z width of the linear part's state · K candidates
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from models.affect import SIGNALS
from models.tokens import BOUNDARY_FEATURE, PRESENT_FEATURES, SIGNAL_FEATURES
from training.export.builder import Builder
from training.export.layers import array, as_float, begin_with, by_member, part, picked, positions
from training.networks.linear_part import AFFECT, BEHAVIOUR, EFFECT_DECAY, TASTE_PRIOR_COUNT, LinearPart
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
    graph: Builder, parts: Sequence[LinearPart], *, song: str, summary: str, features: str, read: str
) -> str:
    """Write the linear parts; return their states (M, B, P, Z) after as many tokens as `read` (B, P) says.

    Args:
        song: the songs themselves, (M, B, L, W).
        summary: the running summary, (M or 1, B, L, S); it begins with the standardised features.
    """
    said = graph("MatMul", summary, graph.floats(by_member([each.summary for each in parts], axes=1)))
    effect = graph("MatMul", song, graph.floats(by_member([each.song[:, AFFECT] for each in parts], axes=1)))
    place = np.eye(len(SIGNALS))[AFFECT] * EFFECT_DECAY  # (2, 4): one song later, in the places of affect
    left = graph("MatMul", graph("MatMul", _of_the_session(graph, features), effect), graph.floats(place))
    wanted = _wanted(graph, parts, song=song, summary=summary, features=features)
    state = graph("Concat", graph("Add", said, left), *wanted, axis=3)  # (M, B, L, Z)
    state = begin_with(graph, np.zeros((len(parts), 1, 1, parts[0].state_width)), state, read)  # (M, B, T, Z)
    pick = picked(graph, positions(graph, state, 2), read)
    offset = by_member([each.offset for each in parts], axes=2)  # (M, 1, 1, 4)
    offset = np.pad(offset, [(0, 0)] * 3 + [(0, parts[0].state_width - len(SIGNALS))])
    return graph("Add", graph("MatMul", pick, state), graph.floats(offset))


def linear_logits(graph: Builder, parts: Sequence[LinearPart], *, state: str, song: str) -> str:
    """Write the linear parts' logits (M, B, K, 4) of K candidates (M, B, K, W) after states (M, B, Z)."""
    width, behaviours = len(parts[0].song), BEHAVIOUR.stop - BEHAVIOUR.start
    heard = graph("Unsqueeze", part(graph, state, 2, slice(0, len(SIGNALS))), graph.integers(2))  # (M, B, 1, 4)
    wanted = part(graph, state, 2, slice(len(SIGNALS), parts[0].state_width))
    wanted = graph("Reshape", wanted, graph.integers(0, 0, behaviours, width))
    wanted = graph("Transpose", wanted, perm=[0, 1, 3, 2])  # (M, B, W, 2)
    own = graph("MatMul", song, graph.floats(by_member([each.song for each in parts], axes=1)))
    match = graph("MatMul", graph("MatMul", song, wanted), graph.floats(np.eye(len(SIGNALS))[BEHAVIOUR]))
    return graph("Add", heard, graph("Add", own, match))


def _wanted(
    graph: Builder, parts: Sequence[LinearPart], *, song: str, summary: str, features: str
) -> tuple[str, str]:
    """Write the tastes that the candidate will meet for its engagement and for its rating, (M, B, L, W) each."""
    tastes = []
    for signal in range(BEHAVIOUR.start, BEHAVIOUR.stop):
        weighed = graph("Mul", part(graph, summary, 3, slice(signal, signal + 1)), song)  # (M, B, L, W)
        present = PRESENT_FEATURES.start + signal
        count = _kept(graph, part(graph, features, 2, slice(present, present + 1)), features, axis=1, decay=1.0)
        doubted = graph("Add", count, graph.floats(np.array(TASTE_PRIOR_COUNT)))  # (B, L, 1)
        tastes.append(graph("Div", _kept(graph, weighed, features, axis=2, decay=1.0), doubted))

    def mixed(target: int) -> str:
        shares = [by_member([each.taste[source, target] for each in parts], axes=3) for source in range(2)]
        return graph(
            "Add", *(graph("Mul", taste, graph.floats(share)) for taste, share in zip(tastes, shares, strict=True))
        )

    return mixed(0), mixed(1)


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
