"""The history encoders of all members as one graph, exact, with only what somebody reads.

After the last block's keys and values, only the positions that are read are computed.

Legend: M members · B histories · L tokens · T = L+1 positions, BOS first · P positions read · D width · A heads
"""

from collections.abc import Callable, Sequence

import numpy as np
from torch import nn

from training.export.builder import Builder
from training.export.layers import begin_with, by_member, linear, norm, picked, positions
from training.networks.blocks import Block
from training.networks.encoder import HistoryEncoder

_NEXT_TO_NOTHING = np.array(-60.0)
"""The lowest score below the best that a softmax is given: e^-60 vanishes in single precision. Minus infinity
would come out as denormal numbers, on which a softmax of 116 positions took eight times as long."""


def encode(graph: Builder, encoders: Sequence[HistoryEncoder], song: str, summary: str, read: str) -> str:
    """Write the encoders; return their states (M, B, P, D) after as many tokens as `read` (B, P) says.

    Args:
        song: the songs' share of the tokens, (M, B, L, D).
        summary: the running summary, (M or 1, B, L, S).
    """
    width = encoders[0].width
    inner, outer = ([_layer(encoder.feature_part, place) for encoder in encoders] for place in (0, 2))
    heard = linear(graph, graph("Gelu", linear(graph, summary, inner, axes=2)), outer, axes=2)
    begin = by_member([encoder.begin for encoder in encoders], axes=2)
    stream = begin_with(graph, begin, graph("Add", song, heard), read)  # (M, B, T, D)

    places = positions(graph, stream, 2)  # (T,)
    future = _hidden(graph, graph("Greater", places, graph("Unsqueeze", places, graph.integers(1))))  # (T, T)
    reader = graph("Unsqueeze", read, graph.integers(1, 3))  # (B, 1, P, 1)
    beyond = _hidden(graph, graph("Greater", places, reader))  # (B, 1, P, T)
    pick = picked(graph, places, read)

    *inner_blocks, last_blocks = zip(*(encoder.blocks for encoder in encoders), strict=True)
    for blocks in inner_blocks:
        stream = _block(graph, blocks, stream, hidden=future, pick=lambda each: each)
    stream = _block(graph, last_blocks, stream, hidden=beyond, pick=lambda each: graph("MatMul", pick, each))
    gain = by_member([encoder.norm.weight for encoder in encoders], axes=2)
    shift = by_member([encoder.norm.bias for encoder in encoders], axes=2)
    return graph("Add", graph("Mul", norm(graph, stream, width), graph.floats(gain)), graph.floats(shift))


def _block(
    graph: Builder, blocks: Sequence[Block], stream: str, *, hidden: str, pick: Callable[[str], str]
) -> str:
    """Write one block of every member, at the positions picked; `hidden` takes what they must not read."""
    width, heads = blocks[0].widen.in_features, blocks[0].attention.heads
    normed = norm(graph, stream, width)
    layers, norms = [block.attention.project for block in blocks], [block.attention_norm for block in blocks]

    def project(place: int, source: str, scale: float = 1.0) -> str:
        columns = slice(place * width, (place + 1) * width)
        mapped = linear(graph, source, layers, axes=2, norms=norms, columns=columns, scale=scale)
        return graph("Reshape", mapped, graph.integers(0, 0, -1, heads, width // heads))  # (M, B, T, A, D/A)

    query = graph("Transpose", project(0, pick(normed), (width // heads) ** -0.5), perm=[0, 1, 3, 2, 4])
    key = graph("Transpose", project(1, normed), perm=[0, 1, 3, 4, 2])
    value = graph("Transpose", project(2, normed), perm=[0, 1, 3, 2, 4])
    scores = graph("Add", graph("MatMul", query, key), hidden)  # (M, B, A, P, T)
    below_best = graph("Sub", scores, graph("ReduceMax", scores, graph.integers(-1)))
    attention = graph("Softmax", graph("Max", below_best, graph.floats(_NEXT_TO_NOTHING)), axis=-1)
    heard = graph("Transpose", graph("MatMul", attention, value), perm=[0, 1, 3, 2, 4])  # (M, B, P, A, D/A)
    heard = graph("Reshape", heard, graph.integers(0, 0, -1, width))
    stream = graph("Add", pick(stream), linear(graph, heard, [block.attention.merge for block in blocks], axes=2))

    widen, narrow = [block.widen for block in blocks], [block.narrow for block in blocks]
    norms = [block.network_norm for block in blocks]
    widened = graph("Gelu", linear(graph, norm(graph, stream, width), widen, axes=2, norms=norms))
    return graph("Add", stream, linear(graph, widened, narrow, axes=2))


def _hidden(graph: Builder, mask: str) -> str:
    """Write what is added to scores: minus infinity where the mask holds, else nothing."""
    return graph("Where", mask, graph.floats(np.array(-np.inf)), graph.floats(np.array(0.0)))


def _layer(sequence: nn.Sequential, place: int) -> nn.Linear:
    layer = sequence[place]
    assert isinstance(layer, nn.Linear)
    return layer
