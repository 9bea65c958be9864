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

from ._node import Node, apply, as_nodes, constant, variable, writing_for
from ._operations import TABLE, only, unbroadcast


class Flow(NamedTuple):
    """A derivative: ``g`` where the mask is true (``None``: everywhere), else 0."""

    mask: Any
    g: Any

    def masked(self) -> Any:
        """The derivative itself, as a node."""
        return self.g if self.mask is None else only(self.mask, self.g)


def topological(outputs: Sequence[Node]) -> list[Node]:
    """All nodes that the outputs are made of, operands before what uses them."""
    order: dict[Node, None] = {}
    waiting = [(node, False) for node in reversed(outputs)]
    while waiting:  # depth first, without recursion: graphs may be deep
        node, operands_done = waiting.pop()
        if node in order:
            continue
        if operands_done:
            order[node] = None
        else:
            waiting.append((node, True))
            waiting.extend((operand, False) for operand in reversed(node.inputs))
    return list(order)


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
    order = topological([output])
    wanted = set(wrt)
    reached = set(wrt)
    for node in order:
        if any(operand in reached for operand in node.inputs):
            reached.add(node)
    total: dict[Node, Any] = {}
    arriving: dict[Node, list[Flow]] = {output: [Flow(None, np.full_like(output, 1))]}
    edges: dict[tuple[Node, int], Flow] = {}
    for node in reversed(order):
        flows = arriving.pop(node, None)
        if flows is None or node not in reached:
            continue
        flow = _sum(flows)
        if node in wanted:
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
    for node in wanted - total.keys():
        total[node] = np.zeros_like(node)
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
    if g.shape == x.shape:
        return Flow(mask, g)
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
    """As :func:`grad`; the function returns ``(value, gradient)``."""
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
            result = constant(np.asarray(result, np.result_type(*(x.dtype for x in wrt))))
        if result.shape != ():
            raise ValueError(
                f"a gradient needs a scalar result, got shape {result.shape}: sum it, or give "
                "weights, w @ f(x)"
            )
        if result.dtype.kind != "f":
            raise ValueError(f"a gradient needs a real result, got {result.dtype}")
        results = [result, *backward(result, wrt)[0]]
        value: Any
        found: list[Any]
        own = {x: args[i] for x, i in zip(wrt, positions, strict=True)}
        leaves = (node for node in topological(results) if node.operation == "input")
        if any(isinstance(x, Node) for x in args) or any(node not in own for node in leaves):
            # A derivative inside a traced function: its inputs were made for this call, to tell
            # the argument from the same value elsewhere; outside they are the caller's again.
            value, *found = substituted(results, own)
        else:
            check_finite(results)
            value, *found = (node.value[()] for node in results)
        return value, found[0] if isinstance(argnums, int) else tuple(found)

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
