"""From a function to its graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ._graph import Graph
from ._node import Node, as_nodes, variable


def trace(f: Callable[..., Any], *example: Any) -> Graph:
    """The graph of a function.

    Parameters
    ----------
    f : callable
        Written in NumPy, see :func:`supported`; returns one result or a tuple of them.
    *example : numbers or arrays
        Arguments. Integers become real numbers. The graph holds for others of the same shapes.

    Returns
    -------
    Graph
        With values of the example, and no derivatives yet.

    Raises
    ------
    TypeError
        Where an example is itself a traced array.

    Examples
    --------
    >>> from fastmlp.autodiff import trace
    >>> graph = trace(lambda x, w, b, y_true: abs(y_true - (x * w + b)), 2.0, 3.0, 1.0, 5.0)
    >>> {name: float(g) for name, g in graph.backward().items()}
    {'x': 3.0, 'w': 2.0, 'b': 1.0, 'y_true': -1.0}
    """
    if any(isinstance(value, Node) for value in example):
        raise TypeError("trace takes numbers and arrays, got a traced array")
    names = _argument_names(f, example)
    inputs = [variable(value, name) for value, name in zip(example, names, strict=True)]
    result = f(*inputs)
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    return Graph(inputs, as_nodes(outputs))


def label(value: Any, name: str) -> Any:
    """Give a traced array a name in print and pictures; anything else passes unchanged.

    Parameters
    ----------
    value : traced array, or anything else
        What is named.
    name : str
        Its name.

    Returns
    -------
    traced array, or anything else
        The value itself.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.autodiff import label, trace
    >>> graph = trace(lambda x: np.exp(label(2 * x, "double")), 1.0)
    >>> [graph.name(node) for node in graph.nodes if node.inputs]
    ['double', 'out']
    """
    if isinstance(value, Node) and value.operation != "constant":
        value.label = name
    return value


def _argument_names(f: Callable[..., Any], example: tuple[Any, ...]) -> list[str]:
    try:
        parameters = tuple(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # a builtin may have no signature
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (names + [f"x{i}" for i in range(len(names), len(example))])[: len(example)]
