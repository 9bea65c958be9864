"""Reverse-mode differentiation: one sweep from a result back to the inputs.

In reverse topological order every node hands its derivative ``g = ∂C/∂y`` through its rules to
its operands, where the contributions of all paths add up. The sweep computes with nodes, so its
results can be differentiated again.

A derivative travels with a *mask*: ``np.where(c, a, b)`` hands all of ``g`` to ``a`` with the mask
``c``, and rules see ``g`` itself. The mask is applied where paths meet and at the end, after the
products. So the branch that was not taken has derivative 0, even where its own is infinite:
``np.where(x > 0, np.log(x), 0)`` has derivative 0 at 0, not ``0 · ∞``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from ._finite import check_finite
from ._node import Node, apply, as_nodes, constant, topological, variable, writing_for
from ._operations import TABLE, only, unbroadcast


class Flow(NamedTuple):
    """A derivative: ``g`` where the mask is true (``None``: everywhere), else 0."""

    mask: Any
    g: Any

    def masked(self) -> Any:
        """The derivative itself, as a node."""
        return self.g if self.mask is None else only(self.mask, self.g)


def backward(output: Node, wrt: Sequence[Node]) -> tuple[list[Node], dict[tuple[Node, int], Flow]]:
    """Derivatives of (the sum of the elements of) ``output`` by the nodes ``wrt``.

    Parameters
    ----------
    output : Node
    wrt : sequence of Node

    Returns
    -------
    gradients : list of Node
        One for each of ``wrt``, of its shape; zeros where the output does not depend on it.
    edges : dict
        ``(node, i)`` → what flows from the node to its operand ``i``.
    """
    order, reached = topological([output]), set(wrt)
    for node in order:
        if not reached.isdisjoint(node.inputs):
            reached.add(node)
    total: dict[Node, Any] = {node: np.zeros_like(node) for node in wrt}
    arriving: dict[Node, list[Flow]] = {output: [Flow(None, np.ones_like(output))]}
    edges: dict[tuple[Node, int], Flow] = {}
    for node in reversed(order):
        if node not in reached or node not in arriving:
            continue
        flow = _sum(arriving.pop(node))
        if node in total:
            total[node] = flow.masked()
        writing = writing_for.set(node)
        try:
            for i, operand in enumerate(node.inputs):
                if operand in reached and operand.dtype.kind == "f":
                    part = flow_through(node, i, flow)
                    if part is not None:
                        edges[node, i] = part
                        arriving.setdefault(operand, []).append(part)
        finally:
            writing_for.reset(writing)
    return [total[node] for node in wrt], edges


def flow_through(node: Node, i: int, flow: Flow) -> Flow | None:
    """What flows from a node to its operand ``i``."""
    operation, x = TABLE[node.operation], node.inputs[i]
    rule = operation.rules[i]
    if rule is None:
        return None
    if node.operation == "where":
        taken = node.inputs[0] if i == 1 else np.logical_not(node.inputs[0])
        mask = taken if flow.mask is None else np.logical_and(flow.mask, taken)
        flow = Flow(mask, flow.g)
    mask, g = flow
    if mask is not None and not operation.elementwise:
        if operation.spread is None:
            mask, g = None, flow.masked()
        else:
            mask = np.broadcast_to(mask, node.shape)
            mask = _boolean(operation.spread(mask, x, **node.options))
    g = rule(g, node, *node.inputs, **node.options)
    if g.shape != x.shape:
        g = unbroadcast(Flow(mask, g).masked(), x.shape)
        if mask is not None:
            mask = _boolean(unbroadcast(np.broadcast_to(mask, node.shape), x.shape))
    return Flow(mask, g)


def _boolean(mask: Any) -> Any:
    return mask if mask.dtype == bool else mask != 0


def _sum(flows: list[Flow]) -> Flow:
    masks = list(dict.fromkeys(flow.mask for flow in flows))
    if len(masks) == 1:
        return Flow(masks[0], reduce(add, (flow.g for flow in flows)))
    if len(flows) == 2 and masks[0] is not None and masks[1] is np.logical_not(masks[0]):
        return Flow(None, np.where(masks[0], flows[0].g, flows[1].g))
    total = reduce(add, (flow.masked() for flow in flows))
    anywhere = any(mask is None for mask in masks)
    return Flow(None if anywhere else reduce(np.logical_or, masks), total)


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The gradient of a function with a scalar result.

    Parameters
    ----------
    f : callable
        Written in NumPy; :func:`fastmlp.autodiff.supported` lists what it may use. It is traced
        anew at every call.
    argnums : int or tuple of int, default 0
        The positional arguments to differentiate by.

    Returns
    -------
    callable
        Takes the arguments of ``f``; returns an array of the argument's shape, or a tuple of them
        for a tuple of ``argnums``. It may be differentiated in turn.

    Raises
    ------
    TypeError
        From the call, where ``f`` uses something that has no derivative rule, named with what has.
    ValueError
        Where the result is not scalar or shapes do not fit.
    FloatingPointError
        Where the gradient is not finite at the point; the message names the operation.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.autodiff import grad
    >>> softplus = lambda x: np.log(1 + np.exp(x))
    >>> float(grad(softplus)(0.0)), float(grad(grad(softplus))(0.0))
    (0.5, 0.25)
    """
    both = value_and_grad(f, argnums)

    def gradient(*args: Any, **options: Any) -> Any:
        return both(*args, **options)[1]

    return gradient


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """As :func:`grad`; the function returns ``(value, gradient)``.

    Parameters
    ----------
    f : callable
        As for :func:`grad`.
    argnums : int or tuple of int, default 0
        By which arguments.

    Returns
    -------
    callable
        It takes the arguments of ``f`` and returns ``(value, gradient)``.

    Examples
    --------
    >>> from fastmlp.autodiff import value_and_grad
    >>> value, slope = value_and_grad(lambda x: x**2)(3.0)
    >>> print(value, slope)
    9.0 6.0
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def value_and_gradient(*args: Any, **options: Any) -> Any:
        if any(not -len(args) <= i < len(args) for i in positions):
            raise ValueError(f"argnums {argnums} do not fit a call with {len(args)} arguments")
        traced = list(args)
        for i in positions:
            traced[i] = variable(args[i], f"argument {i}")
        wrt = [traced[i] for i in positions]
        result = f(*traced, **options)
        if not isinstance(result, Node):  # it does not depend on the arguments
            if result is None:
                raise TypeError("the function returned None: is a return missing?")
            result = constant(np.asarray(result, np.result_type(*(x.dtype for x in wrt))))
        if result.shape != ():
            raise ValueError(
                f"a gradient needs a scalar result, got shape {result.shape}: sum it, or give "
                "weights, w @ f(x)"
            )
        if result.dtype.kind != "f":
            raise ValueError(f"a gradient needs a real result, got {result.dtype}")
        results: list[Any] = [result, *backward(result, wrt)[0]]
        own = {x: args[i] for x, i in zip(wrt, positions, strict=True)}
        leaves = (node for node in topological(results) if node.operation == "input")
        if any(isinstance(x, Node) for x in args) or any(node not in own for node in leaves):
            # A derivative inside a traced function: its inputs were made for this call, to tell
            # the argument from the same value elsewhere; outside they are the caller's again.
            results = substituted(results, own)
        else:
            check_finite(results)
            results = [node.value[()] for node in results]
        return results[0], results[1] if isinstance(argnums, int) else tuple(results[1:])

    return value_and_gradient


def substituted(outputs: Sequence[Node], values: dict[Node, Any]) -> list[Node]:
    """The same results with other nodes (or arrays) in the place of inputs."""
    new: dict[Node, Node] = {}
    for node in topological(outputs):
        if node in values:
            (new[node],) = as_nodes((values[node],))
        elif all(new[operand] is operand for operand in node.inputs):
            new[node] = node
        else:
            new[node] = apply(node.operation, *(new[x] for x in node.inputs), **node.options)
    return [new[node] for node in outputs]
