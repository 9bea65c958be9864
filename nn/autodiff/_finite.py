"""Which operation makes a derivative infinite or NaN: the first one with finite operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._node import Node, topological


def check_finite(outputs: Sequence[Node], values: Any = None) -> None:
    """Raise ``FloatingPointError`` where a derivative is not finite; ``outputs[0]`` may be."""
    look = values or (lambda node: node.value)
    if all(np.isfinite(look(node)).all() for node in outputs[1:]):
        return
    for node in topological(outputs):
        value = look(node)
        if value.dtype.kind != "f" or np.isfinite(value).all() or not node.inputs:
            continue
        if not all(np.isfinite(look(operand)).all() for operand in node.inputs):
            continue
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        at = f" at index {place}" if place else ""
        source = node if node.origin is None else node.origin
        what = "value" if node.origin is None else "derivative"
        operands = ", ".join(_show(look(operand), value, place) for operand in source.inputs)
        name = f"{source.label} = " if source.label else ""
        raise FloatingPointError(
            f"the {what} of {name}{source.operation}({operands}) is {value[place]}{at}"
            + (f" ({node.operation} in its derivative)" if node.origin is not None else "")
            + ": the gradient is not finite at this point"
        )
    raise FloatingPointError("the gradient is not finite at this point, as an argument is not")


def _show(operand: Any, value: Any, place: tuple[int, ...]) -> str:
    """The number of an operand that belongs to an element of a value, or its shape."""
    if operand.size == 1:
        return f"{operand.flat[0]:.6g}"
    if operand.shape == value.shape:
        return f"{operand[place]:.6g}"
    return f"array of shape {operand.shape}"
