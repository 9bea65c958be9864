"""Predictions for a service: a network's parameters, made ready once and never changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._typing import Array
from . import blocks


class Predictor:
    """The values of the output layer of a network as it was when this was made.

    Parameters are copied once, by the compiled backend into the order in which its kernels read
    them. Calls change nothing: any number of threads may share a predictor, they take no lock, and
    with ``out`` rows of the network's dtype are predicted without making an array. Predictions
    equal those of ``MLP.predict`` to the bit. A pickled predictor is made anew where it is read, on
    the backend that is live there.

    Make one with :meth:`fastmlp.MLP.predictor`, or with the method of that name of an estimator.

    Parameters
    ----------
    architecture : Architecture
        Sizes and activations.
    parameters : (n_parameters,) array
        Copied.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.
    backend : str, optional
        Which backend computes; by default the live one.
    """

    __slots__ = (
        *("_architecture", "_backend", "_few", "_flat", "_n_threads", "_network", "_packed"),
        "_plain",
    )

    def __init__(
        self,
        architecture: Architecture,
        parameters: Array,
        n_threads: int | None = None,
        backend: str | None = None,
    ) -> None:
        self._architecture = architecture
        self._flat = parameters.copy()
        self._flat.flags.writeable = False
        self._n_threads = n_threads
        self._backend = backend
        module = kernels.active() if backend is None else kernels.backend(backend)
        self._network: Any = module.Network(architecture, parameters.dtype, n_threads=n_threads)
        self._packed: Any = self._network.pack(self._flat)
        self._plain: Any = self._network.predict_plain
        self._few = blocks.rows_of_block(architecture) * architecture.sizes[0]

    @property
    def architecture(self) -> Architecture:
        """Layer sizes and activations."""
        return self._architecture

    @property
    def dtype(self) -> np.dtype[Any]:
        """Floating-point type of all computations."""
        dtype: np.dtype[Any] = self._flat.dtype
        return dtype

    @property
    def parameters(self) -> Array:
        """All parameters, ``(n_parameters,)``, read-only."""
        return self._flat

    def __call__(self, X: ArrayLike, *, out: Array | None = None) -> Array:
        """Values of the output layer.

        Parameters
        ----------
        X : (n, n_in) array-like, or sparse matrix of scipy
            Rows; those of the network's dtype are not copied.
        out : (n, n_out) array, optional
            C-contiguous, of the network's dtype, apart from ``X`` in memory; the result is written
            there.

        Returns
        -------
        (n, n_out) array
            ``out`` where it was given.

        Raises
        ------
        ValueError
            For another shape, or an ``out`` that does not fit.
        TypeError
            For anything but real numbers.
        """
        plain = self._plain  # a function, which would be looked up as a method where it is called
        result: Array | None = plain(self._packed, X, self._few, out)
        if result is not None:
            return result
        x = arrays.rows(X, self._architecture.sizes[0], self._flat.dtype, convert=False)
        return blocks.predict(self._network, self._packed, x, out)

    predict = __call__

    def __reduce__(self) -> tuple[Any, ...]:
        return Predictor, (self._architecture, self._flat, self._n_threads, self._backend)

    def __copy__(self) -> Predictor:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Predictor:
        return self

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self._architecture.sizes))
        return f"<Predictor of {sizes}, {self.dtype.name}>"
