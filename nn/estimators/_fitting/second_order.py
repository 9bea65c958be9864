"""Levenberg–Marquardt and Bayesian regularisation on all rows, in float64."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels

from ..._cluster.trainer import full_gradient
from ..._inputs import sparse
from ..._network import blocks
from ..._training.full_batch import curved, second_order
from ..._typing import Array
from ...optimizers import BayesianRegularization, LevenbergMarquardt
from .._sklearn.compat import ConvergenceWarning
from .._sklearn.warn import warn
from . import ranks
from .watching import Rows

if TYPE_CHECKING:
    from ..._cluster.cluster import Cluster

#: The optimizers behind the solvers.
SOLVERS = {"lm": LevenbergMarquardt, "br": BayesianRegularization}


def fit_second_order(
    estimator: Any, rows: Rows, context: Any, cluster: Cluster | None = None
) -> None:
    """Minimise the penalised loss; ``tol`` bounds the gradient."""
    x = sparse.for_engine(rows.x, np.float64)
    target, weight = rows.target, rows.weight
    if target.dtype.kind == "f":
        target = target.astype(np.float64, copy=False)
    weight = None if weight is None else weight.astype(np.float64)
    total = len(target) if weight is None else float(weight.sum())
    trainer = _trainer(estimator, total, cluster)
    stopped = ranks.of_first(cluster)
    parameters = estimator._packed().astype(np.float64)
    trainer.load(parameters)
    estimator.stop_reason_ = "epochs"
    estimator.effective_parameters_ = estimator.log_evidence_ = None
    for done in range(1, estimator.max_iter + 1):
        task = context and context.begin_epoch()
        value = trainer.run_epoch(x, target, None, 1.0, sample_weight=weight)
        estimator.n_iter_, estimator.loss_ = done, value
        if estimator.verbose and ranks.speaks(cluster):
            print(f"Iteration {done}, loss = {value:.8f}")
        trainer.store(parameters)
        if task is not None:
            estimator._write_back(parameters)
        if stopped(task is not None and task.end()):
            estimator.stop_reason_ = "callback"
            break
        if trainer.gradient_norm <= estimator.tol:
            estimator.stop_reason_ = "converged"
            break
        if trainer.stuck is not None:
            estimator.stop_reason_ = "line_search"
            break
    if estimator.solver == "br":
        estimator.effective_parameters_ = trainer.curves["effective_parameters"]
        estimator.log_evidence_ = trainer.curves["log_evidence"]
    estimator._adopt(np.ascontiguousarray(parameters, estimator.dtype or np.float64))
    if estimator.stop_reason_ == "epochs" and ranks.speaks(cluster):
        warn(
            f"{estimator.solver} has not converged after {estimator.max_iter} iteration(s). You "
            "might increase the number of iterations (max_iter) or improve it by scaling the data.",
            ConvergenceWarning,
        )


def _trainer(estimator: Any, total: float, cluster: Cluster | None) -> second_order.DampedTrainer:
    """The trainer of the estimator's network and loss."""
    network = estimator._network(np.dtype(np.float64))
    loss = kernels.Loss.of(estimator._engine_loss())
    l2 = estimator.alpha / total if estimator.solver == "lm" else 0.0

    def cost(parameters: Array, x: Any, target: Array, weight: Any, out: Array) -> float:
        rows = parameters, x, target, loss, weight, out
        if cluster is not None:
            return full_gradient(cluster, network, *rows, l2=l2)
        value, _ = blocks.loss_and_gradient(network, *rows, l2=l2)
        return value

    described = SimpleNamespace(
        architecture=network.architecture, n_threads=estimator.n_threads, dtype=np.dtype("f8")
    )
    curve = curved.curve(network, loss, cost, l2, cluster)
    method = SOLVERS[estimator.solver]().method()
    return second_order.trainer(described, loss, method, curve, l2=l2)
