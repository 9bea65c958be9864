"""JAX: networks as functions of its arrays, and networks from its parameters.

================= ============================================================================
``to_function``   ``(function, parameters)`` in JAX's own operations: ``net.to_jax()``
``from_params``   a network from the parameters of dense layers, of flax, equinox or plain lists
``function``      ``f(parameters, x)`` that our kernels compute; ``jit``, ``grad``, ``vmap`` work
================= ============================================================================
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from fastmlp.kernels import CustomActivation

from .._typing import Array
from ._chain import Layer, to_network
from ._libraries import Library
from ._steps import steps_of

jax: Any = Library("jax", "fastmlp.interop.jax")
jnp: Any = Library("jax.numpy", "fastmlp.interop.jax")

__all__ = ["from_params", "function", "to_function"]

_LAMBDA, _ALPHA = 1.0507009873554804934, 1.6732632423543772848
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: jax.nn.sigmoid(z),
    "tanh": lambda z: jnp.tanh(z),
    "hardtanh": lambda z: jax.nn.hard_tanh(z),
    "relu": lambda z: jax.nn.relu(z),
    "leaky_relu": lambda z: jax.nn.leaky_relu(z, 0.01),
    "elu": lambda z: jax.nn.elu(z),
    "selu": lambda z: _LAMBDA * jnp.where(z > 0, z, _ALPHA * jnp.expm1(jnp.minimum(z, 0))),
    "softplus": lambda z: jax.nn.softplus(z),
    "silu": lambda z: jax.nn.silu(z),
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "gelu_tanh": lambda z: jax.nn.gelu(z, approximate=True),
    "mish": lambda z: jax.nn.mish(z),
    "softsign": lambda z: jax.nn.soft_sign(z),
    "exp": lambda z: jnp.exp(z),
    "softmax": lambda z: jax.nn.softmax(z, axis=-1),
}


def _activation(activation: str | CustomActivation) -> Callable[[Any], Any]:
    if isinstance(activation, str) and activation in _ACTIVATIONS:
        return _ACTIVATIONS[activation]
    program = steps_of(activation, "JAX")

    def apply(z: Any) -> Any:
        values = [z]
        for step in program.steps:
            if step.operation == "constant":
                values.append(jnp.asarray(step.values[0], z.dtype))
            elif step.operation == "sigmoid":
                values.append(jax.nn.sigmoid(values[step.operands[0]]))
            else:
                operands = [values[i] for i in step.operands]
                values.append(getattr(jnp, step.operation)(*operands))
        return jnp.broadcast_to(values[program.outputs[0]], z.shape)

    return apply


def _check_precision(net: Any) -> None:
    if net.dtype == np.float64 and not jax.config.jax_enable_x64:
        raise ValueError(
            "JAX computes in float32 unless it is told: a float64 network needs "
            'jax.config.update("jax_enable_x64", True)'
        )


def to_function(net: Any) -> tuple[Callable[[Any, Any], Any], list[dict[str, Any]]]:
    """See :meth:`fastmlp.MLP.to_jax`.

    Parameters
    ----------
    net : MLP
        What is computed.

    Returns
    -------
    tuple of a function and a list of dict
        As of ``MLP.to_jax``.
    """
    _check_precision(net)
    names = (*net.architecture.activations, net.architecture.output)
    activations = [_activation(name) for name in names]
    parameters = [
        {"kernel": jnp.asarray(w), "bias": jnp.asarray(b)}
        for w, b in zip(net.weights, net.biases, strict=True)
    ]

    def apply(parameters: Any, x: Any) -> Any:
        for layer, activation in zip(parameters, activations, strict=True):
            x = activation(x @ layer["kernel"] + layer["bias"])
        return x

    return apply, parameters


# Parameters of others


def from_params(params: Any, activation: Any = "relu", output: str = "identity") -> Any:
    """A network from the parameters of a chain of dense layers.

    Parameters
    ----------
    params : pytree
        Of flax (``{"params": {"Dense_0": {"kernel": …, "bias": …}, …}}``), an equinox module with
        ``layers`` (or a sequence of its ``Linear``), or a sequence of ``{"kernel", "bias"}``,
        ``{"w", "b"}`` or ``(W, b)``, with weights ``(n_in, n_out)``.
    activation : str or sequence of str, default "relu"
        Parameters do not say which.
    output : str, default "identity"
        Activation of the last layer.

    Returns
    -------
    MLP
        With copies of the parameters.

    Raises
    ------
    ValueError
        Where that is no chain of dense layers.
    """
    layers = [_layer(f"layer {name}", value) for name, value in _items(params)]
    if not layers:
        return to_network(layers)
    given = [activation] * (len(layers) - 1) if isinstance(activation, str) else list(activation)
    if len(given) != len(layers) - 1:
        raise ValueError(
            f"{len(layers) - 1} hidden layers need as many activations, got {activation}"
        )
    for layer, name in zip(layers, [*given, output], strict=True):
        layer.activation = name
    return to_network(layers)


def _items(params: Any) -> list[tuple[Any, Any]]:
    if isinstance(params, Mapping):
        if set(params) == {"params"}:
            return _items(params["params"])
        return sorted(params.items(), key=lambda item: _order(str(item[0])))
    if hasattr(params, "layers"):
        params = params.layers
    if isinstance(params, Sequence) and not isinstance(params, str):
        return [
            (i, part)
            for i, part in enumerate(params)
            if hasattr(part, "weight") or not callable(part)
        ]
    raise ValueError(f"params must be layers by name or in order, got {type(params).__name__}")


def _order(name: str) -> tuple[str, int]:
    """``Dense_10`` comes after ``Dense_9``."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or -1)


def _layer(where: str, value: Any) -> Layer:
    if hasattr(value, "weight"):  # of equinox: (n_out, n_in)
        bias = None if getattr(value, "bias", None) is None else _array(where, value.bias)
        return Layer(_array(where, value.weight).T, bias, where=where)
    if isinstance(value, Mapping):
        weights = next((value[key] for key in ("kernel", "w", "W", "weight") if key in value), None)
        bias = next((value[key] for key in ("bias", "b") if key in value), None)
        if weights is None:
            raise ValueError(f"{where} must have a kernel, got {sorted(map(str, value))}")
    elif isinstance(value, Sequence) and len(value) == 2:
        weights, bias = value
    else:
        raise ValueError(f"{where} must be a kernel and a bias, got {type(value).__name__}")
    matrix = _array(where, weights)
    if matrix.ndim != 2:
        raise ValueError(f"the kernel of {where} must be a matrix, got shape {matrix.shape}")
    return Layer(matrix, None if bias is None else _array(where, bias), where=where)


def _array(where: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise ValueError(f"{where} must hold real numbers, got dtype {array.dtype}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


# Our kernels inside of JAX


def function(net: Any) -> Callable[[Any, Any], Any]:
    """A function of JAX's arrays that this network's kernels compute.

    Parameters
    ----------
    net : MLP
        It is copied: its parameters are an argument of the function.

    Returns
    -------
    callable
        ``f(parameters, x)``: ``parameters`` is a vector like ``net.parameters``, ``x`` has the
        shape ``(…, n_in)``, the result ``(…, n_out)``. ``jit``, ``grad`` (by both arguments) and
        ``vmap`` work; the derivative comes from ``net.vjp`` and cannot be differentiated again.

    Raises
    ------
    ValueError
        For a float64 network where JAX has only float32.
    """
    _check_precision(net)
    host = _Host(net)
    n_out, dtype = net.architecture.sizes[-1], net.dtype

    def call(on_host: Any, shapes: Any, *arguments: Any) -> Any:
        return jax.pure_callback(on_host, shapes, *arguments, vmap_method="expand_dims")

    @jax.custom_vjp  # type: ignore[untyped-decorator,unused-ignore]
    def f(parameters: Any, x: Any) -> Any:
        shape = jax.ShapeDtypeStruct((*x.shape[:-1], n_out), dtype)
        return call(host.predict, shape, parameters.astype(dtype), x.astype(dtype))

    def forward(parameters: Any, x: Any) -> Any:
        return f(parameters, x), (parameters, x)

    def backward(kept: Any, d_y: Any) -> Any:
        parameters, x = kept
        shapes = (
            jax.ShapeDtypeStruct(parameters.shape, dtype),
            jax.ShapeDtypeStruct(x.shape, dtype),
        )
        gradient, d_x = call(
            host.vjp, shapes, parameters.astype(dtype), x.astype(dtype), d_y.astype(dtype)
        )
        return gradient.astype(parameters.dtype), d_x.astype(x.dtype)

    f.defvjp(forward, backward)
    call_it: Callable[[Any, Any], Any] = f
    return call_it


class _Host:
    """The network behind a function; ``vmap`` puts axes before all arguments, of length 1 where
    one has none."""

    def __init__(self, net: Any) -> None:
        self.net = copy.deepcopy(net)
        self.lock = threading.Lock()

    def predict(self, parameters: Any, x: Any) -> Array:
        """Outputs ``(batch…, rows…, n_out)``."""
        parameters, x = np.asarray(parameters), np.asarray(x)
        outputs = [
            self._with(flat, self.net.predict, rows) for flat, rows in _pieces(parameters, x)
        ]
        return _joined(outputs, parameters, x, x.shape[:-1])

    def vjp(self, parameters: Any, x: Any, d_y: Any) -> tuple[Array, Array]:
        """Gradients by the parameters and by the inputs."""
        parameters, x, d_y = map(np.asarray, (parameters, x, d_y))
        lead = np.broadcast_shapes(*(a.shape[: parameters.ndim - 1] for a in (parameters, x, d_y)))
        k = len(lead)
        parameters = np.broadcast_to(parameters, (*lead, parameters.shape[-1]))
        x = np.broadcast_to(x, (*lead, *x.shape[k:]))
        d_y = np.broadcast_to(d_y, (*lead, *d_y.shape[k:]))
        gradient, d_x = np.empty(parameters.shape, x.dtype), np.empty(x.shape, x.dtype)
        for place in np.ndindex(*lead):
            rows = x[place].reshape(-1, x.shape[-1])
            errors = d_y[place].reshape(-1, d_y.shape[-1])

            def both(given: Array, errors: Array = errors) -> Any:
                return self.net.vjp(given, errors, parameters=True)

            by_x, by_parameters = self._with(parameters[place], both, rows)
            gradient[place], d_x[place] = by_parameters, by_x.reshape(x[place].shape)
        return gradient, d_x

    def _with(self, flat: Array, compute: Callable[[Array], Any], rows: Array) -> Any:
        with self.lock:
            self.net.parameters[...] = flat
            return compute(np.ascontiguousarray(rows))


def _pieces(parameters: Array, x: Array) -> list[tuple[Array, Array]]:
    """Parameters with their rows: one piece where all rows have the same parameters."""
    if parameters.size == parameters.shape[-1]:
        return [(parameters.reshape(-1), x.reshape(-1, x.shape[-1]))]
    k = parameters.ndim - 1
    lead = np.broadcast_shapes(parameters.shape[:k], x.shape[:k])
    flat = np.broadcast_to(parameters, (*lead, parameters.shape[-1]))
    rows = np.broadcast_to(x, (*lead, *x.shape[k:]))
    return [(flat[i], rows[i].reshape(-1, x.shape[-1])) for i in np.ndindex(*lead)]


def _joined(outputs: list[Array], parameters: Array, x: Array, shape: tuple[int, ...]) -> Array:
    k = parameters.ndim - 1
    lead = np.broadcast_shapes(parameters.shape[:k], x.shape[:k])
    whole = np.concatenate(outputs) if len(outputs) > 1 else outputs[0]
    return whole.reshape(*lead, *shape[k:], whole.shape[-1])
