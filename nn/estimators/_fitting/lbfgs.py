"""L-BFGS of scipy on the engine's loss and gradient, all rows in every step, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._cluster.trainer import full_gradient
from ..._inputs import sparse
from ..._network import blocks
from ..._typing import Array
from .._sklearn.compat import ConvergenceWarning
from .._sklearn.warn import warn
from .ranks import speaks
from .watching import Rows

if TYPE_CHECKING:
    from ..._cluster.cluster import Cluster


def fit_lbfgs(estimator: Any, rows: Rows, context: Any, cluster: Cluster | None = None) -> None:
    """Minimise the penalised loss; ``tol`` bounds the gradient.

    Of several ranks the first minimises, and all of them compute what it asks for.
    """
    try:
        from scipy.optimize import minimize  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError(
            "solver='lbfgs' needs scipy: pip install scipy, or choose solver='adam'"
        ) from error
    iterations = _Iterations(estimator, context)

    def minimized(objective: Callable[[Array], tuple[float, Array]]) -> Any:
        return minimize(
            objective,
            estimator._packed().astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=iterations.ended if estimator.verbose or context else None,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
            },
        )

    objective = _objective(estimator, rows, cluster)
    result = minimized(objective) if cluster is None else _led(cluster, minimized, objective)
    estimator._adopt(np.ascontiguousarray(result.x, estimator.dtype or np.float64))
    estimator.n_iter_ = min(int(result.nit), estimator.max_iter)
    estimator.loss_ = float(result.fun)
    estimator.stop_reason_ = _reason(result, estimator)
    if speaks(cluster) and result.status != 0 and estimator.stop_reason_ != "callback":
        warn(
            f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) "
            f"(status={result.status}): {result.message}. You might increase the number of "
            f"iterations (max_iter={estimator.max_iter}) or improve it by scaling the data.",
            ConvergenceWarning,
        )


def _led(
    cluster: Cluster,
    minimized: Callable[[Callable[[Array], tuple[float, Array]]], Any],
    objective: Callable[[Array], tuple[float, Array]],
) -> Any:
    """The result of rank 0, for which all ranks evaluate where it looks."""

    def shared(parameters: Array | None) -> tuple[float, Array] | None:
        found: Array | None = cluster.of_first(parameters)
        return None if found is None else objective(found)

    if cluster.leads:
        result = minimized(shared)  # type: ignore[arg-type]
        shared(None)
    else:
        result = None
        while shared(None) is not None:
            pass
    return cluster.of_first(result)


def _objective(
    estimator: Any, rows: Rows, cluster: Cluster | None
) -> Callable[[Array], tuple[float, Array]]:
    """Penalised loss of all rows and its gradient, by the parameters."""
    x = sparse.for_engine(rows.x, np.float64)
    target, weight = rows.target, rows.weight
    if target.dtype.kind == "f":
        target = target.astype(np.float64, copy=False)
    total = float(len(target))
    if weight is not None:
        weight = weight.astype(np.float64)
        total = float(weight.sum())
    l2 = estimator.alpha / total
    loss = estimator._engine_loss()
    network = estimator._network(np.dtype(np.float64))
    outputs = estimator.n_outputs_ if estimator._shows_mean() else 1
    n_weights = sum(np.size(w) for w in estimator.coefs_)

    def objective(parameters: Array) -> tuple[float, Array]:
        if cluster is None:
            value, gradient = blocks.loss_and_gradient(
                network, parameters, x, target, loss, weight, l2=l2
            )
        else:
            gradient = np.empty_like(parameters)
            value = full_gradient(
                cluster, network, parameters, x, target, loss, weight, gradient, l2=l2
            )
        if outputs > 1:
            # scikit-learn's pair: the mean over outputs with the gradient of the sum.
            weights = parameters[:n_weights]
            penalty = 0.5 * l2 * float(weights @ weights)
            value = (value - penalty) / outputs + penalty
        return value, gradient

    return objective


class _Iterations:
    """What is told after each iteration: the loss, and scikit-learn's callbacks."""

    def __init__(self, estimator: Any, context: Any) -> None:
        self.estimator, self.context = estimator, context
        self.done = 0
        self.task = context and context.begin_epoch()

    def ended(self, intermediate_result: Any) -> None:
        """Take scipy's intermediate result; ``StopIteration`` ends the minimisation."""
        self.done += 1
        if self.estimator.verbose:
            print(f"Iteration {self.done}, loss = {intermediate_result.fun:.8f}")
        if self.task is None:
            return
        self.estimator._write_back(intermediate_result.x)
        if self.task.end():
            raise StopIteration
        more = self.done < self.estimator.max_iter
        self.task = self.context.begin_epoch() if more else None


def _reason(result: Any, estimator: Any) -> str:
    if result.status == 0:
        return "converged"
    if result.nit >= estimator.max_iter or result.nfev >= estimator.max_fun:
        return "epochs"
    return "callback" if result.status == 99 else "line_search"
