"""A pen for ONNX graphs: each call writes one node and gives back the name of its output.

Graphs are written directly, not traced, because what serves is not what trains: members side by side, constants
folded into neighbours, the last block only where somebody looks. What is written twice stands in the graph once,
so that parts can be written without regard to what others wrote. The same weights give the same bytes.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float
from numpy import ndarray
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
"""The first with Gelu; every runtime of the last years reads it."""
_IR_VERSION = 9


class Builder:
    """An ONNX graph while it is being written."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._written: dict[Hashable, str] = {}
        """What each output and constant is → its name."""

    def input(self, name: str, axes: Sequence[str | int], *, integers: bool = False) -> str:
        """Declare an input; axes are names, or numbers where the size is fixed."""
        kind = TensorProto.INT64 if integers else TensorProto.FLOAT
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(axes)))
        return name

    def floats(self, values: Float[ndarray, "..."]) -> str:
        """Write down constant numbers, in single precision."""
        return self._constant(np.ascontiguousarray(values, np.float32))

    def integers(self, *values: int) -> str:
        """Write down a constant vector of whole numbers."""
        return self._constant(np.array(values, np.int64))

    def integer(self, value: int) -> str:
        """Write down one constant whole number, without an axis."""
        return self._constant(np.array(value, np.int64))

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply an ONNX operator; return the name of its output."""
        what = (operator, inputs, tuple((name, str(attributes[name])) for name in sorted(attributes)))
        if what not in self._written:
            output = f"{operator.lower()}_{len(self._nodes)}"
            self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
            self._written[what] = output
        return self._written[what]

    def finish(self, outputs: dict[str, tuple[str, Sequence[str | int]]]) -> bytes:
        """Return the graph as bytes.

        Args:
            outputs: the output's name → what it is, and its axes.
        """
        named = [helper.make_node("Identity", [source], [name]) for name, (source, _) in outputs.items()]
        infos = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes))
            for name, (_, axes) in outputs.items()
        ]
        graph = helper.make_graph(
            [*self._nodes, *named], self._name, self._inputs, infos, initializer=self._constants
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="amrs", ir_version=_IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)

    def _constant(self, values: ndarray) -> str:
        what = (values.dtype.str, values.shape, values.tobytes())
        if what not in self._written:
            name = f"constant_{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(values, name))
            self._written[what] = name
        return self._written[what]
