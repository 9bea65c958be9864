"""Traced arrays: nodes of the graph, which take part in NumPy's protocols.

A :class:`Node` is the result of one operation on other nodes; its value is computed as it is made.
Nodes never change, so equal operations on equal operands are one node (*hash-consing*), and an
operation on constants is a constant. NumPy calls :meth:`Node.__array_ufunc__` for ``np.exp`` or
``+``, and :meth:`Node.__array_function__` for ``np.sum`` or ``np.where``.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array
from ._dispatch import ALIASES, FUNCTIONS, REDUCTIONS, UFUNCS, name_of, unsupported
from ._operations import TABLE
from ._simplify import simplified


class Node(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of the graph: an input, a constant, or the result of an operation.

    Attributes
    ----------
    operation : str
        A name of ``TABLE``, ``"input"`` or ``"constant"``.
    inputs : tuple of Node
    options : dict
        What the operation takes besides arrays, such as ``axis``.
    value : array
    shape, ndim, size, dtype
        Of the value.
    label : str or None
        A name for people.
    origin : Node or None
        For a node of a derivative: the node whose rule has made it.
    """

    __slots__ = (
        "__weakref__", "dtype", "inputs", "label", "ndim", "operation", "options", "origin",
        "shape", "size", "value",
    )  # fmt: skip

    def __init__(
        self,
        operation: str,
        inputs: tuple[Node, ...],
        options: dict[str, Any],
        value: Any,
        label: str | None = None,
    ) -> None:
        self.operation, self.inputs, self.options, self.label = operation, inputs, options, label
        self.value: Array = np.asarray(value)
        self.shape: tuple[int, ...] = self.value.shape
        self.ndim, self.size = self.value.ndim, self.value.size
        self.dtype: np.dtype[Any] = self.value.dtype
        self.origin: Node | None = None

    # What NumPy asks for

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        if options.get("out") is not None:
            raise TypeError("traced arrays cannot be changed in place: write x = x + y, not x += y")
        name = ALIASES.get(ufunc.__name__, ufunc.__name__)
        if method == "reduce" and name in REDUCTIONS:
            return REDUCTIONS[name](*args, **{"axis": 0, **options})
        if method != "__call__" or (name not in UFUNCS and name not in TABLE):
            raise unsupported(f"np.{ufunc.__name__}.{method}".removesuffix(".__call__"))
        if options:
            raise TypeError(f"np.{ufunc.__name__} of a traced array takes no {sorted(options)}")
        return UFUNCS[name](*args) if name in UFUNCS else apply(name, *args)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if function not in FUNCTIONS:
            raise unsupported(name_of(function))
        try:
            return FUNCTIONS[function](*args, **options)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
            option = str(error).split("'")[1]
            raise TypeError(f"np.{function.__name__} of a traced array takes no {option}") from None

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError(
            "a traced array is not a NumPy array here: use NumPy's functions and operators on it "
            "(np.exp, not math.exp; no assignment into another array)"
        )

    __float__ = __int__ = __array__

    def __bool__(self) -> bool:
        raise TypeError(
            "a traced array is neither true nor false, as the graph must hold for other values "
            "too: use np.where(condition, a, b), or np.logical_and, instead of if, and, or"
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("traced arrays cannot be assigned to: use np.where or np.concatenate")

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            return partial(getattr(np, name), self)
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"traced arrays have no .{name}; see fastmlp.autodiff.supported()")

    # Nodes are keys of dictionaries: ``==`` makes a node, so it cannot compare them.
    __hash__ = object.__hash__

    def make(self, operation: str, *others: Any, **options: Any) -> Node:
        """The node of an operation on this one that NumPy has no function for."""
        return apply(operation, self, *others, **options)

    # What arrays have

    @property
    def T(self) -> Any:
        return np.transpose(self)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a traced scalar has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Node]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Node:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Node) for part in parts):
            raise TypeError(
                "a traced array cannot be an index, as the graph's shapes must not depend on "
                "values: use np.where"
            )
        parts = tuple(np.asarray(p) if isinstance(p, list) else p for p in parts)
        return apply("getitem", self, index=parts)

    def reshape(self, *shape: Any) -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        axes = axes[0] if len(axes) == 1 else axes
        return np.transpose(self, axes or None)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.shape)) or "scalar"
        return f"<traced {self.label or self.operation}, {shape} {self.dtype}>"

    @property
    def uniform(self) -> Any:
        """The number that all elements of a constant are, or ``None`` where that is not known."""
        if self.operation != "constant" or self.size == 0 or any(self.value.strides):
            return None
        return self.value.flat[0]


#: Methods of arrays that are NumPy's functions of the same name.
_METHODS = {
    "clip", "dot", "max", "mean", "min", "ravel", "squeeze", "std", "sum", "swapaxes", "var",
}  # fmt: skip
#: Every node that is alive, by what it computes. A node keeps its inputs, so their ids stay theirs.
_known: weakref.WeakValueDictionary[Any, Node] = weakref.WeakValueDictionary()
#: The node whose derivative is being written, see ``Node.origin``.
writing_for: ContextVar[Node | None] = ContextVar("writing_for", default=None)


def variable(value: Any, label: str) -> Node:
    """A new input with the value of an array or node; integers become float64."""
    array = value.value if isinstance(value, Node) else np.array(value)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise TypeError(f"{label} must hold real numbers, got dtype {array.dtype}")
    return Node("input", (), {}, array, label)


def constant(value: Any) -> Node:
    """A constant; equal ones that are small, or one number over and over, are one node."""
    array = np.asarray(value)
    if array.size == 1:
        array = np.broadcast_to(array.reshape(()), array.shape)
    repeated = not any(array.strides)
    if array.size > 16 and not repeated:
        return Node("constant", (), {}, array)
    content = (array.flat[:1] if repeated else array).tobytes()
    key = ("constant", array.dtype.str, array.shape, content)
    return _known.setdefault(key, Node("constant", (), {}, array))


def as_nodes(operands: Iterable[Any]) -> tuple[Node, ...]:
    """Operands as nodes; Python's numbers take the dtype of the arrays, as in NumPy."""
    # Arrays are copied, as the caller may change them later.
    pairs = [(x, x if isinstance(x, Node) else np.array(x)) for x in operands]
    dtypes = [array.dtype for x, array in pairs if type(x) not in (bool, int, float)]
    nodes = []
    for x, array in pairs:
        if array.dtype.kind not in "biuf":
            raise TypeError(f"a graph holds real numbers and booleans, got dtype {array.dtype}")
        if type(x) in (bool, int, float) and dtypes:
            array = array.astype(np.result_type(*dtypes, x))
        nodes.append(array if isinstance(array, Node) else constant(array))
    return tuple(nodes)


def apply(operation: str, *operands: Any, **options: Any) -> Node:
    """The node of an operation: one that is there, a simpler one, or a new one."""
    inputs = as_nodes(operands)
    simple: Node | None = simplified(operation, inputs, options)
    if simple is not None:
        return simple
    key = (operation, *map(id, inputs), _key(tuple(options.items())))
    if (found := _known.get(key)) is not None:
        return found
    with np.errstate(all="ignore"):  # what is not finite is named where a result needs it
        try:
            value = TABLE[operation].value(*(node.value for node in inputs), **options)
        except ValueError as error:
            shapes = ", ".join(str(node.shape) for node in inputs)
            raise ValueError(f"{operation} of shapes {shapes}: {error}") from None
    if all(node.operation == "constant" for node in inputs):
        first = np.ravel(value)[:1]
        if np.size(value) > 1 and np.all(value == first):
            value = np.broadcast_to(first[0], value.shape)  # so that 1 · x is seen to be x
        return constant(value)
    node = Node(operation, inputs, options, value)
    node.origin = writing_for.get()
    _known[key] = node
    return node


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


def _key(option: Any) -> Any:
    """Something hashable that is equal for equal options."""
    if isinstance(option, tuple):
        return tuple(map(_key, option))
    if isinstance(option, slice):
        return (slice, option.start, option.stop, option.step)
    if isinstance(option, np.ndarray):
        return (option.dtype.str, option.shape, option.tobytes())
    return (type(option), option)  # True is not 1
