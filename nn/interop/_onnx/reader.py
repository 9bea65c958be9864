"""Networks from ONNX models: chains of dense layers and activations.

A model is followed from its input. Every ``Gemm`` or ``MatMul`` (with the ``Add`` behind it) begins
a layer; the elementwise nodes between two of them are evaluated on a grid of values, and that names
the activation, whatever operators an exporter has composed it of. What is neither is refused by its
name, but for the nodes with which converters of classifiers make labels of probabilities.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..._typing import Array
from .._chain import MOST_PARAMETERS, Layer, recognise, to_network
from .._libraries import need
from . import elementwise
from .constants import Constants

#: A file of this size holds the largest network that is read, in float64.
_MOST_BYTES = 8 * MOST_PARAMETERS + 2**20
#: Shape and type of rows: nothing that changes the numbers of ``(n, columns)``.
_PASSED = ("Identity", "Dropout", "Cast", "Flatten")
#: With which converters of classifiers go on from the output layer.
_AFTER = (
    *("ArgMax", "ArrayFeatureExtractor", "Gather", "Concat", "ZipMap", "Cast", "Reshape", "Sub"),
    *("Identity", "Binarizer", "Greater", "Less", "GreaterOrEqual", "TopK", "Squeeze", "Mul"),
    *("Not", "Shape", "Flatten", "Normalizer", "Slice"),
)


def from_onnx(model: Any, dtype: Any = None) -> Any:
    """A network from an ONNX model of dense layers.

    Parameters
    ----------
    model : path, bytes, or onnx.ModelProto
        Made by this package, ``torch.onnx``, Keras, ``tf2onnx``, ``skl2onnx`` or another exporter:
        a chain of ``Gemm``, or ``MatMul`` and ``Add``, with elementwise activations between.
    dtype : numpy.float32 or numpy.float64, optional
        By default that of the model's weights.

    Returns
    -------
    MLP
        Of a classifier of ``skl2onnx`` the one that gives the probabilities.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For a damaged file, or one that is no chain of dense layers, with the name of the node.
    ImportError
        Where onnx is not installed.

    Notes
    -----
    Nothing in a file is executed. Tensors outside of the file (external data) are not read.

    Examples
    --------
    >>> import fastmlp
    >>> net = fastmlp.MLP([2, 3, 1], random_state=0)
    >>> model = net.to_onnx()
    >>> fastmlp.from_onnx(model).architecture.sizes
    (2, 3, 1)
    """
    proto, what = _proto(model)
    try:
        return to_network(_Reader(proto.graph).layers(), dtype)
    except ValueError as error:
        raise ValueError(f"{what} cannot be read as a network: {error}") from error


def _proto(model: Any) -> tuple[Any, str]:
    onnx = need("onnx", "from_onnx", "fastmlp[onnx]")
    if isinstance(model, onnx.ModelProto):
        return model, "the model"
    if isinstance(model, bytes):
        content, what = model, "the model"
    elif isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {os.fspath(path)!r}")
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{os.fspath(path)!r} is larger than {_MOST_BYTES} bytes")
        content, what = path.read_bytes(), repr(os.fspath(path))
    else:
        raise TypeError(f"model must be a path, bytes or a ModelProto, got {type(model).__name__}")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except Exception as error:  # protobuf's own classes differ from version to version
        raise ValueError(f"{what} is no ONNX model: {error}") from error
    if not proto.graph.node:
        raise ValueError(f"{what} is no ONNX model: it has no nodes")
    return proto, what


class _Reader:
    """Follows one graph from its input to its last dense layer."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.onnx = need("onnx", "from_onnx", "fastmlp[onnx]")
        self.constants = Constants(graph, self.onnx)
        self.consumers: dict[str, list[Any]] = {}
        for node in graph.node:
            if not node.output:
                self._refuse(node, "has no output")
            for name in set(node.input):
                self.consumers.setdefault(name, []).append(node)
        self.outputs = {output.name for output in graph.output}

    def layers(self) -> list[Layer]:
        """The chain."""
        given = [
            entry.name for entry in self.graph.input if entry.name not in self.constants.tensors
        ]
        if len(given) != 1:
            raise ValueError(f"it must have one input, got {len(given)}: {given[:8]}")
        layers: list[Layer] = []
        tensor = given[0]
        visited = 0
        while True:
            visited += 1
            if visited > len(self.graph.node) + 1:
                raise ValueError("its nodes go round in a circle")
            dense, nodes, end = self._to_next_dense(tensor)
            if layers:
                layers[-1].activation = self._activation(tensor, nodes, end, dense is None)
            for node in [] if layers else nodes:
                if node.op_type not in (*_PASSED, "Reshape"):
                    self._refuse(node, "comes before the first dense layer")
            if dense is None:
                return layers
            layer, tensor = self._dense(dense, end)
            layers.append(layer)

    # From one dense layer to the next

    def _to_next_dense(self, tensor: str) -> tuple[Any, list[Any], str]:
        """The next dense node, the elementwise ones before it, and what goes into it.

        Without a dense node: those up to the output of the model.
        """
        nodes: list[Any] = []
        reached = {tensor}
        order = {tensor: 0}
        # Nodes that take what has been reached and have not been gone through, by identity.
        ready = {id(node): node for node in self.consumers.get(tensor, [])}
        while True:
            step = next((n for n in ready.values() if self._is_elementwise(n, reached)), None)
            if step is not None:
                nodes.append(ready.pop(id(step)))
                for name in step.output:
                    reached.add(name)
                    order[name] = len(order)
                    ready.update({id(node): node for node in self.consumers.get(name, [])})
                continue
            dense = [node for node in ready.values() if node.op_type in ("Gemm", "MatMul")]
            if dense:
                if len(dense) > 1:
                    self._refuse(dense[1], "is a second branch")
                entry = [name for name in dense[0].input if name in reached]
                return dense[0], nodes, entry[0]
            return None, nodes, self._last(tensor, list(ready.values()), order)

    def _is_elementwise(self, node: Any, reached: set[str]) -> bool:
        if node.op_type in ("Flatten", "Reshape") and not self._keeps_rows(node):
            return False
        if node.op_type == "Cast" and not self._is_cast_to_float(node):
            return False  # it would cut the values
        known = node.op_type in elementwise.FUNCTIONS or node.op_type in (
            *("Softmax", "LogSoftmax", "Flatten", "Reshape"),
        )
        # Both operands constant, or one that is still to come: not yet.
        return (
            known
            and node.domain in ("", "ai.onnx")
            and len(node.output) >= 1
            and all(name == "" or name in reached or self._is_small(name) for name in node.input)
        )

    def _keeps_rows(self, node: Any) -> bool:
        """Whether a Flatten or Reshape leaves ``(n, columns)`` as it is."""
        if node.op_type == "Flatten":
            return self._number(node, "axis", 1) == 1
        shape = self.constants.array(node.input[1]) if len(node.input) == 2 else None
        return shape is not None and shape.shape == (2,) and shape.tolist()[0] in (-1, 0)

    def _is_small(self, name: str) -> bool:
        """A constant that elementwise nodes may take: one number, or the shape of a Reshape."""
        array = self.constants.array(name, most=16)
        return array is not None and array.size <= 2

    def _last(self, tensor: str, ready: list[Any], order: dict[str, int]) -> str:
        """Where the network ends: an output of the model, or before the labels are made."""
        for node in ready:
            if node.op_type not in _AFTER or self._leads_to_dense(node):
                self._refuse(node, "is no dense layer and no activation")
        candidates = [name for name in order if name in self.outputs]
        if ready:
            # Probabilities go on into a Concat, an ArgMax, a Sub, …: they are what goes in first.
            candidates += [name for node in ready for name in node.input if name in order]
        if not candidates:
            raise ValueError(f"nothing that comes of {tensor!r} is an output of the model")
        found: str = (min if ready else max)(candidates, key=lambda name: order[name])
        return found

    def _leads_to_dense(self, node: Any) -> bool:
        """Whether layers follow: what stands here is not how labels are made then."""
        found: set[int] = set()
        waiting = [node]
        while waiting:
            node = waiting.pop()
            if node.op_type in ("Gemm", "MatMul"):
                return True
            following = {id(n): n for name in node.output for n in self.consumers.get(name, [])}
            waiting += [n for key, n in following.items() if key not in found]
            found |= following.keys()
        return False

    def _dense(self, node: Any, entry: str) -> tuple[Layer, str]:
        """The layer of a node with the Add behind it, and the tensor of its scores."""
        where = _shown(node)
        if node.input[0] != entry or len(node.input) < 2:
            self._refuse(node, "must have the rows as its first operand")
        weights = self.constants.weights(node.input[1], where)
        output = node.output[0]
        if node.op_type == "Gemm":
            if self._number(node, "transA", 0):
                self._refuse(node, "transposes the rows")
            alpha, beta = self._number(node, "alpha", 1.0), self._number(node, "beta", 1.0)
            weights = weights.T if self._number(node, "transB", 0) else weights
            weights = weights if alpha == 1 else (alpha * weights).astype(weights.dtype)
            bias = None
            if len(node.input) > 2 and node.input[2]:
                bias = self.constants.bias(node.input[2], weights.shape[1], where)
                bias = bias if beta == 1 else (beta * bias).astype(bias.dtype)
            return Layer(weights, bias, where=where), output
        sums = self._through_casts(output)
        users = self.consumers.get(sums, [])
        if len(users) == 1 and users[0].op_type == "Add" and sums not in self.outputs:
            other = [name for name in users[0].input if name != sums]
            if len(other) == 1 and self.constants.array(other[0]) is not None:
                bias = self.constants.bias(other[0], weights.shape[1], where)
                return Layer(weights, bias, where=where), users[0].output[0]
        return Layer(weights, None, where=where), output

    def _through_casts(self, tensor: str) -> str:
        """The tensor behind casts between float types, which Keras puts before every Add."""
        while tensor not in self.outputs:
            users = self.consumers.get(tensor, [])
            if len(users) != 1 or not self._is_cast_to_float(users[0]):
                break
            tensor = users[0].output[0]
        return tensor

    def _is_cast_to_float(self, node: Any) -> bool:
        floats = (self.onnx.TensorProto.FLOAT, self.onnx.TensorProto.DOUBLE)
        return node.op_type == "Cast" and _attributes(node, self.onnx).get("to") in floats

    # Activations

    def _activation(self, tensor: str, nodes: list[Any], end: str, last: bool) -> str:
        """The name of what the nodes between ``tensor`` and ``end`` compute."""
        needed = self._needed(nodes, end)
        rows = [node for node in needed if node.op_type in ("Softmax", "LogSoftmax")]
        if rows:
            return self._softmax(rows[0], needed, last)
        computing = [node for node in needed if node.op_type not in _PASSED]
        if not computing or end == tensor:
            return "identity"
        found = recognise(lambda z: self._evaluate(needed, tensor, end, z))
        if found is None:
            names = ", ".join(_shown(node) for node in computing[:6])
            raise ValueError(f"{names}: no activation of this package has these values")
        return found

    def _needed(self, nodes: list[Any], end: str) -> list[Any]:
        wanted, needed = {end}, []
        for node in reversed(nodes):
            if wanted & set(node.output):
                needed.append(node)
                wanted |= set(node.input)
        return needed[::-1]

    def _softmax(self, node: Any, needed: list[Any], last: bool) -> str:
        others = [n for n in needed if n.op_type not in (*_PASSED, "Softmax", "Reshape")]
        axis = self._number(node, "axis", -1)
        if others or axis not in (-1, 1) or len(needed) > 4:
            self._refuse((others or [node])[0], "is not understood beside a softmax over a row")
        if not last:
            self._refuse(node, "stands before a hidden layer")
        return "softmax"

    def _evaluate(self, nodes: list[Any], tensor: str, end: str, z: Array) -> Array:
        values: dict[str, Any] = {tensor: z}

        def operand(name: str) -> Any:
            if name == "":
                return None
            if name in values:
                return values[name]
            array = self.constants.array(name)
            assert array is not None
            return array.astype(np.float64).reshape(()) if array.size == 1 else array

        for node in nodes:
            if node.op_type in ("Flatten", "Reshape"):
                values[node.output[0]] = operand(node.input[0])
                continue
            options = _attributes(node, self.onnx)
            try:
                function = elementwise.FUNCTIONS[node.op_type]
                result = function(*map(operand, node.input), **options)
            except (TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"{_shown(node)} cannot be evaluated: {error}") from error
            values[node.output[0]] = result
        if end not in values:
            raise ValueError(f"nothing computes {end!r}")
        array: Array = np.broadcast_to(np.asarray(values[end], np.float64), z.shape)
        return array

    def _number(self, node: Any, attribute: str, default: float) -> float:
        value = _attributes(node, self.onnx).get(attribute, default)
        if not isinstance(value, (int, float)):
            self._refuse(node, f"must have a number as its {attribute}")
        number: float = value
        return number

    def _refuse(self, node: Any, why: str) -> None:
        raise ValueError(f"{_shown(node)} {why}")


def _shown(node: Any) -> str:
    return f"node {node.name or (node.output[0] if node.output else '')!r} ({node.op_type})"


def _attributes(node: Any, onnx: Any) -> dict[str, Any]:
    try:
        return {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    except ValueError as error:
        raise ValueError(f"{_shown(node)} has an attribute that cannot be read: {error}") from error
