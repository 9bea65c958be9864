"""The second derivatives of a network as its methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from fastmlp import kernels
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._naming import find
from .._typing import Array, Penalties
from . import arguments

if TYPE_CHECKING:
    from .laplace import Laplace
else:
    Laplace = Any  # for ``typing.get_type_hints``


class SecondDerivatives:
    """What a network offers of its second derivatives; a part of :class:`fastmlp.MLP`."""

    architecture: Any
    dtype: np.dtype[Any]
    n_threads: int | None
    parameters: Array
    _loss: Any
    _batch: Any
    _connect: Any

    def hessian_product(
        self,
        X: ArrayLike,
        y: ArrayLike,
        v: ArrayLike,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Array:
        """The Hessian of the mean loss times a vector, ``(n_parameters,)``, without the Hessian.

        Parameters
        ----------
        X, y : arrays
            As in :meth:`fit`.
        v : (n_parameters,) array-like
            Laid out as ``net.parameters``.
        loss, sample_weight : a loss, and (n,) array-like
            As in :meth:`fit`.

        Returns
        -------
        (n_parameters,) array
            Exact up to rounding; where a function has a kink its second derivative counts as 0.

        Notes
        -----
        The R-operator of Pearlmutter (1994), at the cost of about 2.5 gradients.
        """
        from . import curvature, second

        net = self.architecture
        x, target, weight, name = self._batch(X, y, self._loss(loss), sample_weight)
        spec = kernels.Loss.of(name)
        curvature.check(spec, *net.activations)
        direction = arguments.like(v, "v", self.parameters.shape, self.dtype)
        result = np.zeros_like(self.parameters)
        scale = arguments.shares(len(x), weight).astype(self.dtype)
        self._connect()
        second.add_hessian_product(self, x, target, spec, scale, direction, result)
        return result

    def gauss_newton(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        trainable: bool | Sequence[bool] = True,
    ) -> Array:
        """The generalised Gauss–Newton matrix of the mean loss, ``(n_parameters, n_parameters)``.

        It stands for the Hessian, is never indefinite, and equals it where the network fits its
        targets or is linear in its parameters. For squared error it is the mean of ``Jᵀ J``.

        Parameters
        ----------
        X, y, loss, sample_weight : arrays, and a loss
            As in :meth:`fit`.
        trainable : bool or sequence of bool, default True
            As in :meth:`fit`: which layers learn. The matrix is that of their parameters alone, and
            costs what they cost.

        Returns
        -------
        (n_parameters, n_parameters) float64 array
            Symmetric, parameters laid out as ``net.parameters``.

        Raises
        ------
        ValueError
            For a loss without curvature, such as ``"absolute_error"`` or ``"hinge"``, or layers
            none of which learn.
        MemoryError
            Where the matrix would take more than 4 GiB, before it is taken.
        """
        from .._training.options import learning_layers
        from . import gauss_newton

        x, target, weight, name = self._batch(X, y, self._loss(loss), sample_weight)
        spec = kernels.Loss.of(name)
        gauss_newton.check(spec)
        learning = learning_layers(trainable, len(self.architecture.sizes) - 1)
        gauss_newton.check_learning(learning)
        return gauss_newton.total(self, x, target, spec, weight, learning)

    def laplace(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        alpha: ArrayLike | None = None,
        beta: float | None = None,
        trainable: bool | Sequence[bool] = True,
        penalties: Penalties = "all",
    ) -> Laplace:
        """Standard deviations of predictions, from the curvature of the loss where training ended.

        Laplace's approximation takes the parameters to be normally distributed around the present
        ones, with the inverse of ``H = β n G + diag(α)`` for covariance: ``G`` is the Gauss–Newton
        matrix of the mean loss, ``α`` the precision of the parameters before the data, ``β`` that
        of the noise of a target (1 for all losses but the squared error).

        Parameters
        ----------
        X, y, loss, sample_weight : arrays, and a loss
            As in :meth:`fit`: the rows that the network was trained with.
        alpha : float or (n_groups,) array-like, optional
            By default those of the greatest evidence (MacKay 1992); after training with
            ``optimizers.BayesianRegularization`` of the same ``penalties`` they agree with its
            last ones.
        beta : float, optional
            Likewise.
        trainable : bool or sequence of bool, default True
            As in :meth:`fit`: which layers learn. The others are taken as known; with the last
            layer alone it is a Bayesian linear regression on what the hidden layers compute.
        penalties : {"all", "layers", "units"}, default "all"
            What shares an ``alpha``, as in ``optimizers.BayesianRegularization``: all parameters,
            each layer, or the weights that leave an input or a hidden unit, and the biases of each
            layer, which come behind its weights. Of ``"units"`` the first ``n_in`` numbers say how
            little each input tells.

        Returns
        -------
        Laplace
            With ``standard_deviations(X)``, ``alpha``, ``beta`` and ``effective_parameters``.

        Raises
        ------
        ValueError
            For a loss without curvature, an ``alpha`` or ``beta`` that is not above 0, more or
            fewer ``alpha`` than groups, unknown ``penalties``, or layers none of which learn.
        MemoryError
            Where the matrix would take more than 4 GiB, before it is taken.

        Examples
        --------
        >>> import numpy as np
        >>> from fastmlp import MLP
        >>> X = np.linspace(-1, 1, 40)[:, None]
        >>> net = MLP([1, 5, 1], "tanh", dtype="f8", random_state=0)
        >>> history = net.fit(X, X**2, optimizer="bayesian_regularization", epochs=40)
        >>> net.laplace(X, X**2).standard_deviations([[0.0], [5.0]]).shape
        (2, 1)
        """
        from .._training.options import learning_layers
        from . import gauss_newton
        from .laplace import approximation

        x, target, weight, name = self._batch(X, y, self._loss(loss), sample_weight)
        spec = kernels.Loss.of(name)
        gauss_newton.check(spec)
        learning = learning_layers(trainable, len(self.architecture.sizes) - 1)
        find("penalties", penalties, get_args(Penalties))
        return approximation(self, (x, target, weight), spec, alpha, beta, learning, penalties)

    def input_hessian(self, X: ArrayLike, *, scores: bool = False) -> Array:
        """Second derivatives of the outputs, ``∂²Y_k / ∂X_i ∂X_j``, of every row.

        What differential equations of second order ask of a network that stands for their solution.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        scores : bool, default False
            Of the scores instead of the outputs.

        Returns
        -------
        (n, n_out, n_in, n_in) array
            Symmetric in the last two.
        """
        from . import curvature, second
        from .tape import tapes

        sizes = self.architecture.sizes
        curvature.check(*self.architecture.activations)
        x = arrays.rows(X, sizes[0], self.dtype)
        out = np.empty((len(x), sizes[-1], sizes[0], sizes[0]), self.dtype)
        for rows, tape in tapes(self, x, scores, sizes[0] * max(sizes) * sizes[-1]):
            out[rows] = second.input_hessian(tape)
        return out
