"""A graph that is written node by node, and its values with NumPy's operators.

>>> graph = OnnxGraph(np.float32, 17)                           # doctest: +SKIP
>>> z = graph.value("z")                                        # doctest: +SKIP
>>> (z * z.sigmoid()).name                                      # doctest: +SKIP
'mul_1'
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ..._typing import Array
from .._libraries import need

#: The oldest version of ONNX's operators that graphs are written in.
OLDEST_OPSET = 9
#: The one that is written by default: every runtime of the last years reads it.
DEFAULT_OPSET = 17


class Graph(ABC):
    """Where nodes and constants go: an ONNX graph, or the container of a converter."""

    def __init__(self, dtype: Any, opset: int) -> None:
        self.dtype = np.dtype(dtype)
        self.opset = opset
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    @abstractmethod
    def unique(self, stem: str) -> str:
        """A name that nothing else in the graph has."""

    @abstractmethod
    def add_node(self, op: str, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        """Write one node."""

    @abstractmethod
    def add_constant(self, name: str, array: Array) -> None:
        """Write one array, of numbers or text."""

    def node(self, op: str, *inputs: Any, name: str | None = None, **attributes: Any) -> Value:
        """Write a node; its result. Numbers among the inputs become constants."""
        operands = [self._operand(value) for value in inputs]
        output = name or self.unique(op.lower())
        self.add_node(op, operands, output, attributes)
        return Value(self, output)

    def value(self, name: str) -> Value:
        """What has that name already."""
        return Value(self, name)

    def constant(self, array: Any, stem: str = "constant") -> Value:
        """An array of the graph's dtype where it holds floats; equal ones are written once."""
        array = np.asarray(array)
        if array.dtype.kind == "f":
            array = array.astype(self.dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if array.dtype.kind == "O" or key not in self._constants:
            self._constants[key] = self.unique(stem)
            self.add_constant(self._constants[key], array)
        return Value(self, self._constants[key])

    def _operand(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        found = value if isinstance(value, Value) else self.constant(np.asarray(value))
        return found.name


class Value:
    """The result of a node, with the operations that activations are written in."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def apply(self, op: str, *others: Any, **attributes: Any) -> Value:
        """The result of an operator whose first input is this."""
        return self.graph.node(op, self, *others, **attributes)

    def __add__(self, other: Any) -> Value:
        return self.apply("Add", other)

    def __sub__(self, other: Any) -> Value:
        return self.apply("Sub", other)

    def __mul__(self, other: Any) -> Value:
        return self.apply("Mul", other)

    def __truediv__(self, other: Any) -> Value:
        return self.apply("Div", other)

    def __radd__(self, other: float) -> Value:
        return self.apply("Add", other)

    def __rmul__(self, other: float) -> Value:
        return self.apply("Mul", other)

    def __rsub__(self, other: float) -> Value:
        return self.graph.node("Sub", other, self)

    def __rtruediv__(self, other: float) -> Value:
        return self.graph.node("Div", other, self)

    def __neg__(self) -> Value:
        return self.apply("Neg")


class OnnxGraph(Graph):
    """A graph made with the ``onnx`` package."""

    def __init__(self, dtype: Any, opset: int) -> None:
        super().__init__(dtype, opset)
        self.onnx = need("onnx", "to_onnx", "fastmlp[onnx]")
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._names: dict[str, int] = {}

    def unique(self, stem: str) -> str:
        n = self._names[stem] = self._names.get(stem, -1) + 1
        return f"{stem}_{n}" if n else stem

    def add_node(self, op: str, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        make = self.onnx.helper.make_node
        self.nodes.append(make(op, inputs, [output], name=f"{output}_node", **attributes))

    def add_constant(self, name: str, array: Array) -> None:
        if array.dtype.kind == "O":
            values = [str(text).encode() for text in array.ravel()]
            kind = self.onnx.TensorProto.STRING
            tensor = self.onnx.helper.make_tensor(name, kind, array.shape, values)
        else:
            tensor = self.onnx.numpy_helper.from_array(array, name)
        self.initializers.append(tensor)

    def model(self, inputs: dict[str, Any], outputs: dict[str, tuple[Any, Any]]) -> Any:
        """The whole model, checked.

        Parameters
        ----------
        inputs : dict
            Columns of each input; all are ``(n, columns)`` of the graph's dtype.
        outputs : dict
            Type (a dtype, or ``str``) and shape after the first axis of each output.
        """
        onnx, helper = self.onnx, self.onnx.helper

        def info(name: str, kind: Any, shape: tuple[int, ...]) -> Any:
            text = kind is str
            element = onnx.TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(kind)
            return helper.make_tensor_value_info(name, element, ["n", *shape])

        graph = helper.make_graph(
            self.nodes,
            "fastmlp",
            [info(name, self.dtype, (columns,)) for name, columns in inputs.items()],
            [info(name, np.dtype(t) if t is not str else t, s) for name, (t, s) in outputs.items()],
            self.initializers,
        )
        versions = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=versions, producer_name="fastmlp")
        # Runtimes refuse files of a later format, whatever they hold.
        model.ir_version = helper.find_min_ir_version_for(versions)
        onnx.checker.check_model(model, full_check=True)
        return model


def opset_of(opset: int | None) -> int:
    """The version of ONNX's operators to write in, checked."""
    onnx = need("onnx", "to_onnx", "fastmlp[onnx]")
    newest = int(onnx.defs.onnx_opset_version())
    if opset is None:
        return min(DEFAULT_OPSET, newest)
    if isinstance(opset, bool) or not isinstance(opset, (int, np.integer)):
        raise TypeError(f"opset must be an integer, got {opset!r}")
    if not OLDEST_OPSET <= opset <= newest:
        raise ValueError(f"opset must lie between {OLDEST_OPSET} and {newest}, got {opset}")
    return int(opset)
