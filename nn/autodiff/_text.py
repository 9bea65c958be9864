"""A graph as text: its nodes in topological order, then its edges with what flows along them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._graph import is_constant

if TYPE_CHECKING:
    from ._graph import Graph
    from ._node import Node

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "power": "**",
    "matmul": "@",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "not_equal": "!=",
    "logical_and": "&",
    "logical_or": "|",
}
_SHORT = {"absolute": "abs", "logical_not": "~", "log_sum_exp": "logaddexp.reduce"}


def listing(graph: Graph) -> str:
    """All nodes with shapes, values and derivatives, and all edges."""
    shown = [node for node in graph.nodes if not is_constant(node)]
    result = graph.outputs[0]
    derived = bool(graph._gradients)
    of = graph.name(result) if derived else ""
    header = ["node", "computes", "shape", "value"] + ([f"∂{of}/∂node"] if derived else [])
    rows = [header]
    for node in shown:
        row = [graph.name(node), expression(graph, node), shape(node), number(graph.value(node))]
        if derived:
            row.append(number(graph.gradient(node)) if node in graph._gradients else "")
        rows.append(row)
    text = [_table(rows, "llrrr")]
    if derived:
        rows = [["edge", "∂node/∂operand", f"× ∂{of}/∂node"]]
        for operand, node, i in graph.edges:
            flow = graph.flow(node, i)
            if flow is not None:
                local = graph.local(node, i)
                step = f"{graph.name(operand)} → {graph.name(node)}"
                rows.append([step, "" if local is None else number(local), number(flow)])
        text.append(_table(rows, "lrr"))
        paths = [line for x in graph.inputs if (line := path(graph, x))]
        if paths:
            text.append("\n".join(paths))
    return "\n\n".join(text)


def path(graph: Graph, start: Node) -> str:
    """``∂out/∂x = … · … = number``, where a single path of scalars leads there; else empty."""
    factors, values, node = [], [], start
    while node is not graph.outputs[0]:
        users = [(user, i) for operand, user, i in graph.edges if operand is node]
        if len(users) != 1 or (local := graph.local(*users[0])) is None or local.ndim:
            return ""
        user = users[0][0]
        factors.append(f"∂{graph.name(user)}/∂{graph.name(node)}")
        values.append(number(local))
        node = user
    whole = f"∂{graph.name(node)}/∂{graph.name(start)}"
    if len(factors) < 2:
        return ""
    product = " · ".join(f"({v})" if v.startswith("-") else v for v in reversed(values))
    return (
        f"{whole} = {' · '.join(reversed(factors))} = {product} = {number(graph.gradient(start))}"
    )


def expression(graph: Graph, node: Node) -> str:
    """What a node computes, by the names of its operands."""
    if not node.inputs:
        return node.operation
    operands = [operand_text(graph, operand) for operand in node.inputs]
    if node.operation in _INFIX:
        return f" {_INFIX[node.operation]} ".join(operands)
    if node.operation == "negative":
        return f"-{operands[0]}"
    if node.operation == "getitem":
        return f"{operands[0]}[{', '.join(map(_index, node.options['index']))}]"
    options = [text for name in node.options if (text := _option(node, name))]
    return f"{_SHORT.get(node.operation, node.operation)}({', '.join(operands + options)})"


def _option(node: Node, name: str) -> str:
    """An option that is not the default, as it would be written."""
    value = node.options[name]
    if name == "keepdims":
        return "keepdims=True" if value else ""
    if name == "axis":
        every = len(value) == node.inputs[0].ndim
        return "" if every else f"axis={value[0] if len(value) == 1 else value}"
    if name == "index":
        return f"at {', '.join(map(_index, value))}"
    return f"{name}={value}"


def operand_text(graph: Graph, operand: Node) -> str:
    if not is_constant(operand):
        return graph.name(operand)
    if operand.uniform is not None:
        return number(np.asarray(operand.uniform))
    return f"[{shape(operand)}]"


def shape(node: Node) -> str:
    return "×".join(map(str, node.shape)) or "scalar"


def number(value: Any, digits: int = 5) -> str:
    """A number, a few numbers, or the range of many."""
    value = np.asarray(value)
    if value.ndim == 0:
        item = value.item()
        if isinstance(item, float):
            return f"{item + 0.0:.{digits}g}"  # + 0.0: no -0
        return str(item)
    if value.size == 0:
        return "[]"
    if value.size <= 3:
        return "[" + " ".join(number(item, digits) for item in value.flat) + "]"
    low, high = value.min(), value.max()
    if low == high:
        return f"all {number(low, digits)}"
    return f"{number(low, digits)} … {number(high, digits)}"


def _index(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
        return ":".join(ends) + ("" if part.step is None else f":{part.step}")
    if isinstance(part, np.ndarray):
        return f"array of {part.size}"
    return "..." if part is Ellipsis else str(part)


def _table(rows: list[list[str]], align: str) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, align, strict=False)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
