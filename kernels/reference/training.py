"""A whole network: predictions, loss and gradient, and the training loop in its two passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from .._specs import Architecture, UpdateRule, check_loss
from . import activations, losses, optimizers

Array = np.ndarray[Any, Any]


class Network:
    """Stateless computations of one architecture; parameters are a flat vector.

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

    def predict(self, parameters: Array, x: Array, *, out: Array | None = None) -> Array:
        """Values of the output layer, shape ``(n, n_out)``."""
        n_out = self.architecture.sizes[-1]
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x)
        out = _checks.output("out", out, (len(x), n_out), self.dtype, x, parameters)
        _, scores = self.forward(parameters, x)
        out[...] = activations.apply(scores, self.architecture.output)
        return out

    def loss(
        self,
        parameters: Array,
        x: Array,
        target: Array,
        loss: str,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Mean loss of the rows, without a penalty."""
        self.check(parameters, x, target, loss, sample_weight)
        _, scores = self.forward(parameters, x)
        return losses.loss_value(
            scores, target, loss, self.architecture.output, sample_weight=sample_weight
        )

    def loss_and_gradient(
        self,
        parameters: Array,
        x: Array,
        target: Array,
        loss: str,
        *,
        sample_weight: Array | None = None,
        l2: float = 0.0,
        out: Array | None = None,
    ) -> tuple[float, Array]:
        """Mean loss plus ``½ l2 Σ W²``, and its gradient as a flat vector."""
        self.check(parameters, x, target, loss, sample_weight)
        out = _checks.output("out", out, parameters.shape, self.dtype, parameters, x)
        value = self.backpropagate(parameters, x, target, loss, sample_weight, l2, out)
        return value, out

    def check(
        self, parameters: Array, x: Array, target: Array, loss: str, sample_weight: Array | None
    ) -> None:
        """Name what is wrong with the arguments of a loss, if anything is."""
        check_loss(loss, self.architecture.output)
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x, target, sample_weight)

    def forward(self, parameters: Array, x: Array) -> tuple[list[Array], Array]:
        """Inputs ``a^0 … a^(L-1)`` of every layer, and the scores ``z^L``."""
        weights, biases = self.architecture.views(parameters)
        inputs = [x]
        for w, b, name in zip(weights, biases, self.architecture.activations, strict=False):
            inputs.append(activations.apply(inputs[-1] @ w + b, name))
        return inputs, inputs[-1] @ weights[-1] + biases[-1]

    def backpropagate(
        self,
        parameters: Array,
        x: Array,
        target: Array,
        loss: str,
        sample_weight: Array | None,
        l2: float,
        gradient: Array,
    ) -> float:
        """Write the gradient of the mean loss into ``gradient`` and return the loss."""
        weights, _ = self.architecture.views(parameters)
        d_weights, d_biases = self.architecture.views(gradient)
        n, n_out = len(x), self.architecture.sizes[-1]
        total = float(n) if sample_weight is None else float(sample_weight.sum(dtype=np.float64))
        scale = self.dtype.type(1 / total if total else 0)

        # Rows pass: forward, output error, hidden errors back.
        inputs, scores = self.forward(parameters, x)
        y = losses.dense_target(target, n_out, self.dtype)
        delta = losses.row_deltas(scores, y, loss, self.architecture.output) * scale
        if sample_weight is not None:
            delta *= sample_weight[:, None]
        deltas = [delta]
        for level in range(len(weights) - 1, 0, -1):
            name = self.architecture.activations[level - 1]
            delta = activations.TABLE[name].backward(delta @ weights[level].T, inputs[level])
            deltas.insert(0, delta)

        # Weights pass: aᵀ δ, from the old weights only.
        penalty = 0.0
        for a, delta, w, dw, db in zip(inputs, deltas, weights, d_weights, d_biases, strict=True):
            dw[...] = a.T @ delta
            db[...] = delta.sum(axis=0)
            if l2:
                dw += self.dtype.type(l2) * w
                penalty += 0.5 * l2 * float(np.square(w, dtype=np.float64).sum())
        rows = losses.row_losses(scores, y, loss, self.architecture.output) if n else np.zeros(0)
        return losses.weighted_mean(rows.astype(np.float64), sample_weight) + penalty


class Trainer:
    """Minibatch descent on one network: owns a working copy of parameters and optimizer state.

    Parameters
    ----------
    architecture : Architecture
    dtype : float32 or float64
    loss : str
        Name of the loss; must be defined for the architecture's output.
    update_rule : UpdateRule
    batch_size : int
        Rows of a step; the last step of an epoch takes what is left.
    l2 : float
        Weight of the penalty ``½ l2 Σ W²`` (biases are not penalised).
    l2_over_batch : bool
        Divide the penalty by the batch's rows (or total row weight), as scikit-learn does.
    n_threads : int, optional

    Attributes
    ----------
    step : int
        Updates made so far (the ``t`` of Adam).
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: Any,
        loss: str,
        update_rule: UpdateRule,
        *,
        batch_size: int,
        l2: float = 0.0,
        l2_over_batch: bool = False,
        n_threads: int | None = None,
    ) -> None:
        check_loss(loss, architecture.output)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._network = Network(architecture, dtype, n_threads=n_threads)
        self._loss = loss
        self._rule = update_rule
        self._batch_size = int(batch_size)
        self._l2, self._l2_over_batch = float(l2), l2_over_batch
        n = architecture.n_parameters
        self._parameters = np.zeros(n, dtype)
        self._gradient = np.zeros(n, dtype)
        self._state = np.zeros((len(update_rule.slots), n), dtype)
        self.step = 0

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters (and optimizer state, zero by default) in."""
        net = self._network
        _checks.flat("parameters", parameters, net.architecture, net.dtype)
        if state is not None:
            _checks.array("state", state, self._state.shape, net.dtype)
        self._parameters[...] = parameters
        self._state[...] = 0 if state is None else state
        self.step = int(step)

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        net = self._network
        _checks.flat("parameters", parameters, net.architecture, net.dtype)
        if state is not None:
            _checks.array("state", state, self._state.shape, net.dtype)
            state[...] = self._state
        parameters[...] = self._parameters

    def run_epoch(
        self,
        x: Array,
        target: Array,
        order: Array | None,
        learning_rate: float,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Visit the rows once, in ``order`` (as they come for ``None``), one step a batch.

        Returns the mean loss of the epoch, each batch's loss (with its penalty, before its
        update) weighted by its rows.
        """
        net = self._network
        _checks.rows(net.architecture, net.dtype, x, target, sample_weight)
        if order is None:
            order = np.arange(len(x), dtype=np.intp)
        _checks.order(order, len(x))
        summed = 0.0
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            weight = None if sample_weight is None else sample_weight[rows]
            total = float(len(rows) if weight is None else weight.sum(dtype=np.float64))
            l2 = self._l2
            if self._l2_over_batch:
                l2 = l2 / total if total else 0.0
            value = net.backpropagate(
                self._parameters, x[rows], target[rows], self._loss, weight, l2, self._gradient
            )
            self.step += 1
            optimizers.apply(
                self._rule.name,
                self._rule.constants,
                self._parameters,
                self._gradient,
                self._state,
                self.step,
                learning_rate,
            )
            summed += value * len(rows)
        return summed / max(len(order), 1)
