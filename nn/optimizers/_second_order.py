"""Optimizers that solve with the curvature of the loss: for small networks, to high accuracy.

Each epoch is one iteration with all rows, whatever ``batch_size`` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from fastmlp.kernels import UpdateRule

from .. import _naming
from .._inputs.numbers import count, number
from .._typing import Penalties
from ._base import Optimizer, positive
from ._directions import Curvature, Evidence
from ._full_batch import FullBatch


@dataclass(frozen=True)
class LevenbergMarquardt(FullBatch, Optimizer):
    """Damped Gauss–Newton steps, ``(G + λ I) s = -∇C``: MATLAB's ``trainlm``.

    ``G`` is ``Jᵀ J`` for squared errors (of any number of outputs), and the generalised
    Gauss–Newton matrix for cross-entropies, Poisson, Huber, log-cosh and the squared hinge. The
    damping ``λ`` is divided after a step that lowers the cost, and multiplied until one does.

    An iteration takes ``n p² / 2`` operations and ``p²`` numbers for ``p`` parameters: up to some
    thousand of them it reaches in seconds what gradient methods do not reach at all.

    Parameters
    ----------
    damping : float, default 1e-3
        The first ``λ``, as a multiple of the largest diagonal element of ``G``.
    up, down : float, default 3, 0.3
        Factors of ``λ`` after a step that failed, and one that did not; ``0 < down < 1 < up``.
    max_parameters : int, default 3000
        More than that are refused, before any memory is taken.
    subset : int, optional
        Rows to work on, drawn once in each ``fit``; by default all.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    K. Levenberg, 1944; D. Marquardt, "An algorithm for least-squares estimation of nonlinear
    parameters", 1963; M. Hagan, M. Menhaj, "Training feedforward networks with the Marquardt
    algorithm", 1994; N. Schraudolph, "Fast curvature matrix-vector products for second-order
    gradient descent", 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, optimizers
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> net = MLP([1, 8, 1], "tanh", dtype="f8", random_state=0)
    >>> history = net.fit(X, np.sin(3 * X), optimizer=optimizers.LevenbergMarquardt(), epochs=100)
    >>> history.loss[-1] < 1e-6
    True
    """

    learning_rate: ClassVar[float] = 1.0  # type: ignore[misc]  # steps are solved for

    damping: float = 1e-3
    up: float = 3.0
    down: float = 0.3
    max_parameters: int = 3000
    subset: int | None = None

    def __post_init__(self) -> None:
        positive(damping=self.damping, up=self.up, down=self.down)
        if not number("down", self.down) < 1 < self.up:
            raise ValueError(
                f"down and up must satisfy 0 < down < 1 < up, got {self.down!r} and {self.up!r}"
            )
        count("max_parameters", self.max_parameters, 1)
        if self.subset is not None:
            count("subset", self.subset, 1)

    def update_rule(self) -> UpdateRule:
        raise TypeError(f"{type(self).__name__} is no element-wise update rule; use it with fit")

    def method(self) -> Curvature:
        # Python's numbers: NumPy's would give the parameters their own dtype.
        damping, up, down = map(float, (self.damping, self.up, self.down))
        return Curvature(type(self).__name__, damping, up, down, int(self.max_parameters))


@dataclass(frozen=True)
class BayesianRegularization(LevenbergMarquardt):
    """Levenberg–Marquardt that learns how strongly to penalise: MATLAB's ``trainbr``.

    The cost is ``½ β Σ r² + ½ Σ α_k ‖θ_k‖²``, over groups ``θ_k`` of the parameters. After each
    step the precisions ``α_k`` and ``β`` are set to what the data make most probable; ``γ``, the
    effective number of parameters, says how many of them the data determine. No validation rows are
    needed, and a network that is too large does no harm.

    What is learnt depends on when the penalty begins to be learnt: a network that has learnt
    nothing yet seems to need none of its parameters, one that has learnt the noise all of them.
    Several descents begin at different times, and the one of the greatest evidence is the
    network; after ``trial`` iterations it goes on alone, at a fraction of the cost of an iteration.

    For the squared error, without ``l2``. The history has the curves ``alpha`` (of all parameters
    together, ``γ / ‖θ‖²``), ``beta``, ``effective_parameters`` and ``log_evidence``, by which
    networks of several sizes may be compared; its ``loss`` is that of the data alone.

    Parameters
    ----------
    damping, up, down : float, default 0.001, 3, 0.3
        As of :class:`LevenbergMarquardt`.
    max_parameters : int, default 3000
        As of :class:`LevenbergMarquardt`.
    subset : int, optional
        As of :class:`LevenbergMarquardt`.
    penalties : {"units", "layers", "all"}, default "units"
        What shares a precision: the weights that leave an input or a hidden unit, so that those
        that tell nothing are left out (automatic relevance determination), and each layer's biases;
        each layer; or all parameters, as in ``trainbr``. ``net.laplace(X, y, penalties="units")``
        has them as its ``alpha``.
    starts : tuple of int, default (0, 3, 10, 30)
        Iterations after which a descent begins to learn its penalty.
    trial : int, default 60
        Iterations after which the descent of the greatest evidence goes on alone.

    Raises
    ------
    ValueError
        For a constant outside its range, no start, or one after the trial.

    References
    ----------
    D. MacKay, "Bayesian interpolation", 1992; D. MacKay, "A practical Bayesian framework for
    backpropagation networks", 1992; F. D. Foresee, M. Hagan, "Gauss-Newton approximation to
    Bayesian learning", 1997; R. Neal, "Bayesian learning for neural networks", 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, optimizers
    >>> X = np.random.default_rng(0).normal(size=(80, 3))  # the last two inputs tell nothing
    >>> net = MLP([3, 6, 1], "tanh", dtype="f8", random_state=0)
    >>> rule = optimizers.BayesianRegularization()
    >>> history = net.fit(X, np.sin(X[:, :1]), optimizer=rule, epochs=100)
    >>> bool((abs(net.weights[0][1:]) < 1e-3).all())
    True
    """

    penalties: Penalties = "units"
    starts: tuple[int, ...] = (0, 3, 10, 30)
    trial: int = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        _naming.find("penalties", self.penalties, get_args(Penalties))
        if not isinstance(self.starts, (tuple, list)) or not self.starts:
            raise ValueError(f"starts must be a tuple of integers, got {self.starts!r}")
        last = max(count("starts", start, 0) for start in self.starts)
        if last >= count("trial", self.trial, 1):
            raise ValueError(f"starts must come before trial={self.trial}, got {self.starts!r}")

    def method(self) -> Curvature:
        starts = tuple(int(start) for start in self.starts)
        evidence = Evidence(self.penalties, starts, int(self.trial))
        return super().method()._replace(evidence=evidence)
