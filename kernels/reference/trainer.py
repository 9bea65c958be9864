"""Minibatch descent: the loop over the steps of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _checks, _epochs, _steps
from .._architecture import Architecture
from .._epochs import Plateau, Shuffle
from .._options import TrainingOptions
from .._specs import CSR, Loss, UpdateRule
from .._typing import Array
from . import regularisation, sparse, update_rules
from .network import Network
from .numerics import quiet


class Trainer:
    """Minibatch descent on one network: owns a working copy of parameters and optimizer state.

    A step is: dropout, forward, loss, backward; penalties; clipping; the update; bounded norms.

    Parameters
    ----------
    architecture : Architecture
    dtype : float32 or float64
    loss : str or Loss
        Must be defined for the architecture's output.
    update_rule : UpdateRule
    options : TrainingOptions

    Attributes
    ----------
    step : int
        Updates made so far (the ``t`` of Adam).
    halt : (1,) int32 array or None
        What another thread halts this trainer with, see :class:`fastmlp.kernels.Halted`.
    gradient_norm : float or None
        Length of the last step's gradient, with penalties and before clipping; ``None`` before the
        first step, and without ``clip_norm`` or ``track_gradient_norm``.
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: Any,
        loss: str | Loss,
        update_rule: UpdateRule,
        options: TrainingOptions,
    ) -> None:
        _checks.training(architecture, loss, options)
        self._network = Network(architecture, dtype, n_threads=options.n_threads)
        self._loss = Loss.of(loss)
        self._rule, self._options = update_rule, options
        n = architecture.n_parameters
        self._parameters = np.zeros(n, dtype)
        self._gradient = np.zeros(n, dtype)
        self._state = update_rule.initial_state(n, 0.0, dtype)
        self.step = 0
        self.gradient_norm: float | None = None
        self._halt: Array | None = None

    @property
    def halt(self) -> Array | None:
        return self._halt

    @halt.setter
    def halt(self, value: Array | None) -> None:
        self._halt = _epochs.switch(value)

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters in, and optimizer state, by default that before the first step."""
        net = self._network
        _checks.flat("parameters", parameters, net.architecture, net.dtype)
        if state is None:
            state = self._rule.initial_state(len(parameters), 0.0, net.dtype)
        _checks.array("state", state, self._state.shape, net.dtype)
        self._parameters[...] = parameters
        self._state[...] = state
        self.step = int(step)

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        net = self._network
        _checks.flat("parameters", parameters, net.architecture, net.dtype)
        if state is not None:
            _checks.array("state", state, self._state.shape, net.dtype)
            state[...] = self._state
        parameters[...] = self._parameters

    @quiet
    def run_epoch(
        self,
        x: Array | CSR,
        target: Array,
        order: Array | None,
        learning_rate: float | Array,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Visit the rows once, in ``order`` (as they come for ``None``), one step a batch.

        The learning rate is one number, or a float64 array with one for each step.
        Returns the mean loss of the epoch, each batch's loss (with its penalty, before its
        update) weighted by its rows.
        """
        net = self._network
        _checks.rows(net.architecture, net.dtype, x, target, sample_weight, self._loss)
        if order is None:
            order = np.arange(len(x), dtype=np.intp)
        _checks.order(order, len(x))
        starts = range(0, len(order), self._options.batch_size)
        _checks.learning_rates(learning_rate, len(starts))
        rates = np.broadcast_to(learning_rate, len(starts)).tolist()
        summed = 0.0
        for start, rate in zip(starts, rates, strict=True):
            if _epochs.halted(self._halt):
                raise _epochs.Halted
            rows = order[start : start + self._options.batch_size]
            weight = None if sample_weight is None else sample_weight[rows]
            value = self._differentiate(sparse.take(x, rows), target[rows], weight)
            self.step += 1  # from here on nothing raises
            self._update(rate)
            summed += value * len(rows)
        return summed / max(len(order), 1)

    def run_epochs(
        self,
        x: Array | CSR,
        target: Array,
        orders: Array | Shuffle | None,
        learning_rates: Array,
        *,
        sample_weight: Array | None = None,
        plateau: Plateau | None = None,
        out: Array | None = None,
    ) -> Array:
        """Visit the rows once for each row of ``orders``: several epochs in one call.

        Parameters
        ----------
        orders : (n_epochs, m) array of intp, Shuffle, or None
            The order of each epoch, or one that each epoch shuffles; ``None`` takes the rows as
            they come in all of them.
        learning_rates : (n_epochs,) or (n_epochs, n_steps) array of float64
            One for each epoch, or one for each step.
        plateau : Plateau, optional
            No further epoch is made after the one that reaches it.
        out : (n_epochs,) array of float64, optional
            Receives the losses of the epochs that were finished, also where an exception ends the
            call; those of the others are NaN.

        Returns
        -------
        (n_epochs,) array of float64
            What :meth:`run_epoch` would have returned for each.
        """
        net = self._network
        out = _epochs.check(orders, learning_rates, len(x), self._options.batch_size, out)
        _checks.rows(net.architecture, net.dtype, x, target, sample_weight, self._loss)
        return _epochs.one_by_one(
            self, x, target, orders, learning_rates, sample_weight, plateau, out
        )

    @quiet
    def run_step(
        self,
        x: Any,
        target: Any,
        learning_rate: float,
        parameters: Array,
        shown: Array,
        sample_weight: Any = None,
        of_output: bool = False,
        low: float = -np.inf,
        high: float = np.inf,
    ) -> float | None:
        """One step with all of the rows, for a caller who shows the parameters.

        Arrays are taken as they are or not at all: ``None``, and nothing is done, where one is not
        a contiguous array of finite numbers of the dtype (class labels: of intp, each one of the
        outputs), where a target lies outside of ``low`` to ``high``, or there are more rows than
        ``batch_size``, or none.

        Parameters
        ----------
        parameters, shown : (n_parameters,) arrays
            Where the caller shows the parameters, and what was shown last. Where the two differ
            somebody has changed the parameters: the step starts from there, with the state kept.
            Both hold the new parameters afterwards.
        of_output : bool
            ``target`` holds the derivatives of somebody's loss, a sum over the rows, by the values
            of the output layer, ``(n, n_out)``; the loss that is returned is the penalty.

        Returns
        -------
        float or None
            Mean loss, with its penalty, before the update.
        """
        net = self._network
        arrays = x, target, sample_weight
        for vector in (parameters, shown):
            if not _steps.fits(vector, len(self._parameters), net.dtype):
                return None
        batch_size = self._options.batch_size
        if not _steps.plain(net.architecture, net.dtype, batch_size, arrays, of_output, low, high):
            return None
        if _epochs.halted(self._halt):
            raise _epochs.Halted
        self._parameters[...] = parameters
        if target.dtype == net.dtype:
            target = target.reshape(len(x), -1)
        value = self._differentiate(x, target, sample_weight, of_output)
        self.step += 1
        self._update(learning_rate)
        parameters[...] = shown[...] = self._parameters
        return value * len(x) / len(x)  # rounded as the mean over an epoch is

    def _differentiate(
        self, x: Array | CSR, target: Array, weight: Array | None, of_output: bool = False
    ) -> float:
        """Loss and gradient of a batch, with dropout and penalties."""
        options, net, dropout = self._options, self._network, None
        if options.dropout:
            dropout = regularisation.Dropout(options.dropout, options.seed, self.step + 1)
        value = net.backpropagate(
            *(self._parameters, x, target, None if of_output else self._loss),
            *(weight, self._gradient, dropout),
        )
        share = 1.0
        if options.l2_over_batch:
            total = float(len(x) if weight is None else weight.sum(dtype=np.float64))
            share = 1 / total if total else 0.0
        return value + regularisation.penalise(
            net.architecture,
            *(self._parameters, self._gradient),
            *(options.l2 * share, options.l1 * share),
        )

    def _update(self, learning_rate: float) -> None:
        rule, step = self._rule, self.step
        self.gradient_norm = updated(
            self._network.architecture,
            self._options,
            *(self._parameters, self._gradient, self._state),
            lambda p, g, s: update_rules.apply(rule, p, g, list(s), step, learning_rate),
        )


def updated(
    architecture: Architecture,
    options: TrainingOptions,
    parameters: Array,
    gradient: Array,
    state: Array,
    update: Callable[[Array, Array, Sequence[Array]], None],
) -> float | None:
    """Clip the gradient, apply a rule to the layers that learn, and bound their columns.

    Returns the length of the gradient before clipping, where the options ask for it.
    """
    trainable = list(options.trainable) or [True] * len(architecture.layer_shapes)

    def learning(flat: Array) -> list[Array]:
        """Weights and biases of the trainable layers, as views."""
        weights, biases = architecture.views(flat)
        return [a for a, on in zip(weights + biases, trainable * 2, strict=True) if on]

    gradients = learning(gradient)
    norm = regularisation.norm(gradients) if options.with_norm else None
    regularisation.clip(gradients, options.clip_value, options.clip_norm)
    if all(trainable):  # the rules work on each element alone: all at once, or in parts
        update(parameters, gradient, tuple(state))
    else:
        parts = zip(learning(parameters), gradients, *map(learning, state), strict=True)
        for some, gradient_of_some, *state_of_some in parts:
            update(some, gradient_of_some, state_of_some)
    if options.max_norm is not None:
        weights = zip(architecture.views(parameters)[0], trainable, strict=True)
        regularisation.bound_columns([w for w, on in weights if on], options.max_norm)
    return norm
