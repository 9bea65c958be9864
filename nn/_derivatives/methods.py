"""The derivatives of a network as its methods: checks of arguments, and blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._typing import Array
from . import arguments

if TYPE_CHECKING:
    from .tape import Tape

#: Numbers that the largest array of a block of rows holds: its values stay in a core's cache.
_BLOCK = 1 << 18


class Derivatives:
    """What a network offers of its own derivatives; a part of :class:`fastmlp.MLP`.

    In all of them ``X`` is an ``(n, n_in)`` array-like of real numbers (of sparse rows, whose
    derivatives are dense, blocks are unpacked one after the other), and a wrong shape raises
    ``ValueError`` before anything is computed. With ``scores=True`` the outputs are those before
    the output activation.
    """

    architecture: Any
    dtype: np.dtype[Any]
    n_threads: int | None
    parameters: Array
    _loss: Any
    _batch: Any

    def layer_outputs(self, X: ArrayLike, layer: int = -2) -> Array:
        """What a layer computes: its activations, ``(n, n_neurons)``.

        Parameters
        ----------
        X : (n, n_in) array-like
        layer : int, default -2
            Counted as in ``sizes``: 0 is the input, -1 the output, -2 the last hidden layer.

        Examples
        --------
        >>> from fastmlp import MLP
        >>> net = MLP([2, 5, 3], random_state=0)
        >>> net.layer_outputs([[0.0, 1.0]]).shape
        (1, 5)
        """
        sizes = self.architecture.sizes
        place = arguments.layer(layer, len(sizes))
        x = arrays.rows(X, sizes[0], self.dtype)
        out = np.empty((len(x), sizes[place]), self.dtype)
        for rows, tape in self._tapes(x, False, max(sizes)):
            out[rows] = tape.a if place == len(sizes) - 1 else tape.inputs[place]
        return out

    def vjp(
        self, X: ArrayLike, dY: ArrayLike, *, parameters: bool = False, scores: bool = False
    ) -> Array | tuple[Array, Array]:
        """Vector-Jacobian product: the gradient of ``Σ dY ⊙ Y`` by the inputs.

        Parameters
        ----------
        X : (n, n_in) array-like
        dY : (n, n_out) array-like
            Derivatives of whatever is built upon the outputs ``Y``.
        parameters : bool, default False
            Return the gradient by the parameters, too.
        scores : bool, default False

        Returns
        -------
        dX : (n, n_in) array
        gradient : (n_parameters,) array
            Only with ``parameters=True``; laid out as ``net.parameters``, summed over the rows.

        Examples
        --------
        >>> from fastmlp import MLP
        >>> net = MLP([2, 1], random_state=0)
        >>> bool((net.vjp([[3.0, 4.0]], [[1.0]]) == net.weights[0].T).all())
        True
        """
        from . import first

        net = self.architecture
        x = arrays.rows(X, net.sizes[0], self.dtype)
        d_y = arguments.like(dY, "dY", (len(x), net.sizes[-1]), self.dtype)
        d_x = np.empty((len(x), net.sizes[0]), self.dtype)
        gradient = np.zeros_like(self.parameters) if parameters else None
        for rows, tape in self._tapes(x, scores, max(net.sizes)):
            delta = tape.through_output(d_y[rows])
            if gradient is None:
                d_x[rows] = first.to_inputs(tape, delta)
                continue
            deltas = first.errors(tape, delta)
            first.add_gradient(tape, deltas, net.views(gradient))
            d_x[rows] = tape.times_transposed(0, deltas[0])
        return d_x if gradient is None else (d_x, gradient)

    def jvp(self, X: ArrayLike, dX: ArrayLike, *, scores: bool = False) -> Array:
        """Jacobian-vector product: how the outputs of each row move along ``dX``.

        Parameters
        ----------
        X : (n, n_in) array-like
        dX : (n, n_in) array-like
            A direction for each row.
        scores : bool, default False

        Returns
        -------
        dY : (n, n_out) array
        """
        from . import first

        sizes = self.architecture.sizes
        x = arrays.rows(X, sizes[0], self.dtype)
        d_x = arguments.like(dX, "dX", (len(x), sizes[0]), self.dtype)
        d_y = np.empty((len(x), sizes[-1]), self.dtype)
        for rows, tape in self._tapes(x, scores, max(sizes)):
            d_y[rows] = first.jvp(tape, d_x[rows])
        return d_y

    def jacobian(self, X: ArrayLike, *, scores: bool = False) -> Array:
        """``∂Y_k / ∂X_i`` of every row, ``(n, n_out, n_in)``.

        Parameters
        ----------
        X : (n, n_in) array-like
        scores : bool, default False

        Returns
        -------
        (n, n_out, n_in) array
        """
        from . import first

        sizes = self.architecture.sizes
        x = arrays.rows(X, sizes[0], self.dtype)
        out = np.empty((len(x), sizes[-1], sizes[0]), self.dtype)
        for rows, tape in self._tapes(x, scores, max(sizes) * min(sizes[0], sizes[-1])):
            out[rows] = first.jacobian(tape)
        return out

    def parameter_jacobian(self, X: ArrayLike, *, scores: bool = False) -> Array:
        """``∂Y_k / ∂θ`` of every row, ``(n, n_out, n_parameters)``, for small networks.

        Parameters
        ----------
        X : (n, n_in) array-like
        scores : bool, default False

        Returns
        -------
        (n, n_out, n_parameters) array
            Parameters laid out as ``net.parameters``.

        Raises
        ------
        MemoryError
            Where it would take more than 4 GiB, before it is taken.
        """
        from . import first

        net = self.architecture
        x = arrays.rows(X, net.sizes[0], self.dtype)
        shape = (len(x), net.sizes[-1], net.n_parameters)
        out = np.empty(arguments.affordable(shape, self.dtype.itemsize), self.dtype)
        for rows, tape in self._tapes(x, scores, net.sizes[-1] * net.n_parameters):
            first.parameter_jacobian(tape, out[rows], net.views)
        return out

    def input_gradients(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Array:
        """The gradient of each row's loss by that row's inputs, ``(n, n_in)``.

        Parameters
        ----------
        X, y, loss : arrays, and a loss
            As in :meth:`fit`.
        sample_weight : (n,) array-like, optional
            Factor of each row's loss. (It is not divided by the number of rows.)

        Returns
        -------
        (n, n_in) array
        """
        from . import first

        x, target, weight, spec = self._batch(X, y, self._loss(loss), sample_weight)
        net = self.architecture
        out = np.empty((len(x), net.sizes[0]), self.dtype)
        for rows, tape in self._tapes(x, False, max(net.sizes)):
            delta = kernels.output_delta(
                tape.z,
                target[rows],
                spec,
                net.output,
                sample_weight=None if weight is None else weight[rows],
                n_threads=self.n_threads,
            )
            out[rows] = first.to_inputs(tape, delta)
        return out

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
        loss, sample_weight : optional
            As in :meth:`fit`.

        Returns
        -------
        (n_parameters,) array
            Exact up to rounding; where a function has a kink its second derivative counts as 0.

        Notes
        -----
        The R-operator of Pearlmutter (1994), at the cost of about 2.7 gradients.
        """
        from . import curvature, second

        net = self.architecture
        x, target, weight, name = self._batch(X, y, self._loss(loss), sample_weight)
        spec = kernels.Loss.of(name)
        curvature.check(spec, *net.activations)
        direction = arguments.like(v, "v", self.parameters.shape, self.dtype)
        result = np.zeros_like(self.parameters)
        scale = arguments.shares(len(x), weight).astype(self.dtype)[:, None]
        parts = net.views(direction), net.views(result)
        for rows, tape in self._tapes(x, False, max(net.sizes)):
            second.add_hessian_product(tape, target[rows], spec, scale[rows], *parts)
        return result

    def gauss_newton(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Array:
        """The generalised Gauss–Newton matrix of the mean loss, ``(n_parameters, n_parameters)``.

        It stands for the Hessian, is never indefinite, and equals it where the network fits its
        targets or is linear in its parameters. For squared error it is the mean of ``Jᵀ J``.

        Parameters
        ----------
        X, y, loss, sample_weight : arrays, and a loss
            As in :meth:`fit`.

        Returns
        -------
        (n_parameters, n_parameters) float64 array
            Symmetric, parameters laid out as ``net.parameters``.

        Raises
        ------
        ValueError
            For a loss without curvature, such as ``"absolute_error"`` or ``"hinge"``.
        MemoryError
            Where the matrix would take more than 4 GiB, before it is taken.
        """
        from . import first
        from . import gauss_newton as matrix

        net = self.architecture
        x, target, weight, name = self._batch(X, y, self._loss(loss), sample_weight)
        spec = kernels.Loss.of(name)
        matrix.check(spec)
        out = np.zeros(arguments.affordable((net.n_parameters, net.n_parameters), 8))
        places = first.parameter_slices(net.views, net.n_parameters)
        roots = np.sqrt(arguments.shares(len(x), weight)).astype(self.dtype)[:, None, None]
        numbers_a_row = net.sizes[-1] * net.n_parameters
        for rows, tape in self._tapes(x, False, numbers_a_row):
            error = matrix.root(tape, target[rows], spec) * roots[rows]
            matrix.add(tape, error, out, places)
        return matrix.symmetric(out)

    def input_hessian(self, X: ArrayLike, *, scores: bool = False) -> Array:
        """Second derivatives of the outputs, ``∂²Y_k / ∂X_i ∂X_j``, of every row.

        What differential equations of second order ask of a network that stands for their solution.

        Parameters
        ----------
        X : (n, n_in) array-like
        scores : bool, default False

        Returns
        -------
        (n, n_out, n_in, n_in) array
        """
        from . import curvature, second

        sizes = self.architecture.sizes
        curvature.check(*self.architecture.activations)
        x = arrays.rows(X, sizes[0], self.dtype)
        out = np.empty((len(x), sizes[-1], sizes[0], sizes[0]), self.dtype)
        for rows, tape in self._tapes(x, scores, sizes[0] * max(sizes) * sizes[-1]):
            out[rows] = second.input_hessian(tape)
        return out

    def _tapes(self, x: Any, scores: bool, numbers_a_row: int) -> Iterator[tuple[slice, Tape]]:
        """Blocks of rows, with the forward pass over each."""
        from .tape import Tape

        block = max(64, _BLOCK // numbers_a_row)
        for begin in range(0, len(x), block):
            rows = slice(begin, min(begin + block, len(x)))
            yield rows, Tape(self, arguments.dense(x, rows), scores)  # type: ignore[arg-type]
