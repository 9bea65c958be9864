"""The graph of a traced function: evaluated, differentiated and looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._typing import Array
from ._backward import Flow, backward, flow_through
from ._finite import check_finite
from ._node import Node, topological
from ._operations import TABLE


class Graph:
    """A directed graph without cycles: inputs, constants and operations, in topological order.

    It holds the values of the last evaluation (at first, of the example it was traced with) and,
    after :meth:`backward`, derivatives. ``print(graph)`` lists all of it.

    Parameters
    ----------
    inputs, outputs : sequences of Node
        The arguments, and the results.

    Attributes
    ----------
    inputs, outputs, nodes : tuple of Node
        ``nodes`` are all that the outputs need, operands first.
    """

    def __init__(self, inputs: Sequence[Node], outputs: Sequence[Node]) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.results = frozenset(self.outputs)
        self.nodes = tuple(topological([*self.inputs, *self.outputs]))
        self._values: dict[Node, Array] = {node: node.value for node in self.nodes}
        self._gradients: dict[Node, Node] = {}
        self._edges: dict[tuple[Node, int], Flow] = {}
        self._names = _named(self)

    def __call__(self, *values: Any) -> Any:
        """Evaluate at other values of the inputs, of the example's shapes; forget derivatives.

        Returns
        -------
        array, or a tuple of them where the function returns several
        """
        self._values = evaluate(self.nodes, self._given(values))
        self._gradients, self._edges = {}, {}
        return self._results(self._values)

    def evaluated(self, *values: Any) -> Any:
        """The same, but the graph keeps its own values and derivatives.

        Parameters
        ----------
        *values : numbers or arrays
            As in a call.

        Returns
        -------
        array or tuple of arrays
            Results for these values.
        """
        return self._results(evaluate(self.nodes, self._given(values)))

    def _results(self, values: dict[Node, Array]) -> Any:
        results = tuple(values[node][()] for node in self.outputs)
        return results if len(results) > 1 else results[0]

    def _given(self, values: Sequence[Any]) -> dict[Node, Array]:
        """Values of the inputs, checked."""
        if len(values) != len(self.inputs):
            raise ValueError(f"this graph has {len(self.inputs)} inputs, got {len(values)}")
        given = {}
        for node, value in zip(self.inputs, values, strict=True):
            array = np.asarray(value)
            if array.shape != node.shape:
                raise ValueError(
                    f"input {self.name(node)} must have shape {node.shape}, as in the example, "
                    f"got {array.shape}"
                )
            given[node] = array.astype(node.dtype)
        return given

    def backward(self) -> dict[str, Array]:
        """Derivatives of the (scalar) result by every node.

        Returns
        -------
        dict
            The gradient by each real input, under its name.

        Raises
        ------
        ValueError
            Where there are several results, or one that is not scalar.
        FloatingPointError
            Where a gradient is not finite; the message names the operation.
        """
        if len(self.outputs) != 1 or self.outputs[0].shape != ():
            shapes = ", ".join(str(node.shape) for node in self.outputs)
            raise ValueError(f"backward needs one scalar result, got shapes {shapes}")
        real = [node for node in self.nodes if node.dtype.kind == "f" and not is_constant(node)]
        gradients, self._edges = backward(self.outputs[0], real)
        # Nodes outside the result's reach have zeros; those are no news about the graph.
        self._gradients = dict(zip(real, gradients, strict=True))
        flowing = (part for flow in self._edges.values() for part in flow if part is not None)
        self._values = evaluate(topological([*self.nodes, *gradients, *flowing]), self._values)
        check_finite(
            [self.outputs[0], *(self._gradients[x] for x in self.inputs if x in self._gradients)],
            self.value,
        )
        return {self.name(x): self.gradient(x)[()] for x in self.inputs if x in self._gradients}

    # Looking at it

    def value(self, node: Node) -> Array:
        """The node's value in the last evaluation.

        Parameters
        ----------
        node : Node
            One of :attr:`nodes`.

        Returns
        -------
        array
            Of the node's shape.
        """
        return self._values[node]

    def gradient(self, node: Node) -> Array:
        """``∂result/∂node`` after :meth:`backward`.

        Parameters
        ----------
        node : Node
            One of :attr:`nodes`.

        Returns
        -------
        array
            Of the node's shape.

        Raises
        ------
        ValueError
            Before :meth:`backward`, or where the result does not depend on the node.
        """
        if node not in self._gradients:
            raise ValueError(f"{self.name(node)} has no derivative; call backward() first")
        return self._values[self._gradients[node]]

    def name(self, node: Node) -> str:
        """What the node is called in print and in pictures.

        Parameters
        ----------
        node : Node
            One of :attr:`nodes`.

        Returns
        -------
        str
            The name of an argument, a label, or what stands for the operation.
        """
        return self._names[node]

    @property
    def edges(self) -> list[tuple[Node, Node, int]]:
        """``(operand, node, position)`` for all operands that are not constants."""
        return [
            (operand, node, i)
            for node in self.nodes
            for i, operand in enumerate(node.inputs)
            if not is_constant(operand)
        ]

    def flow(self, node: Node, i: int) -> Array | None:
        """What :meth:`backward` has sent from a node to its operand ``i``, if anything.

        Parameters
        ----------
        node : Node
            An operation.
        i : int
            Which of its operands, from 0.

        Returns
        -------
        array or None
            Of the operand's shape.
        """
        flow = self._edges.get((node, i))
        if flow is None:
            return None
        g = self._values[flow.g]
        return g if flow.mask is None else np.where(self._values[flow.mask], g, 0)

    def local(self, node: Node, i: int) -> Array | None:
        """``∂node/∂operand`` by element; ``None`` where an element depends on several.

        Parameters
        ----------
        node : Node
            An operation.
        i : int
            Which of its operands, from 0.

        Returns
        -------
        array or None
            Of the node's shape.
        """
        if (node, i) not in self._edges or node.inputs[i].shape != node.shape:
            return None
        if not TABLE[node.operation].elementwise:
            return None
        flow = flow_through(node, i, Flow(None, np.ones_like(node)))
        if flow is None:
            return None
        derivative = flow.masked()
        return evaluate(topological([derivative]), self._values)[derivative]

    def __str__(self) -> str:
        from ._text import listing

        return listing(self)

    def __repr__(self) -> str:
        n = sum(not is_constant(node) for node in self.nodes) - len(self.inputs)
        return f"Graph({', '.join(map(self.name, self.inputs))}; {n} operations)"

    def to_dot(self) -> str:
        """The graph in Graphviz' language.

        Returns
        -------
        str
            For the program ``dot``.
        """
        from ._draw import to_dot

        return to_dot(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw the graph with its layers from left to right; return matplotlib's axes.

        Edges carry derivatives after :meth:`backward`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            By default a new figure of fitting size.

        Returns
        -------
        matplotlib.axes.Axes
            With the drawing.

        Raises
        ------
        ImportError
            Where networkx or matplotlib is not installed (``pip install 'fastmlp[plot]'``).
        """
        from ._draw import plot

        return plot(self, ax)


def is_constant(node: Node) -> bool:
    return node.operation == "constant"


def evaluate(order: Iterable[Node], values: dict[Node, Array]) -> dict[Node, Array]:
    """Values of all nodes in topological order; those that are given stay."""
    result = dict(values)
    with np.errstate(all="ignore"):
        for node in order:
            if node not in result and node.inputs:
                operands = (result[operand] for operand in node.inputs)
                result[node] = np.asarray(TABLE[node.operation].value(*operands, **node.options))
            elif node not in result:
                result[node] = node.value
    return result


def _named(graph: Graph) -> dict[Node, str]:
    names, numbers = {}, iter(range(1, len(graph.nodes) + 1))
    taken = {node.label for node in graph.nodes if node.label}
    outputs = {node for node in graph.outputs if len(graph.outputs) == 1}
    for node in graph.nodes:
        if node.label:
            names[node] = node.label
        elif node in outputs and "out" not in taken:
            names[node] = "out"
        elif not is_constant(node):
            names[node] = f"v{next(numbers)}"
    return names
