"""Second derivatives: products with the Hessian of a loss, and of the outputs by the inputs.

A product with the Hessian is the derivative of the gradient along a direction ``(V, c)`` of the
parameters (Pearlmutter, *Fast exact multiplication by the Hessian*, 1994): every quantity of the
two passes has a derivative of its own, marked by a dot.

    ż^l = ȧ^(l-1) W^l + a^(l-1) V^l + c^l,              ȧ^l = ż^l ⊙ σ'(z^l)
    d^l = δ^(l+1) (W^(l+1))ᵀ,                           δ^l = d^l ⊙ σ'
    ḋ^l = δ̇^(l+1) (W^(l+1))ᵀ + δ^(l+1) (V^(l+1))ᵀ,      δ̇^l = ḋ^l ⊙ σ' + d^l ⊙ σ'' ⊙ ż^l
    (H v)_W = (ȧ^(l-1))ᵀ δ^l + (a^(l-1))ᵀ δ̇^l,          (H v)_b = Σ δ̇^l

That is eight products of matrices for the gradient's three, so about as much as 2.5 gradients.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from fastmlp import kernels

from .._typing import Array
from . import arguments, curvature
from .first import output_jacobian, tangents
from .tape import SMALL_BLOCK, Tape, tapes

#: Numbers of the widest layer of the rows that a backend goes through at a time.
_NUMBERS = 1 << 17


class Outputs(NamedTuple):
    """Scores of some rows, and what comes of them.

    Attributes
    ----------
    z : (n, n_out) array
    output : str
        Output activation.
    n_threads : int or None
    """

    z: Array
    output: str
    n_threads: int | None


def add_hessian_product(
    network: Any, x: Any, target: Array, loss: Any, scale: Array, direction: Array, result: Array
) -> None:
    """Add ``H v`` of rows to ``result``, both of them flat.

    ``scale`` is what the loss of each row is multiplied by, ``(n, 1)``, or that of each of its
    targets, ``(n, n_targets)``.
    """
    net, parameters = network.architecture, network.parameters
    most = min(len(x), max(64, _NUMBERS // max(net.sizes)))
    product = network._network.hessian_product(parameters, direction, most)
    if product is None:
        views = net.views(direction), net.views(result)
        for rows, tape in tapes(network, x, False, max(net.sizes), SMALL_BLOCK):
            _add_by_layers(tape, target[rows], loss, scale[rows], *views)
        return
    for first in range(0, len(x), most):
        rows = slice(first, min(first + most, len(x)))
        z, z_dot = product.forward(arguments.dense(x, rows))
        outputs = Outputs(z, net.output, network.n_threads)
        result += product.back(*_output_errors(outputs, z_dot, target[rows], loss, scale[rows]))


def _output_errors(
    outputs: Outputs | Tape, z_dot: Array, target: Array, loss: Any, scale: Array
) -> tuple[Array, Array]:
    """``δ^L`` and ``δ̇^L``, times the scale of each row or target."""
    of_targets: Any = None
    if scale.shape[1] > 1:
        one = np.ones(len(scale), scale.dtype)
        of_targets, scale = kernels.TargetWeights(one, scale), one[:, None]
    delta = kernels.output_delta(
        *(outputs.z, target, loss, outputs.output),
        sample_weight=of_targets,
        n_threads=outputs.n_threads,
    )
    delta *= scale
    factors = None if of_targets is None else of_targets.factors
    delta_dot = curvature.of_loss(outputs.z, outputs.output, target, loss, z_dot, factors)
    delta_dot = delta_dot * scale
    return delta, delta_dot


def _add_by_layers(
    tape: Tape, target: Array, loss: Any, scale: Array, direction: Any, result: Any
) -> None:
    """The same by kernels of single layers; direction and result as weights and biases."""
    n = tape.z.dtype.type(len(tape))
    (v_weights, v_biases), (h_weights, h_biases) = direction, result
    z_dots, a_dots = _forward(tape, v_weights, v_biases)
    delta, delta_dot = _output_errors(tape, z_dots[-1], target, loss, scale)
    for layer in range(tape.top, -1, -1):
        a, a_dot = tape.inputs[layer], a_dots[layer]
        h = kernels.weight_gradient(a, delta_dot, n_threads=tape.n_threads)
        if a_dot is not None:
            h += kernels.weight_gradient(a_dot, delta, n_threads=tape.n_threads)
        h_weights[layer] += n * h
        h_biases[layer] += n * kernels.bias_gradient(delta_dot, n_threads=tape.n_threads)
        if layer == 0:
            break
        d_dot = tape.times_transposed(layer, delta_dot)
        d_dot += tape.times(delta, v_weights[layer].T)
        delta_dot = tape.times_slope(layer - 1, d_dot)
        delta, bent = _errors_below(tape, layer, delta)
        if bent is not None:
            bent *= z_dots[layer - 1]
            delta_dot += bent


def _errors_below(tape: Tape, layer: int, delta: Array) -> tuple[Array, Array | None]:
    """``δ`` of the hidden layer below ``layer``, and ``d ⊙ σ''``, ``None`` where that is 0."""
    name, kept = tape.names[layer - 1], tape.kept[layer - 1]
    constants = curvature.bend(name)
    if constants is None:
        d = tape.times_transposed(layer, delta)
        bent = curvature.of_activation(name, kept)
        return tape.times_slope(layer - 1, d), None if bent is None else bent * d
    below = tape.error_below(layer, delta)
    if constants == (0, 0):
        return below, None
    bent = kept * constants[1]  # d σ'' = (b + c σ) δ, without a product with σ' of its own
    if constants[0]:
        bent += constants[0]
    bent *= below
    return below, bent


def _forward(
    tape: Tape, v_weights: list[Array], v_biases: list[Array]
) -> tuple[list[Array], list[Array | None]]:
    """``ż`` of every layer, and ``ȧ`` of what each is given (``None`` for the rows themselves)."""
    z_dots: list[Array] = []
    a_dots: list[Array | None] = [None]
    for layer, a in enumerate(tape.inputs):
        z_dot = kernels.dense_forward(
            a, v_weights[layer], v_biases[layer], n_threads=tape.n_threads
        )
        a_dot = a_dots[-1]
        if a_dot is not None:
            z_dot += tape.times_weights(layer, a_dot)
        z_dots.append(z_dot)
        if layer < tape.top:
            a_dots.append(tape.times_slope(layer, z_dot))
    return z_dots, a_dots


def input_hessian(tape: Tape) -> Array:
    """``∂²Y_k / ∂x_i ∂x_j`` of every row, ``(n, n_out, n_in, n_in)``.

    With ``Z^l = ∂z^l / ∂x`` and ``G^l_k = ∂Y_k / ∂a^l`` it is the sum over the layers of
    ``Z^l diag(σ''(z^l) ⊙ G^l_k) (Z^l)ᵀ``, and of what the output's own curvature adds.
    """
    z_tangents = tangents(tape)
    n, n_in, n_out = z_tangents[-1].shape
    result = np.zeros((n, n_out, n_in, n_in), tape.z.dtype)
    if tape.output != "identity":
        top = z_tangents[-1]
        a = tape.a[:, None, None, :]
        a_dot = kernels.output_jacobian_product(tape.output, tape.a[:, None, :], top)[:, :, None, :]
        along = kernels.output_jacobian_along(tape.output, a, a_dot, top[:, None, :, :])
        result += along.transpose(0, 3, 1, 2)
    error = output_jacobian(tape)
    for layer in range(tape.top - 1, -1, -1):
        by_activations = tape.times_transposed(layer + 1, error)
        bend = curvature.of_activation(tape.names[layer], tape.kept[layer])
        if bend is not None:
            z = z_tangents[layer]
            for k in range(n_out):
                bent = z * (bend * by_activations[:, k])[:, None, :]
                result[:, k] += bent @ z.transpose(0, 2, 1)
        error = by_activations * tape.slope(layer)[:, None, :]
    return result
