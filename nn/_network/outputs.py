"""What a network's outputs are made into: scores, logarithms of probabilities, decisions."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._typing import Array
from . import blocks, decisions


class Decisions(ABC):
    """The part of a network that goes on from its predictions."""

    _architecture: Architecture
    _parameters: Array
    _dtype: np.dtype[Any]
    _n_threads: int | None
    #: A backend and its network object that ends with the scores.
    _scorer: tuple[Any, Any] | None

    @abstractmethod
    def predict(self, X: ArrayLike) -> Array:
        """Values of the output layer."""

    def scores(self, X: ArrayLike) -> Array:
        """Scores ``z^L``: the output layer before its activation, ``(n, n_out)``.

        Parameters and errors as in :meth:`predict`.

        Parameters
        ----------
        X : (n, n_in) array-like
            As in :meth:`predict`.

        Returns
        -------
        (n, n_out) array
            ``z^L``.
        """
        backend = kernels.active()
        if self._scorer is None or self._scorer[0] is not backend:
            net = dataclasses.replace(self._architecture, output="identity")
            scorer = kernels.network(net, self._dtype, n_threads=self._n_threads)
            self._scorer = backend, scorer
        x = arrays.rows(X, self._architecture.sizes[0], self._dtype)
        return blocks.predict(self._scorer[1], self._parameters, x)

    def predict_distribution(self, X: ArrayLike) -> tuple[Array, Array]:
        """Means and standard deviations of a network trained with ``losses.GaussianNLL``.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.

        Returns
        -------
        tuple of two (n, n_out / 2) arrays
            Means and standard deviations.

        Raises
        ------
        ValueError
            For a network with an output activation, or an odd number of outputs.
        """
        net = self._architecture
        if net.output != "identity" or net.sizes[-1] % 2:
            raise ValueError(
                "a distribution needs two outputs for each target, without activation, got "
                f"{net.sizes[-1]} with {net.output!r}"
            )
        from ..losses import GaussianNLL

        return GaussianNLL().distribution(self.predict(X))

    def log_probabilities(self, X: ArrayLike) -> Array:
        """Logarithms of the probabilities of a softmax or sigmoid output, ``(n, n_out)``.

        They are computed from the scores, so that they are finite where the scores are: the
        logarithm of :meth:`predict` is ``-inf`` where a probability has been rounded to 0.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.

        Returns
        -------
        (n, n_out) array
            At most 0.

        Raises
        ------
        ValueError
            For another output.
        """
        output = self._architecture.output
        if output not in ("softmax", "sigmoid"):
            raise ValueError(f"probabilities need output 'softmax' or 'sigmoid', got {output!r}")
        return decisions.log_probabilities(self.scores(X), output)

    def predict_classes(self, X: ArrayLike, threshold: float | None = None) -> Array:
        """The class of each row, ``(n,)``: the highest output.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        threshold : float, optional
            Of a network with one output: class 1 where the output reaches it, else class 0. By
            default ½ for probabilities (sigmoid) and 0 for scores.

        Returns
        -------
        (n,) array of int
            Class numbers.
        """
        bound = decisions.threshold(self._architecture.output) if threshold is None else threshold
        return decisions.classes(self.predict(X), bound)

    def predict_labels(self, X: ArrayLike, threshold: float | None = None) -> Array:
        """Which labels each row has, ``(n, n_out)`` of 0 and 1: the outputs that reach a threshold.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.
        threshold : float, optional
            By default ½ for probabilities (sigmoid, softmax) and 0 for scores.

        Returns
        -------
        (n, n_out) array of int
            1 for each label that a row has.
        """
        bound = decisions.threshold(self._architecture.output) if threshold is None else threshold
        return decisions.labels(self.predict(X), bound)
