"""The derivatives of a network as its methods: checks of arguments, and blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from fastmlp import kernels
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._typing import Array
from . import arguments
from .of_second_order import SecondDerivatives


class Derivatives(SecondDerivatives):
    """What a network offers of its own derivatives; a part of :class:`fastmlp.MLP`.

    In all of them ``X`` is an ``(n, n_in)`` array-like of real numbers (of sparse rows, whose
    derivatives are dense, blocks are unpacked one after the other), and a wrong shape raises
    ``ValueError`` before anything is computed. With ``scores=True`` the outputs are those before
    the output activation.
    """

    _architecture: kernels.Architecture
    _parameters: Array
    _dtype: np.dtype[Any]
    _few: int
    _network: Any
    _backend: Any
    _connect: Any
    _known_loss: tuple[Any, Any, float, float] | None

    def layer_outputs(self, X: ArrayLike, layer: int = -2) -> Array:
        """What a layer computes: its activations, ``(n, n_neurons)``.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        layer : int, default -2
            Counted as in ``sizes``: 0 is the input, -1 the output, -2 the last hidden layer.

        Returns
        -------
        (n, n_neurons) array
            After the activation.

        Examples
        --------
        >>> from fastmlp import MLP
        >>> net = MLP([2, 5, 3], random_state=0)
        >>> net.layer_outputs([[0.0, 1.0]]).shape
        (1, 5)
        """
        from .tape import tapes

        sizes = self.architecture.sizes
        place = arguments.layer(layer, len(sizes))
        x = arrays.rows(X, sizes[0], self.dtype)
        out = np.empty((len(x), sizes[place]), self.dtype)
        for rows, tape in tapes(self, x, False, max(sizes)):
            out[rows] = tape.a if place == len(sizes) - 1 else tape.inputs[place]
        return out

    def vjp(
        self, X: ArrayLike, dY: ArrayLike, *, parameters: bool = False, scores: bool = False
    ) -> Array | tuple[Array, Array]:
        """Vector-Jacobian product: the gradient of ``Σ dY ⊙ Y`` by the inputs.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        dY : (n, n_out) array-like
            Derivatives of whatever is built upon the outputs ``Y``.
        parameters : bool, default False
            Return the gradient by the parameters, too.
        scores : bool, default False
            Let ``Y`` be the scores instead of the outputs.

        Returns
        -------
        dX : (n, n_in) array
            Gradient by the inputs.
        gradient : (n_parameters,) array
            Only with ``parameters=True``; laid out as ``net.parameters``, summed over the rows.

        Examples
        --------
        >>> from fastmlp import MLP
        >>> net = MLP([2, 1], random_state=0)
        >>> bool((net.vjp([[3.0, 4.0]], [[1.0]]) == net.weights[0].T).all())
        True
        """
        if not parameters:
            found = self._at_once("vjp", X, dY, scores)
            if found is not None:
                return found
        net = self.architecture
        x = arrays.rows(X, net.sizes[0], self.dtype)
        d_y = arguments.like(dY, "dY", (len(x), net.sizes[-1]), self.dtype)
        d_x = np.empty((len(x), net.sizes[0]), self.dtype)
        for rows, part in self._blocks(x):
            self._network.vjp(self.parameters, part, d_y[rows], scores=scores, out=d_x[rows])
        if not parameters:
            return d_x
        from . import first
        from .tape import tapes

        gradient = np.zeros_like(self.parameters)
        for rows, tape in tapes(self, x, scores, max(net.sizes)):
            deltas = first.errors(tape, tape.through_output(d_y[rows]))
            first.add_gradient(tape, deltas, net.views(gradient))
        return d_x, gradient

    def jvp(self, X: ArrayLike, dX: ArrayLike, *, scores: bool = False) -> Array:
        """Jacobian-vector product: how the outputs of each row move along ``dX``.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        dX : (n, n_in) array-like
            A direction for each row.
        scores : bool, default False
            Of the scores instead of the outputs.

        Returns
        -------
        (n, n_out) array
            ``dY``.
        """
        found = self._at_once("jvp", X, dX, scores)
        if found is not None:
            return found
        sizes = self.architecture.sizes
        x = arrays.rows(X, sizes[0], self.dtype)
        d_x = arguments.like(dX, "dX", (len(x), sizes[0]), self.dtype)
        d_y = np.empty((len(x), sizes[-1]), self.dtype)
        for rows, part in self._blocks(x):
            self._network.jvp(self.parameters, part, d_x[rows], scores=scores, out=d_y[rows])
        return d_y

    def jacobian(self, X: ArrayLike, *, scores: bool = False) -> Array:
        """``∂Y_k / ∂X_i`` of every row, ``(n, n_out, n_in)``.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        scores : bool, default False
            Of the scores instead of the outputs.

        Returns
        -------
        (n, n_out, n_in) array
            In the dtype of the network.
        """
        found = self._at_once("jacobian", X, None, scores)
        if found is not None:
            return found
        sizes = self.architecture.sizes
        x = arrays.rows(X, sizes[0], self.dtype)
        out = np.empty((len(x), sizes[-1], sizes[0]), self.dtype)
        for rows, part in self._blocks(x, min(sizes[0], sizes[-1])):
            self._network.jacobian(self.parameters, part, scores=scores, out=out[rows])
        return out

    def parameter_jacobian(self, X: ArrayLike, *, scores: bool = False) -> Array:
        """``∂Y_k / ∂θ`` of every row, ``(n, n_out, n_parameters)``, for small networks.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        scores : bool, default False
            Of the scores instead of the outputs.

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
        from .tape import tapes

        net = self.architecture
        x = arrays.rows(X, net.sizes[0], self.dtype)
        shape = (len(x), net.sizes[-1], net.n_parameters)
        out = np.empty(arguments.affordable(shape, self.dtype.itemsize), self.dtype)
        for rows, tape in tapes(self, x, scores, net.sizes[-1] * net.n_parameters):
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
        sample_weight : (n,) or (n, n_targets) array-like, optional
            Factor of each row's loss, or of each of its targets', which is not divided by the
            number of rows.

        Returns
        -------
        (n, n_in) array
            Zero where an input has no part.
        """
        found = self._gradients_at_once(X, y, loss, sample_weight)
        if found is not None:
            return found
        x, target, weight, name = self._batch(X, y, self._loss(loss), sample_weight)
        out = np.empty((len(x), self.architecture.sizes[0]), self.dtype)
        for rows, part in self._blocks(x):
            weights = None if weight is None else weight[rows]
            self._network.input_gradients(
                *(self.parameters, part, target[rows], name), sample_weight=weights, out=out[rows]
            )
        return out

    def _at_once(self, name: str, X: Any, other: Any, scores: bool) -> Array | None:
        """A product of the backend's own, of arrays that fit as they are; else ``None``."""
        dtype = self._dtype
        if X.__class__ is not np.ndarray or X.dtype is not dtype or X.size > self._few:
            return None
        if self._backend is not kernels.active():
            self._connect()
        derive = getattr(self._network, name)
        try:
            if other is None:
                if X.size * self._architecture.sizes[-1] > self._few:  # so many sweeps
                    return None
                result: Array = derive(self._parameters, X, scores=scores)
            elif other.__class__ is np.ndarray and other.dtype is dtype:
                result = derive(self._parameters, X, other, scores=scores)
            else:
                return None
        except ValueError:  # what is wrong is said better where arguments are converted
            return None
        return result

    def _gradients_at_once(self, X: Any, y: Any, loss: Any, sample_weight: Any) -> Array | None:
        """Gradients of arrays that fit as they are; else ``None``."""
        if X.__class__ is not np.ndarray or X.size > self._few:
            return None
        known = self._known_loss
        if known is None or known[0] is not loss:
            if not (loss is None or isinstance(loss, str)):
                return None
            name = self._loss(loss)
            self._known_loss = known = loss, name, *arrays.plain_targets(name)
        if not kernels.plain_samples(
            self._architecture, self._dtype, X, y, sample_weight, known[2], known[3]
        ):
            return None
        if self._backend is not kernels.active():
            self._connect()
        if y.ndim == 1 and y.dtype.kind == "f":
            y = y.reshape(-1, 1)
        result: Array = self._network.input_gradients(
            self._parameters, X, y, known[1], sample_weight=sample_weight
        )
        return result

    def _blocks(self, x: Any, sweeps: int = 1) -> Iterator[tuple[slice, Array]]:
        self._connect()
        return arguments.blocks_of_rows(self.architecture, x, sweeps)
