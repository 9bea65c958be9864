"""The solver of a fit, on one process or on the ranks of a communicator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._sklearn.callbacks import Context
from .._sklearn.parameters import STOCHASTIC_SOLVERS
from . import ranks
from .descent import fit_stochastic
from .given import Given
from .lbfgs import fit_lbfgs
from .sources import SourceRows
from .watching import Rows

if TYPE_CHECKING:
    from ..._cluster.cluster import Cluster


def solve(
    estimator: Any,
    rows: Any,
    validation: Rows | SourceRows | None,
    context: Context | None,
    given: Given,
    *,
    cluster: Cluster | None,
) -> None:
    """Fit an estimator whose parameters are drawn to checked rows."""

    def fit() -> None:
        if estimator.solver == "lbfgs":
            fit_lbfgs(estimator, rows, context, cluster)
        elif estimator.solver not in STOCHASTIC_SOLVERS:
            from .second_order import fit_second_order  # of no use to others

            fit_second_order(estimator, rows, context, cluster)
        else:
            fit_stochastic(estimator, rows, validation, given, context, cluster)

    ranks.train(cluster, estimator, fit)
