"""Single steps of a trainer, on rows with targets or with somebody's derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._network import blocks
from .._network.batch import Batch
from .._streams.stream import StreamBatch
from .._typing import Array
from . import plan
from .state import Resumable

if TYPE_CHECKING:
    from .._network.network import Network


class SingleSteps(Resumable):
    """What a :class:`fastmlp.Trainer` does with the rows of one step."""

    def step(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Make one step with all of the rows, whatever the ``batch_size``.

        Parameters
        ----------
        X, y, sample_weight : arrays
            As those of ``MLP.fit``. Contiguous arrays of the network's dtype (labels: of intp) are
            used as they are, without a copy.

        Returns
        -------
        float
            Mean loss of the rows before the update, penalties included.
        """
        engine, rates = self._engine, self._rates
        run_step = engine.run_step
        if run_step is not None and self._unweighted and rates.fixed:
            rate, low, high = rates.learning_rate, self._low, self._high
            loss = run_step(
                X, y, rate, self._parameters, engine.shown, sample_weight, False, low, high
            )
            if loss is not None:
                return loss
        return self._step(X, y, sample_weight)

    def _step(self, X: Any, y: Any, sample_weight: Any) -> float:
        """Make a step on arrays that are to be checked and converted."""
        batch = self._step_rows(X, y, sample_weight)
        steps = self._engine.prepared(len(batch.target), at_least=True)
        if self._known.searches:
            steps.new_rows()
        loss: float = steps.run_epoch(
            batch.x, batch.target, None, self._rate(), sample_weight=batch.weight
        )
        self._engine.show()
        return loss

    def step_delta(self, X: ArrayLike, dL_da: ArrayLike) -> None:
        """Make one step along a gradient of the caller's own loss.

        Policy gradients, adjoints, losses of several networks: whatever the loss, all that is
        needed are its derivatives by the values of the output layer. Penalties, dropout and
        clipping are those of the trainer.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        dL_da : (n, n_out) array-like
            ``∂L/∂a`` for each row; ``(n,)`` for one output. The gradient is that of ``L`` itself,
            a sum over the rows: divide by ``n`` for a mean.

        Raises
        ------
        ValueError
            For an optimizer with line search, which needs the loss.
        """
        engine, rates = self._engine, self._rates
        if engine.run_step is not None and rates.fixed:
            rate = rates.learning_rate
            shown = self._parameters, engine.shown
            if engine.run_step(X, dL_da, rate, *shown, None, True) is not None:
                return
        if self._known.searches:
            raise ValueError("step_delta needs an optimizer without a line search")
        x, delta = output_gradient(self._network, X, dL_da)
        run_step = self._engine.prepared(len(x), at_least=True).run_step
        run_step(x, delta, self._rate(), self._parameters, engine.shown, None, True)

    def gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> list[tuple[Array, Array]]:
        """Gradients of the mean loss with its penalties, those that a step would follow.

        Without dropout and clipping; nothing changes.

        Parameters
        ----------
        X, y, sample_weight : arrays
            As in :meth:`step`.

        Returns
        -------
        list of (dW, db)
            ``∇W^l``, ``(n_in, n_out)``, and ``∇b^l``, ``(n_out,)``, for each layer.
        """
        net, engine = self._network, self._known.engine
        batch = self._step_rows(X, y, sample_weight)
        net._connect()
        _, gradient = blocks.loss_and_gradient(
            *(net._network, net.parameters, batch.x, batch.target, batch.loss, batch.weight),
            l2=engine.l2,
            l1=engine.l1,
        )
        return list(zip(*net.architecture.views(gradient), strict=True))

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> Batch | StreamBatch:
        net, known = self._network, self._known
        plain = X.__class__ is np.ndarray and not self._factors
        if plain and kernels.plain_samples(
            net.architecture, net.dtype, X, y, sample_weight, *known.plain_targets
        ):
            target = y if y.ndim == 2 or y.dtype.kind == "i" else y.reshape(-1, 1)
            return plan.weighed(net, Batch(X, target, sample_weight, known.loss), class_weight)
        return plan.rows(net, known, X, y, sample_weight, class_weight)

    def _step_rows(self, X: Any, y: Any, sample_weight: Any) -> Batch:
        given = self._options.class_weight
        if isinstance(given, str):  # of the step's rows alone it would be another
            raise ValueError(f"class_weight={given!r} needs all rows: give a dict to make steps")
        batch = self._rows(X, y, sample_weight, given)
        if not isinstance(batch, Batch):
            raise TypeError("a step takes X and y; a source is for run and fit")
        return batch

    def _rate(self) -> float:
        """Learning rate of a single step: schedules of steps count them all."""
        rates = self._rates
        fixed = rates.learning_rate if rates.fixed else None
        return rates.of_step(self._engine.step, self.history.epochs) if fixed is None else fixed


def output_gradient(network: Network, X: Any, dL_da: Any) -> tuple[Array, Array]:
    """Rows, and the derivatives of somebody's loss by their outputs, as the engine takes them."""
    sizes, dtype = network.architecture.sizes, network.dtype
    x = arrays.rows(X, sizes[0], dtype)
    if isinstance(x, CSR):
        raise TypeError("step_delta takes rows in an array, and X is sparse: X.toarray()")
    if len(x) == 0:
        raise ValueError("X has no rows")
    arrays.finite(x, "X")
    delta = arrays.numeric(dL_da, "dL_da").astype(dtype, copy=False)
    if delta.shape == (len(x),) and sizes[-1] == 1:
        delta = delta.reshape(-1, 1)
    if delta.shape != (len(x), sizes[-1]):
        raise ValueError(f"dL_da must have shape {(len(x), sizes[-1])}, got {delta.shape}")
    arrays.finite(delta, "dL_da")
    return np.ascontiguousarray(x), np.ascontiguousarray(delta)
