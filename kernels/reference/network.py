"""A whole network: predictions, loss and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from .._architecture import Architecture
from .._plain import PlainPredictions
from .._specs import CSR, Loss, check_loss, needs_scores
from .._typing import Array
from . import activations, losses, outputs, sparse
from .derivatives import Derivatives
from .numerics import quiet, sum_of_rows
from .regularisation import Dropout, penalise
from .second import SecondOrder


class Network(PlainPredictions, Derivatives, SecondOrder):
    """Stateless computations of one architecture; parameters are a flat vector.

    Rows ``x`` are an ``(n, n_in)`` array or :class:`fastmlp.kernels.CSR`; a ``loss`` is a name or a
    :class:`fastmlp.kernels.Loss`.

    Parameters
    ----------
    architecture : Architecture
        Layer sizes and activations.
    dtype : float32 or float64
        The type of every array that goes in or comes out.
    n_threads : int, optional
        Threads to use at most.
    """

    def __init__(
        self, architecture: Architecture, dtype: Any, *, n_threads: int | None = None
    ) -> None:
        _checks.threads(n_threads)
        self.architecture = architecture
        self.dtype = np.dtype(dtype)
        self.n_threads = n_threads

    @quiet
    def predict(self, parameters: Array, x: Array | CSR, *, out: Array | None = None) -> Array:
        """Values of the output layer, shape ``(n, n_out)``."""
        n_out = self.architecture.sizes[-1]
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x)
        out = _checks.output("out", out, (len(x), n_out), self.dtype, x, parameters)
        out[...] = activations.apply(self.forward(parameters, x)[2], self.architecture.output)
        return out

    def pack(self, parameters: Array) -> Any:
        """Parameters for many calls of ``predict``: a copy that nothing changes.

        ``predict`` of this network takes it in place of the flat vector. The compiled backend
        copies it into the order in which its kernels read; results are the same to the bit.
        """
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        copy = parameters.copy()
        copy.flags.writeable = False
        return copy

    @quiet
    def loss(
        self,
        parameters: Array,
        x: Array | CSR,
        target: Array,
        loss: str | Loss,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Mean loss of the rows, without a penalty."""
        self.check(parameters, x, target, loss, sample_weight)
        _, _, scores = self.forward(parameters, x)
        return losses.loss_value(
            scores, target, loss, self.architecture.output, sample_weight=sample_weight
        )

    @quiet
    def loss_and_gradient(
        self,
        parameters: Array,
        x: Array | CSR,
        target: Array,
        loss: str | Loss,
        *,
        sample_weight: Array | None = None,
        l2: float = 0.0,
        l1: float = 0.0,
        out: Array | None = None,
    ) -> tuple[float, Array]:
        """Mean loss plus ``½ l2 Σ W² + l1 Σ |W|``, and its gradient as a flat vector."""
        self.check(parameters, x, target, loss, sample_weight)
        out = _checks.output("out", out, parameters.shape, self.dtype, parameters, x)
        value = self.backpropagate(parameters, x, target, Loss.of(loss), sample_weight, out)
        return value + penalise(self.architecture, parameters, out, l2, l1), out

    def check(
        self,
        parameters: Array,
        x: Array | CSR,
        target: Array,
        loss: str | Loss,
        sample_weight: Array | None,
    ) -> None:
        """Name what is wrong with the arguments of a loss, if anything is."""
        check_loss(loss, self.architecture.output, self.architecture.sizes[-1])
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x, target, sample_weight, loss)

    def forward(
        self, parameters: Array, x: Array | CSR, dropout: Dropout | None = None
    ) -> tuple[list[Array | CSR], list[Array], Array]:
        """The layers' inputs ``a^0 … a^(L-1)``, what σ' of each hidden layer needs, and ``z^L``.

        With dropout, inputs are what is left of the activations.
        """
        weights, biases = self.architecture.views(parameters)
        a = x if dropout is None else dropout.forward(x, 0)
        inputs, kept = [a], []
        for level, name in enumerate(self.architecture.activations):
            z = sparse.product(a, weights[level]) + biases[level]
            a = activations.apply(z, name)
            kept.append(z if needs_scores(name) else a)
            if dropout is not None:
                a = dropout.forward(a, level + 1)
            inputs.append(a)
        return inputs, kept, sparse.product(a, weights[-1]) + biases[-1]

    def backpropagate(
        self,
        parameters: Array,
        x: Array | CSR,
        target: Array,
        loss: Loss | None,
        sample_weight: Array | None,
        gradient: Array,
        dropout: Dropout | None = None,
        total: float | None = None,
    ) -> float:
        """Write the gradient of the mean loss into ``gradient`` and return the loss.

        Both are sums over the rows, divided by ``total`` (by default the rows' weight). Without a
        loss ``target`` holds the derivatives by the outputs of one that is a sum over rows, and 0
        is returned.
        """
        net = self.architecture
        weights, _ = net.views(parameters)
        d_weights, d_biases = net.views(gradient)
        n, n_out = len(x), net.sizes[-1]
        weight, factors = losses.parts_of(sample_weight)
        own = float(n) if weight is None else float(weight.sum(dtype=np.float64))
        total = own if total is None else total
        scale = self.dtype.type(1 / total if total else 0)

        # Rows pass: forward, output error, hidden errors back.
        inputs, kept, scores = self.forward(parameters, x, dropout)
        if loss is None:
            delta = outputs.times_jacobian(
                net.output, activations.apply(scores, net.output), target
            )
        else:
            y = losses.dense_target(target, n_out, self.dtype, loss)
            delta = losses.row_deltas(scores, y, loss, net.output, factors) * scale
            if weight is not None:
                delta *= weight[:, None]
        deltas = [delta]
        for level in range(len(weights) - 1, 0, -1):
            delta = delta @ weights[level].T
            if dropout is not None:
                delta = dropout.backward(delta, level)
            activation = activations.of(net.activations[level - 1])
            delta = activation.backward(delta, kept[level - 1])
            deltas.insert(0, delta)

        # Weights pass: aᵀ δ, from the old weights only.
        for a, delta, dw, db in zip(inputs, deltas, d_weights, d_biases, strict=True):
            dw[...] = sparse.transposed_product(a, delta)
            db[...] = sum_of_rows(delta)
        if loss is None:
            return 0.0
        rows = losses.row_losses(scores, y, loss, net.output, factors) if n else np.zeros(0)
        mean = losses.weighted_mean(rows.astype(np.float64), weight)
        return mean if total == own else mean * own / total
