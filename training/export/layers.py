"""The small parts that graphs are written from: one layer of every member, norms, masks, positions.

Legend: M members · B histories · L tokens · T positions · P positions read · I, O widths of a layer
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from onnx import TensorProto
from torch import Tensor, nn

from training.export.builder import Builder


def weights(layer: nn.Linear) -> tuple[Float[ndarray, "I O"], Float[ndarray, " O"]]:
    """Return a linear layer as x ↦ x @ matrix + offset, in double precision."""
    matrix = array(layer.weight).T
    offset = np.zeros(matrix.shape[1]) if layer.bias is None else array(layer.bias)
    return matrix, offset


def array(tensor: Tensor) -> Float[ndarray, "..."]:
    """Return a tensor's numbers in double precision."""
    return tensor.detach().cpu().numpy().astype(np.float64)


def by_member(tensors: Sequence[Tensor], *, axes: int) -> Float[ndarray, "..."]:
    """Return one tensor of every member, the members first, then as many axes of size 1 as asked for."""
    stacked = np.stack([array(tensor) for tensor in tensors])
    return stacked.reshape(len(tensors), *[1] * axes, *stacked.shape[1:])


def linear(
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
            offset = offset + array(norms[member].bias) @ matrix
            matrix = array(norms[member].weight)[:, None] * matrix
        matrices.append(matrix[:, columns] * scale)
        offsets.append(offset[columns] * scale)
    shape = (len(layers), *[1] * (axes - 1))
    matrix, offset = np.stack(matrices), np.stack(offsets)
    mapped = graph("MatMul", source, graph.floats(matrix.reshape(*shape, *matrix.shape[1:])))
    return graph("Add", mapped, graph.floats(offset.reshape(*shape, 1, -1)))


def norm(graph: Builder, stream: str, width: int) -> str:
    """Write a norm without gain and shift: those are part of the layer that follows."""
    return graph("LayerNormalization", stream, graph.floats(np.ones(width)), axis=-1, epsilon=1e-5)


def begin_with(graph: Builder, first: Float[ndarray, "M 1 1 D"], stream: str, read: str) -> str:
    """Write a stream (M, B, L, D) with one position before the others, the same in every history: (M, B, T, D).

    Args:
        read: any value whose first axis is B.
    """
    members, width = first.shape[0], first.shape[-1]
    shape = graph("Concat", graph.integers(members), graph("Shape", read, end=1), graph.integers(1, width), axis=0)
    return graph("Concat", graph("Expand", graph.floats(first), shape), stream, axis=2)


def positions(graph: Builder, source: str, axis: int) -> str:
    """Write the places along an axis, counted from 0."""
    size = graph("Gather", graph("Shape", source), graph.integer(axis), axis=0)
    return graph("Range", graph.integer(0), size, graph.integer(1))


def picked(graph: Builder, places: str, read: str) -> str:
    """Write the matrix (B, P, T) of ones and zeros that, times a stream, picks the places that are read (B, P)."""
    return as_float(graph, graph("Equal", places, graph("Unsqueeze", read, graph.integers(2))))


def part(graph: Builder, source: str, axis: int, columns: slice) -> str:
    """Write some columns of an axis."""
    start, stop = graph.integers(columns.start), graph.integers(columns.stop)
    return graph("Slice", source, start, stop, graph.integers(axis))


def as_float(graph: Builder, source: str) -> str:
    """Write truths or whole numbers as floats."""
    return graph("Cast", source, to=TensorProto.FLOAT)
