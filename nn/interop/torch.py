"""PyTorch: modules of our networks, networks of its modules, and state of its optimizers.

==================== ==========================================================================
``to_module``        an ``nn.Sequential`` with the network's weights: ``net.to_torch()``
``from_module``      a network of a module of ``Linear`` layers: ``fastmlp.from_torch(module)``
``Module``           a network of ours inside a program of torch: its kernels compute the
                     outputs and, in ``backward``, the gradients
``moments``,         state of ``torch.optim.Adam`` and ``SGD`` in our layout, both ways
``set_moments``
==================== ==========================================================================
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp.kernels import CustomActivation

from .._typing import Array
from ._chain import Layer, recognise, to_network
from ._libraries import Library
from ._steps import steps_of

torch: Any = Library("torch", "fastmlp.interop.torch")
nn: Any = Library("torch.nn", "fastmlp.interop.torch")

if TYPE_CHECKING:
    Expression: Any
    Module: Any

__all__ = ["Expression", "Module", "from_module", "moments", "set_moments", "to_module"]


# Networks as modules


def _named(operation: str) -> Any:
    return getattr(torch, operation, None)


_FUNCTIONS: dict[str, Any] = {
    "rint": lambda x: torch.round(x),
    "power": lambda x, y: torch.pow(x, y),
    "clip": lambda x, low, high: torch.minimum(torch.maximum(x, low), high),
}


_MODULES: dict[str, Any] = {
    "identity": None,
    "sigmoid": lambda: nn.Sigmoid(),
    "tanh": lambda: nn.Tanh(),
    "hardtanh": lambda: nn.Hardtanh(),
    "relu": lambda: nn.ReLU(),
    "leaky_relu": lambda: nn.LeakyReLU(),
    "elu": lambda: nn.ELU(),
    "selu": lambda: nn.SELU(),
    # Ours goes on with its logarithm where torch's, beyond 20, is the straight line.
    "softplus": lambda: nn.Softplus(threshold=50),
    "silu": lambda: nn.SiLU(),
    "gelu": lambda: nn.GELU(),
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "mish": lambda: nn.Mish(),
    "softsign": lambda: nn.Softsign(),
    "exp": lambda: __getattr__("Exp")(),
    "softmax": lambda: nn.Softmax(dim=-1),
}


def to_module(net: Any) -> Any:
    """See :meth:`fastmlp.MLP.to_torch`."""
    modules: list[Any] = []
    names = (*net.architecture.activations, net.architecture.output)
    for w, b, activation in zip(net.weights, net.biases, names, strict=True):
        linear = nn.Linear(
            *w.shape, dtype=torch.float64 if w.dtype == np.float64 else torch.float32
        )
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(w.T)))
            linear.bias.copy_(torch.from_numpy(b.copy()))
        modules.append(linear)
        known = isinstance(activation, str) and activation in _MODULES
        make = _MODULES[activation] if known else lambda a=activation: _classes()["Expression"](a)
        if make is not None:
            modules.append(make())
    return nn.Sequential(*modules)


# Modules as networks


def from_module(module: Any, dtype: Any = None) -> Any:
    """A network from a module of PyTorch.

    Parameters
    ----------
    module : torch.nn.Module
        A chain of ``Linear`` layers, with elementwise activations between, as modules or functions;
        ``Dropout``, ``Identity`` and ``Flatten`` are passed over. ``forward`` may be anything that
        ``torch.fx`` can trace.
    dtype : numpy.float32 or numpy.float64, optional
        By default that of the weights.

    Returns
    -------
    MLP

    Raises
    ------
    ValueError
        For anything else, with the name of the layer.
    TypeError
        For what is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"from_torch takes a torch.nn.Module, got {type(module).__name__}")
    if isinstance(module, nn.Linear):
        module = nn.Sequential(module)
    module = copy.deepcopy(module).cpu().eval()
    try:
        graph = torch.fx.symbolic_trace(module).graph
    except Exception as error:  # whatever a forward may raise for a proxy
        raise ValueError(
            f"{type(module).__name__} cannot be read as a network: torch.fx cannot trace its "
            f"forward ({error})"
        ) from error
    try:
        return to_network(_layers(module, list(graph.nodes)), dtype)
    except ValueError as error:
        raise ValueError(f"{type(module).__name__} cannot be read as a network: {error}") from error


def _layers(module: Any, nodes: list[Any]) -> list[Layer]:
    parts = dict(module.named_modules())
    inputs = [node for node in nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise ValueError(f"forward must have one input, got {len(inputs)}")
    layers: list[Layer] = []
    start = inputs[0]
    between: list[Any] = []
    for node in nodes:
        if node.op in ("placeholder", "get_attr"):
            continue
        linear = node.op == "call_module" and isinstance(parts[node.target], nn.Linear)
        if node.op == "output" or linear:
            end = node.args[0]
            _close(layers, parts, module, start, between, end)
            if node.op == "output":
                break
            layer = parts[node.target]
            weights = _array(layer.weight).T
            bias = None if layer.bias is None else _array(layer.bias)
            layers.append(Layer(weights, bias, where=f"layer {node.target!r}"))
            start, between = node, []
        else:
            between.append(node)
    return layers


def _array(tensor: Any) -> Array:
    values = tensor.detach()
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    array: Array = values.numpy().copy()
    return array


def _close(
    layers: list[Layer], parts: Any, module: Any, start: Any, between: list[Any], end: Any
) -> None:
    """Find what lies between two linear layers, or after the last."""
    computing = [node for node in between if not _passes(node, parts)]
    shown = ", ".join(f"{node.name!r}" for node in computing[:6])
    if not layers:
        if computing:
            raise ValueError(f"{shown} comes before the first linear layer")
        return
    if not computing:
        if end not in (start, *between):
            raise ValueError(f"{end} is not what the layer before computes")
        return
    softmax = [node for node in computing if _is_softmax(node, parts)]
    if softmax:
        if len(computing) > 1:
            raise ValueError(f"{shown} is not understood beside a softmax")
        layers[-1].activation = "softmax"
        return

    def values(z: Array) -> Array:
        env: dict[Any, Any] = {start: torch.from_numpy(z).double().reshape(-1, 1)}
        interpreter = torch.fx.Interpreter(module, graph=start.graph)
        interpreter.env = env
        try:
            for node in start.graph.nodes:
                if node.op == "get_attr" or node in between:
                    env[node] = interpreter.run_node(node)
            result = env[end]
        except KeyError as error:
            raise ValueError(f"{shown} needs more than the layer before computes") from error
        except Exception as error:
            raise ValueError(f"{shown} cannot be evaluated: {error}") from error
        found: Array = torch.as_tensor(result).double().detach().numpy().reshape(z.shape)
        return found

    name = recognise(values)
    if name is None:
        raise ValueError(f"{shown}: no activation of this package has these values")
    layers[-1].activation = name


def _passes(node: Any, parts: Any) -> bool:
    kinds = (nn.Dropout, nn.AlphaDropout, nn.Identity, nn.Flatten)
    if node.op == "call_module":
        return isinstance(parts[node.target], kinds)
    return node.op == "call_function" and node.target in (
        nn.functional.dropout,
        torch.flatten,
        torch.nn.functional.alpha_dropout,
    )


def _is_softmax(node: Any, parts: Any) -> bool:
    """A softmax over the last axis; over another it is no activation."""
    if node.op == "call_module" and isinstance(parts[node.target], nn.Softmax):
        return parts[node.target].dim in (1, -1, None)
    functions = (torch.softmax, nn.functional.softmax)
    if (node.op == "call_function" and node.target in functions) or (
        node.op == "call_method" and node.target == "softmax"
    ):
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        return dim in (1, -1)
    return False


# Our kernels inside of torch


@functools.cache
def _classes() -> dict[str, Any]:
    """Our classes derived from torch's, which need not be there when this file is imported."""

    class Expression(nn.Module):  # type: ignore[misc]
        """An activation that torch has no module for, step by step from its expression."""

        def __init__(self, activation: str | CustomActivation) -> None:
            super().__init__()
            self.steps = steps_of(activation, "PyTorch")

        def forward(self, z: Any) -> Any:
            """``σ(z)``."""
            values = [z]
            for step in self.steps.steps:
                if step.operation == "constant":
                    values.append(torch.as_tensor(step.values[0], dtype=z.dtype, device=z.device))
                else:
                    operands = [values[i] for i in step.operands]
                    values.append(_FUNCTIONS.get(step.operation, _named(step.operation))(*operands))
            return torch.broadcast_to(values[self.steps.outputs[0]], z.shape)

    class Exp(nn.Module):  # type: ignore[misc]
        def forward(self, z: Any) -> Any:
            return torch.exp(z)

    class _Function(torch.autograd.Function):  # type: ignore[misc]
        """``Y = f(X; parameters)`` with the network's own derivative."""

        @staticmethod
        def forward(ctx: Any, x: Any, parameters: Any, net: Any) -> Any:
            ctx.net = net
            ctx.save_for_backward(x, parameters)
            return torch.from_numpy(net.predict(x.detach().numpy()))

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator,unused-ignore]
        def backward(ctx: Any, d_y: Any) -> Any:
            x, _ = ctx.saved_tensors
            d_x, gradient = ctx.net.vjp(
                x.detach().numpy(), d_y.contiguous().numpy(), parameters=True
            )
            return torch.from_numpy(d_x), torch.from_numpy(gradient), None

    class Module(nn.Module):  # type: ignore[misc]
        """A network of this package as a module of torch, on the CPU.

        Outputs come from the network's kernels, and gradients by inputs and parameters too.
        Parameters are one vector, ``flat``, which shares its memory with ``net.parameters``: steps
        of torch's optimizers and of ``net.fit`` act on the same numbers.

        Parameters
        ----------
        net : MLP

        Examples
        --------
        >>> import torch                                            # doctest: +SKIP
        >>> module = Module(MLP([4, 8, 1]))                         # doctest: +SKIP
        >>> optimizer = torch.optim.Adam(module.parameters())       # doctest: +SKIP
        """

        def __init__(self, net: Any) -> None:
            super().__init__()
            self.net = net
            self.flat = nn.Parameter(torch.from_numpy(net.parameters))

        def forward(self, x: Any) -> Any:
            """Values of the output layer, ``(n, n_out)``."""
            self._share()
            if x.dtype != self.flat.dtype:
                raise TypeError(f"rows must be {self.flat.dtype} like the network, got {x.dtype}")
            return _Function.apply(x, self.flat, self.net)

        def _share(self) -> None:
            """Make the parameters one memory again, after a copy: torch's count."""
            flat, own = self.flat, self.net.parameters
            if flat.device.type != "cpu":
                raise ValueError(
                    f"the network computes on the CPU, its parameters are on {flat.device}"
                )
            if flat.data_ptr() == own.ctypes.data:
                return
            if flat.dtype != torch.from_numpy(own).dtype:
                raise TypeError(
                    f"parameters must stay {own.dtype} like the network, got {flat.dtype}; make "
                    "the network in the dtype that is wanted"
                )
            own[...] = flat.detach().numpy()
            flat.data = torch.from_numpy(own)

    found = {"Expression": Expression, "Exp": Exp, "Module": Module}
    for name, kind in found.items():  # pickles look for them here
        kind.__module__, kind.__qualname__ = __name__, name
    return found


def __getattr__(name: str) -> Any:
    if name in ("Expression", "Exp", "Module"):
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# State of optimizers

_SLOTS = {"Adam": ("exp_avg", "exp_avg_sq"), "AdamW": ("exp_avg", "exp_avg_sq")}


def _slots(optimizer: Any) -> tuple[str, ...]:
    kind = type(optimizer).__name__
    group = optimizer.param_groups[0]
    if kind in _SLOTS:
        return _SLOTS[kind] + (("max_exp_avg_sq",) if group.get("amsgrad") else ())
    if kind == "SGD":
        return ("momentum_buffer",) if group["momentum"] else ()
    raise TypeError(f"optimizer must be torch's Adam, AdamW or SGD, got {kind}")


def _parameters(module: Any) -> list[tuple[Any, bool]]:
    """Parameters in the order of our flat vector, and whether they are transposed."""
    if isinstance(module, _classes()["Module"]):
        return [(module.flat, False)]
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if any(part.bias is None for part in linear):
        raise ValueError("every Linear layer must have a bias")
    return [(part.weight, True) for part in linear] + [(part.bias, False) for part in linear]


def _factor(optimizer: Any, name: str) -> float:
    """From torch's state to ours: our velocity has the learning rate in it."""
    if name != "momentum_buffer":
        return 1.0
    group = optimizer.param_groups[0]
    if group.get("dampening"):
        raise ValueError(f"SGD must have no dampening, got {group['dampening']}")
    return -float(group["lr"])


def moments(optimizer: Any, module: Any) -> tuple[Array, int]:
    """State of an optimizer of torch, in our layout.

    Parameters
    ----------
    optimizer : torch.optim.Adam, AdamW or SGD
    module : torch.nn.Module
        Whose parameters it trains: of :meth:`fastmlp.MLP.to_torch`, a :class:`Module`, or one that
        :func:`fastmlp.from_torch` takes.

    Returns
    -------
    moments : (n_slots, n_parameters) array
        As ``fastmlp.kernels.UPDATE_RULES`` names them: zero before the first step.
    step : int
        Steps so far; of SGD, which does not count them, 0 before the first one and else 1.
    """
    names, parts = _slots(optimizer), _parameters(module)
    rows: list[Array] = []
    step = 0
    for name in names:
        found = []
        for parameter, transposed in parts:
            state = optimizer.state.get(parameter, {})
            value = state.get(name)
            value = torch.zeros_like(parameter) if value is None else value
            found.append((value.T if transposed else value).detach().numpy().ravel())
            counted = state.get("step", 1 if name == "momentum_buffer" and state else 0)
            step = max(step, int(counted))
        rows.append(np.concatenate(found) * _factor(optimizer, name))
    n = sum(parameter.numel() for parameter, _ in parts)
    dtype = parts[0][0].detach().numpy().dtype
    return np.array(rows, dtype).reshape(len(rows), n), step


def set_moments(optimizer: Any, module: Any, moments: Array, step: int) -> None:
    """Give an optimizer of torch a state in our layout, as :func:`moments` returns it.

    Raises
    ------
    ValueError
        For another shape.
    """
    names, parts = _slots(optimizer), _parameters(module)
    n = sum(parameter.numel() for parameter, _ in parts)
    moments = np.asarray(moments)
    if moments.shape != (len(names), n):
        raise ValueError(f"moments must have shape ({len(names)}, {n}), got {moments.shape}")
    for name, row in zip(names, moments, strict=True):
        start = 0
        for parameter, transposed in parts:
            piece = row[start : start + parameter.numel()] / _factor(optimizer, name)
            values = torch.from_numpy(piece)
            start += parameter.numel()
            shape = tuple(parameter.shape)[::-1] if transposed else tuple(parameter.shape)
            values = values.reshape(shape).to(parameter.dtype)
            state = optimizer.state[parameter]
            state[name] = (values.T if transposed else values).contiguous()
            if name != "momentum_buffer":
                state["step"] = torch.tensor(float(step))
