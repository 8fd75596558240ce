"""The three graphs that serve: the ensemble's encoders, the ensemble's heads, and the policy.

Each is an exact rewriting of the trained networks (SCIENCE §2), held to them by golden cases at export and by
`tests/training/export`. Members run side by side in one graph; song parts are computed once per catalogue and
come in as inputs; standardisation and the gains of norms melt into the layer that follows; and past the last
block's keys and values, only the positions that somebody reads are computed.

Legend: M members · B histories · L tokens · T = L+1 positions, BOS first · P positions read · D width · A heads
· K candidates · H hidden width
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from models.affect import SIGNALS
from models.tokens import BOUNDARY_FEATURE, PRESENT_FEATURES, SIGNAL_FEATURES
from training.export.builder import Builder
from training.networks.blocks import Block
from training.networks.encoder import HistoryEncoder
from training.networks.linear_part import AFFECT, EFFECT_DECAY, LinearPart
from training.networks.policy import PolicyNetwork
from training.networks.summary import COUNT_SCALE, DECAYS, PRIOR_COUNT
from training.networks.world import Ensemble

_NEXT_TO_NOTHING = np.array(-60.0)
"""The lowest score below the best that a softmax is given: e^-60 vanishes in single precision. Minus infinity
would come out as denormal numbers, on which a softmax of 116 positions took eight times as long."""


def world_graph(ensemble: Ensemble) -> bytes:
    """Return `world.onnx`: tokens → every member's state after them all, and before the last play."""
    encoders = [member.encoder for member in ensemble.members]
    width, effect_width = encoders[0].width, AFFECT.stop - AFFECT.start
    axes: list[str | int] = ["B", len(encoders), ensemble.members[0].state_width]
    graph = Builder("world")
    song, features, length = _token_inputs(graph, encoders, song_width=width + effect_width)
    previous = graph.input("previous", ["B"], integers=True)
    read = graph("Concat", _column(graph, length), _column(graph, previous), axis=1)  # (B, P)
    token_part = graph("Slice", song, *_slice(graph, 3, 0, width))  # (M, B, L, D)
    effect = graph("Slice", song, *_slice(graph, 3, width, width + effect_width))  # (M, B, L, 2)
    streams = _encode(graph, encoders, token_part, features, read)  # (M, B, P, D)
    linear = _linear_part(graph, [member.linear for member in ensemble.members], effect, features, read)
    states = graph("Concat", streams, linear, axis=3)  # (M, B, P, D+4)
    states = graph("Transpose", states, perm=[2, 1, 0, 3])  # (P, B, M, D+4)
    state, previous_state = (graph("Gather", states, graph.integer(place), axis=0) for place in range(2))
    return graph.finish({"state": (state, axes), "previous_state": (previous_state, axes)})


def head_graph(ensemble: Ensemble) -> bytes:
    """Return `head.onnx`: states and the songs' shares of the hidden layer → the four signals, in [0, 1]."""
    heads = [member.head for member in ensemble.members]
    members, width, hidden = len(heads), heads[0].state_part.in_features, heads[0].state_part.out_features
    graph = Builder("head")
    state = graph.input("state", ["B", members, width])
    song_hidden = graph.input("song_hidden", ["B", "K", members, hidden + len(SIGNALS)])
    by_member = graph("Transpose", state, perm=[1, 0, 2])  # (M, B, D+4)
    state_hidden = _linear(graph, by_member, [head.state_part for head in heads], axes=1)  # (M, B, H)
    state_hidden = graph("Unsqueeze", state_hidden, graph.integers(2))  # (M, B, 1, H)
    songs = graph("Transpose", song_hidden, perm=[2, 0, 1, 3])  # (M, B, K, H+4)
    song_bent = graph("Slice", songs, *_slice(graph, 3, 0, hidden))
    correction = _linear(
        graph, graph("Gelu", graph("Add", state_hidden, song_bent)), [head.output for head in heads], axes=2
    )  # (M, B, K, 4)
    state_linear = graph("Slice", by_member, *_slice(graph, 2, width - len(SIGNALS), width))
    state_linear = graph("Unsqueeze", state_linear, graph.integers(2))  # (M, B, 1, 4)
    song_linear = graph("Slice", songs, *_slice(graph, 3, hidden, hidden + len(SIGNALS)))
    linear = graph("Add", state_linear, song_linear)
    predicted = graph("Sigmoid", graph("Add", linear, correction))
    predicted = graph("Transpose", predicted, perm=[1, 0, 2, 3])  # (B, M, K, 4)
    return graph.finish({"predicted": (predicted, ["B", members, "K", len(SIGNALS)])})


def policy_graph(policy: PolicyNetwork) -> bytes:
    """Return `policy.onnx`: tokens → [h ; 1] / ‖W h + b‖, the query of the projected index."""
    graph = Builder("policy")
    song, features, length = _token_inputs(graph, [policy.encoder], song_width=policy.encoder.width)
    states = _encode(graph, [policy.encoder], song, features, _column(graph, length))  # (1, B, 1, D)
    state = graph("Squeeze", states, graph.integers(0, 2))  # (B, D)
    matrix, offset = weights(policy.output)
    wanted = graph("Add", graph("MatMul", state, graph.floats(matrix)), graph.floats(offset))  # (B, Q)
    norm = graph("ReduceL2", wanted, graph.integers(1), keepdims=1)  # (B, 1)
    query = graph("Concat", graph("Div", state, norm), graph("Reciprocal", norm), axis=1)
    return graph.finish({"query": (query, ["B", policy.encoder.width + 1])})


def weights(layer: nn.Linear) -> tuple[Float[ndarray, "I O"], Float[ndarray, " O"]]:
    """Return a linear layer as x ↦ x @ matrix + offset, in double precision."""
    matrix = _array(layer.weight).T
    offset = np.zeros(matrix.shape[1]) if layer.bias is None else _array(layer.bias)
    return matrix, offset


def _token_inputs(graph: Builder, encoders: Sequence[HistoryEncoder], *, song_width: int) -> tuple[str, str, str]:
    """Write the inputs of a history; return songs by member (M, B, L, song_width), features and lengths."""
    members = len(encoders)
    song = graph.input("song", ["B", "L", members * song_width])
    features = graph.input("features", ["B", "L", encoders[0].standard.shape[0]])
    split = graph("Reshape", song, graph.integers(0, 0, members, song_width))  # (B, L, M, song_width)
    by_member = graph("Transpose", split, perm=[2, 0, 1, 3])
    return by_member, features, graph.input("length", ["B"], integers=True)


def _encode(graph: Builder, encoders: Sequence[HistoryEncoder], song: str, features: str, read: str) -> str:
    """Write the encoders; return their states (M, B, P, D) after as many tokens as `read` (B, P) says."""
    width = encoders[0].width
    inner, outer = ([_layer(encoder.feature_part, place) for encoder in encoders] for place in (0, 2))
    summary = _summary(graph, features, [_array(encoder.standard) for encoder in encoders])  # (M, B, L, S)
    hidden = _linear(graph, summary, inner, axes=2)  # (M, B, L, D)
    feature_part = _linear(graph, graph("Gelu", hidden), outer, axes=2)  # (M, B, L, D)
    tokens = graph("Add", song, feature_part)  # (M, B, L, D)

    begin = graph.floats(np.stack([_array(encoder.begin) for encoder in encoders])[:, None, None, :])
    first = graph("Shape", graph("Slice", tokens, *_slice(graph, 2, 0, 1)))
    stream = graph("Concat", graph("Expand", begin, first), tokens, axis=2)  # (M, B, T, D)

    positions = _range(graph, graph("Gather", graph("Shape", stream), graph.integer(2), axis=0))  # (T,)
    rows = graph("Unsqueeze", positions, graph.integers(1))  # (T, 1)
    future = _hidden(graph, graph("Greater", positions, rows))  # (T, T)
    read = graph("Unsqueeze", read, graph.integers(2))  # (B, P, 1)
    picked = graph("Cast", graph("Equal", positions, read), to=1)  # (B, P, T)
    beyond = _hidden(
        graph, graph("Unsqueeze", graph("Greater", positions, read), graph.integers(1))
    )  # (B, 1, P, T)

    *inner_blocks, last_blocks = zip(*(encoder.blocks for encoder in encoders), strict=True)
    for blocks in inner_blocks:
        stream = _block(graph, blocks, stream, hidden=future, pick=lambda each: each)
    stream = _block(graph, last_blocks, stream, hidden=beyond, pick=lambda each: graph("MatMul", picked, each))
    gain = np.stack([_array(encoder.norm.weight) for encoder in encoders])[:, None, None, :]
    shift = np.stack([_array(encoder.norm.bias) for encoder in encoders])[:, None, None, :]
    return graph("Add", graph("Mul", _norm(graph, stream, width), graph.floats(gain)), graph.floats(shift))


def _linear_part(graph: Builder, parts: Sequence[LinearPart], effect: str, features: str, read: str) -> str:
    """Write the linear parts; return their logits (M, B, P, 4) after as many tokens as `read` (B, P) says."""
    summary = _summary(graph, features, [_array(part.standard) for part in parts])  # (M, B, L, S)
    slopes = np.stack([_array(part.summary) for part in parts])[:, None]  # (M, 1, S, 4)
    said = graph("MatMul", summary, graph.floats(slopes))  # (M, B, L, 4)

    earlier = _fading(graph, features, 1.0)  # (L, L)
    boundary = graph("Slice", features, *_slice(graph, 2, BOUNDARY_FEATURE, BOUNDARY_FEATURE + 1))  # (B, L, 1)
    session = graph("MatMul", earlier, boundary)
    same = graph("Cast", graph("Equal", session, graph("Transpose", session, perm=[0, 2, 1])), to=1)  # (B, L, L)
    weight = graph("Mul", _fading(graph, features, EFFECT_DECAY), same)
    place = np.eye(len(SIGNALS))[AFFECT] * EFFECT_DECAY  # (2, 4): one song later, in the places of affect
    left = graph("MatMul", graph("MatMul", weight, effect), graph.floats(place))  # (M, B, L, 4)

    heard = graph("Add", said, left)
    nothing = graph.floats(np.zeros((len(parts), 1, 1, len(SIGNALS))))
    first = graph("Shape", graph("Slice", heard, *_slice(graph, 2, 0, 1)))
    heard = graph("Concat", graph("Expand", nothing, first), heard, axis=2)  # (M, B, T, 4)
    offset = np.stack([_array(part.offset) for part in parts])[:, None, None, :]
    return graph("Add", graph("MatMul", _picked(graph, heard, read), heard), graph.floats(offset))


def _summary(graph: Builder, features: str, standards: Sequence[Float[ndarray, "F F"]]) -> str:
    """Write the running summary of every member, (B, L, F) → (M, B, L, S)."""
    standard = graph("MatMul", features, graph.floats(np.stack(standards)[:, None]))  # (M, B, L, F)
    signals = graph("Slice", standard, *_slice(graph, 3, SIGNAL_FEATURES.start, SIGNAL_FEATURES.stop))
    present = graph("Slice", features, *_slice(graph, 2, PRESENT_FEATURES.start, PRESENT_FEATURES.stop))
    members = graph("Shape", graph("Slice", standard, *_slice(graph, 3, 0, len(SIGNALS))))
    parts = [standard]
    for decay in DECAYS:
        weight = _fading(graph, features, decay)
        count = graph("MatMul", weight, present)
        doubted = graph("Add", count, graph.floats(np.array(PRIOR_COUNT)))
        logarithm = graph("Log", graph("Add", count, graph.floats(np.array(1.0))))
        parts.append(graph("Div", graph("MatMul", weight, signals), doubted))
        parts.append(graph("Expand", graph("Mul", logarithm, graph.floats(np.array(COUNT_SCALE))), members))
    return graph("Concat", *parts, axis=3)


def _fading(graph: Builder, features: str, decay: float) -> str:
    """Write the (L, L) weights of earlier tokens: decay to the power of the distance, 0 for later ones."""
    place = _range(graph, graph("Gather", graph("Shape", features), graph.integer(1), axis=0))  # (L,)
    distance = graph("Sub", graph("Unsqueeze", place, graph.integers(1)), place)  # (L, L)
    earlier = graph("Cast", graph("GreaterOrEqual", distance, graph.integer(0)), to=1)
    faded = graph("Pow", graph.floats(np.array(decay)), graph("Cast", graph("Abs", distance), to=1))
    return graph("Mul", earlier, faded)


def _picked(graph: Builder, stream: str, read: str) -> str:
    """Write which of the stream's positions (M, B, T, …) are read, as a matrix (B, P, T) of ones and zeros."""
    positions = _range(graph, graph("Gather", graph("Shape", stream), graph.integer(2), axis=0))  # (T,)
    return graph("Cast", graph("Equal", positions, graph("Unsqueeze", read, graph.integers(2))), to=1)


def _block(
    graph: Builder, blocks: Sequence[Block], stream: str, *, hidden: str, pick: Callable[[str], str]
) -> str:
    """Write one block of every member, at the positions picked; `hidden` takes what they must not read."""
    width, heads = blocks[0].widen.in_features, blocks[0].attention.heads
    head_width = width // heads
    normed = _norm(graph, stream, width)
    layers, norms = [block.attention.project for block in blocks], [block.attention_norm for block in blocks]

    def project(part: int, source: str, scale: float = 1.0) -> str:
        columns = slice(part * width, (part + 1) * width)
        mapped = _linear(graph, source, layers, axes=2, norms=norms, columns=columns, scale=scale)
        return graph("Reshape", mapped, graph.integers(0, 0, -1, heads, head_width))  # (M, B, T, A, D/A)

    query = graph("Transpose", project(0, pick(normed), head_width**-0.5), perm=[0, 1, 3, 2, 4])
    key = graph("Transpose", project(1, normed), perm=[0, 1, 3, 4, 2])
    value = graph("Transpose", project(2, normed), perm=[0, 1, 3, 2, 4])
    scores = graph("Add", graph("MatMul", query, key), hidden)  # (M, B, A, P, T)
    below_best = graph("Sub", scores, graph("ReduceMax", scores, graph.integers(-1)))
    weighed = graph("Softmax", graph("Max", below_best, graph.floats(_NEXT_TO_NOTHING)), axis=-1)
    read = graph("MatMul", weighed, value)  # (M, B, A, P, D/A)
    read = graph("Transpose", read, perm=[0, 1, 3, 2, 4])
    read = graph("Reshape", read, graph.integers(0, 0, -1, width))  # (M, B, P, D)
    merged = _linear(graph, read, [block.attention.merge for block in blocks], axes=2)
    stream = graph("Add", pick(stream), merged)

    widen, narrow = [block.widen for block in blocks], [block.narrow for block in blocks]
    norms = [block.network_norm for block in blocks]
    widened = _linear(graph, _norm(graph, stream, width), widen, axes=2, norms=norms)
    return graph("Add", stream, _linear(graph, graph("Gelu", widened), narrow, axes=2))


def _linear(
    graph: Builder,
    source: str,
    layers: Sequence[nn.Linear],
    *,
    axes: int,
    norms: Sequence[nn.LayerNorm] | None = None,
    columns: slice = slice(None),
    scale: float = 1.0,
) -> str:
    """Write one linear layer of every member, (…, I) → (M, …, O).

    Args:
        axes: how many axes stand between the members and the layer's input.
        norms: whose gain and shift are applied first.
        columns: of the outputs, which are wanted.
        scale: what the outputs are multiplied with.
    """
    matrices, offsets = [], []
    for member, layer in enumerate(layers):
        matrix, offset = weights(layer)
        if norms is not None:
            offset = offset + _array(norms[member].bias) @ matrix
            matrix = _array(norms[member].weight)[:, None] * matrix
        matrices.append(matrix[:, columns] * scale)
        offsets.append(offset[columns] * scale)
    shape = (len(layers), *[1] * (axes - 1))
    matrix, offset = np.stack(matrices), np.stack(offsets)
    mapped = graph("MatMul", source, graph.floats(matrix.reshape(*shape, *matrix.shape[1:])))
    return graph("Add", mapped, graph.floats(offset.reshape(*shape, 1, -1)))


def _hidden(graph: Builder, mask: str) -> str:
    """Write what is added to scores: minus infinity where the mask holds, else nothing."""
    return graph("Where", mask, graph.floats(np.array(-np.inf)), graph.floats(np.array(0.0)))


def _norm(graph: Builder, stream: str, width: int) -> str:
    """Write a norm without gain and shift: those are part of the layer that follows."""
    return graph("LayerNormalization", stream, graph.floats(np.ones(width)), axis=-1, epsilon=1e-5)


def _layer(sequence: nn.Sequential, place: int) -> nn.Linear:
    layer = sequence[place]
    assert isinstance(layer, nn.Linear)
    return layer


def _column(graph: Builder, vector: str) -> str:
    return graph("Unsqueeze", vector, graph.integers(1))


def _slice(graph: Builder, axis: int, start: int, stop: int) -> tuple[str, str, str]:
    return graph.integers(start), graph.integers(stop), graph.integers(axis)


def _range(graph: Builder, stop: str) -> str:
    return graph("Range", graph.integer(0), stop, graph.integer(1))


def _array(tensor: Tensor) -> Float[ndarray, "..."]:
    return tensor.detach().cpu().numpy().astype(np.float64)
