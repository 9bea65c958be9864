"""From a graph to straight-line code for one element, which the kernels compile.

A function of rows is traced on arrays of ``rows(n_out) × n_out`` numbers, two lengths that can be
told apart; what a node is for one element follows from its shape: a number of its own, one of
the row, one of the output, or one for all. Reductions over the outputs are steps of the program.
What mixes rows, or has no step, has no program: it runs in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp.kernels import ELEMENTWISE_STEPS, Program, Step

from ..autodiff._node import Node, topological


def rows(n_out: int) -> int:
    """Rows of the example that a function of rows is traced on."""
    return 13 if n_out != 13 else 17


def program(inputs: Sequence[Node], outputs: Sequence[Node], n_out: int) -> Program | None:
    """The program of a graph of scalars or of ``(rows(n_out), n_out)`` arrays, or ``None``.

    Parameters
    ----------
    inputs : sequence of Node
        ``z``, or ``z`` and ``y``.
    outputs : sequence of Node
        The value (if it differs from output to output: to be summed over them), its derivative.
    n_out : int
        0 for a graph of scalars.
    """
    writer = _Writer(inputs, n_out)
    try:
        for node in topological([*inputs, *outputs]):
            writer.write(node)
        value, derivative = (writer.number(node) for node in outputs)
        of_outputs = not n_out or _kind(outputs[0], n_out) in ("element", "output")
        if len(inputs) == 2 and of_outputs:  # a loss is summed over the outputs
            value = writer.step("sum", value)
    except _NoProgramError:
        return None
    return Program(len(inputs), tuple(writer.steps), (value, derivative))


class _NoProgramError(Exception):
    """A node has no place in straight-line code."""


def _kind(node: Node, n_out: int) -> str:
    """What varies: ``"element"``, ``"row"``, ``"output"`` or nothing (``""``)."""
    lengths, n = tuple(n for n in node.shape if n != 1), rows(n_out)
    kinds = {(): "", (n,): "row", (n_out,): "output", (n, n_out): "element"}
    if n_out == 1 and lengths == (n,):
        return "element"  # the row's only output
    if lengths not in kinds:
        raise _NoProgramError
    return kinds[lengths]


class _Writer:
    """Writes steps; remembers at which place each node's number (or truth) stands."""

    def __init__(self, inputs: Sequence[Node], n_out: int) -> None:
        self.n_inputs, self.n_out = len(inputs), n_out
        self.steps: list[Step] = []
        self.place: dict[Node, int] = {node: i for i, node in enumerate(inputs)}

    def step(self, operation: str, *operands: int, values: tuple[float, ...] = ()) -> int:
        step = Step(operation, operands, values)
        if step not in self.steps:
            self.steps.append(step)
        return self.n_inputs + self.steps.index(step)

    def constant(self, value: float) -> int:
        return self.step("constant", values=(float(value),))

    def number(self, node: Node) -> int:
        """The node's place, as a real number."""
        place = self.place[node]
        if node.dtype != bool:
            return place
        return self.step("where", place, self.constant(1), self.constant(0))

    def truth(self, node: Node) -> int:
        """The node's place, as a condition."""
        place = self.place[node]
        return place if node.dtype == bool else self.step("not_equal", place, self.constant(0))

    def write(self, node: Node) -> None:
        if node in self.place:
            return
        kind = _kind(node, self.n_out)
        if node.operation == "constant":
            self.place[node] = self._constant(node, kind)
        elif node.operation in ("reshape", "broadcast_to", "getitem", "scatter"):
            self.place[node] = self._moved(node, kind)
        elif node.operation in ("sum", "max", "min", "log_sum_exp"):
            self.place[node] = self._reduced(node, kind)
        elif node.operation in ELEMENTWISE_STEPS:
            self.place[node] = self._elementwise(node)
        else:
            raise _NoProgramError

    def _constant(self, node: Node, kind: str) -> int:
        values = node.value.astype(np.float64).ravel()
        if kind == "element" and np.all(node.value == node.value[:1]):
            kind, values = "output", values[: self.n_out]  # every row has the same
        if np.all(values == values[0]) or np.isnan(values).all():
            place = self.constant(values[0])
        elif kind == "output":
            place = self.step("constant", values=tuple(values.tolist()))
        else:
            raise _NoProgramError
        return place if node.dtype != bool else self.step("not_equal", place, self.constant(0))

    def _moved(self, node: Node, kind: str) -> int:
        """An element keeps its place where axes of length 1 come and go, or it is repeated."""
        x = node.inputs[0]
        before = _kind(x, self.n_out)
        if "index" in node.options and not (x.size == node.size and _whole(node)):
            raise _NoProgramError
        if kind != before and node.operation != "broadcast_to":
            raise _NoProgramError
        return self.place[x]

    def _reduced(self, node: Node, kind: str) -> int:
        x = node.inputs[0]
        before = _kind(x, self.n_out)
        over_outputs = {"element": "row", "output": ""}
        if self.n_out == 1 and before == "element":
            over_outputs["element"] = "element"  # a sum of one output looks like nothing
        if over_outputs.get(before) != kind:
            if before != kind:
                raise _NoProgramError
            return self.number(x)
        place = self.number(x)
        if node.operation != "log_sum_exp":
            result = self.step(node.operation, place)
            return (
                result if node.dtype != bool else self.step("not_equal", result, self.constant(0))
            )
        highest = self.step("max", place)
        total = self.step("sum", self.step("exp", self.step("subtract", place, highest)))
        return self.step("add", highest, self.step("log", total))

    def _elementwise(self, node: Node) -> int:
        conditions = node.operation.startswith("logical_")
        operands = [self.truth(x) if conditions else self.number(x) for x in node.inputs]
        if node.operation == "where":
            operands[0] = self.truth(node.inputs[0])
            if node.dtype == bool:
                raise _NoProgramError
        if node.operation == "power":
            return self._power(node, *operands)
        return self.step(node.operation, *operands)

    def _power(self, node: Node, base: int, exponent: int) -> int:
        """Whole powers as products."""
        n = node.inputs[1].uniform
        if n is None or n != int(n) or not 1 <= abs(n) <= 8:
            return self.step("power", base, exponent)
        result = base
        for _ in range(int(abs(n)) - 1):
            result = self.step("multiply", result, base)
        return result if n > 0 else self.step("divide", self.constant(1), result)


def _whole(node: Node) -> bool:
    """Whether an index that takes all elements takes them in order."""
    index: tuple[Any, ...] = node.options["index"]
    plain = (type(None), type(Ellipsis), int)
    return all(isinstance(part, plain) or part == slice(None) for part in index)
