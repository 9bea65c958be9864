"""A network's state and what it computes: parameters, predictions, losses and gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fastmlp
import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, Loss
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._typing import Array
from . import blocks
from .arguments import Arguments
from .parameters import ParameterList
from .predictor import Predictor

#: Attributes that ``_setup`` makes again.
_MADE_BY_SETUP = (
    *("_architecture", "_parameters", "_dtype", "_generator", "_n_threads"),
    *("_lists", "_few", "_network", "_plain", "_backend", "_scorer", "_kept"),
    "_known_loss",
)


class Network(Arguments):
    """What :class:`fastmlp.MLP` is apart from how it is made, trained and stored.

    Its state is one flat parameter vector, the architecture that gives it shape and a random
    generator; everything else (lists of views, the backend's object) is made from these.
    """

    def _setup(
        self,
        architecture: Architecture,
        parameters: Array,
        generator: np.random.Generator,
        n_threads: int | None,
    ) -> None:
        self._architecture = architecture
        self._parameters = parameters
        self._dtype: np.dtype[Any] = parameters.dtype
        self._generator = generator
        self._n_threads = n_threads
        # Made when somebody looks: of ten thousand small networks they would be a third of all.
        self._lists: tuple[ParameterList, ParameterList] | None = None
        #: Numbers of rows that are predicted in one call.
        self._few: int = blocks.rows_of_block(architecture) * architecture.sizes[0]
        # The backend's network object, its predictions of plain rows, and the backend of both.
        self._network: Any = None
        self._plain: Any = None
        self._backend: Any = None
        # What the next ``fit`` can use of the last one, see ``_training.keeping``.
        self._kept: Any = None
        # The same for the network that ends with the scores.
        self._scorer: tuple[Any, Any] | None = None
        # The loss of the last gradients by inputs: as it was given, its name, range of its targets.
        self._known_loss: tuple[Any, Any, float, float] | None = None

    # What the network is

    @property
    def architecture(self) -> Architecture:
        """Layer sizes and activations."""
        return self._architecture

    @property
    def dtype(self) -> np.dtype[Any]:
        """Floating-point type of all computations, float32 or float64."""
        return self._dtype

    @property
    def n_threads(self) -> int | None:
        """Threads to use at most, ``None`` for the default."""
        return self._n_threads

    @property
    def parameters(self) -> Array:
        """All parameters, ``(n_parameters,)``; the lists of weights and biases are views of it."""
        return self._parameters

    @property
    def weights(self) -> ParameterList:
        """Weight matrices, ``(n_in, n_out)`` each."""
        return self._views()[0]

    @weights.setter
    def weights(self, values: Iterable[ArrayLike]) -> None:
        self.weights[:] = values

    @property
    def biases(self) -> ParameterList:
        """Bias vectors, ``(n_out,)`` each."""
        return self._views()[1]

    @biases.setter
    def biases(self, values: Iterable[ArrayLike]) -> None:
        self.biases[:] = values

    def _views(self) -> tuple[ParameterList, ParameterList]:
        if self._lists is None:
            weights, biases = self._architecture.views(self._parameters)
            self._lists = ParameterList("weights", weights), ParameterList("biases", biases)
        return self._lists

    def __repr__(self) -> str:
        net = self._architecture
        sizes = "-".join(str(size) for size in net.sizes)
        names = [str(name) for name in net.activations]
        hidden = names[:1] if len(set(names)) == 1 else ["/".join(names)] if names else []
        parts = [sizes, *hidden, net.output, self._dtype.name, f"{net.n_parameters} parameters"]
        return f"MLP({', '.join(parts)})"

    # Prediction and gradients

    def predict(self, X: Any, *, out: Any = None) -> Array:
        """Values of the output layer.

        Parameters
        ----------
        X : (n, n_in) array-like, sparse matrix of scipy, or source
            NaN and infinity are allowed and propagate within their row. A source of
            :mod:`fastmlp.data`, whose blocks are ``X`` or ``(X, …)``, is read block by block.
        out : (n, n_out) array or memory map, optional
            Where to write them; for a source whatever takes slices of rows.

        Returns
        -------
        (n, n_out) array
            Of the network's dtype; ``out`` where it was given.

        Raises
        ------
        ValueError
            For another shape.
        TypeError
            For anything but real numbers.
        """
        # A call for one row takes about a microsecond: the backend itself looks whether rows are
        # plainly right; only those that are not are converted here.
        if self._backend is not kernels.live.module or self._backend is None:
            self._connect()
        plain = self._plain  # a function, which would be looked up as a method where it is called
        result: Array | None = plain(self._parameters, X, self._few, out)
        return self._predict_into(X, out) if result is None else result

    def _predict_into(self, X: Any, out: Any) -> Array:
        """Predict what takes longer than a call, or into what is no plain array."""
        from .._streams import rows as streams

        if streams.is_source(X):
            return streams.predict(self, X, out)  # type: ignore[no-any-return]
        x = arrays.rows(X, self._architecture.sizes[0], self._dtype, convert=False)
        return blocks.predict_into(self._network, self._parameters, x, out)

    def predictor(self) -> Predictor:
        """The network as it is now, made ready for many calls of any number of threads.

        Returns
        -------
        Predictor
            Called as ``predictor(X)``, or with ``out=``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastmlp import MLP
        >>> net = MLP([2, 3, 1], random_state=0)
        >>> predict = net.predictor()
        >>> out = np.empty((1, 1), predict.dtype)
        >>> predict(np.array([[1.0, 2.0]], predict.dtype), out=out) is out
        True
        """
        return Predictor(self._architecture, self._parameters, self._n_threads)

    def loss(
        self,
        X: Any,
        y: ArrayLike | None = None,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
        missing_targets: str = "error",
    ) -> float:
        """Mean loss over rows, without penalty; parameters as in :meth:`fit`.

        Without ``y``, ``X`` is a source.

        Parameters
        ----------
        X, y, loss, sample_weight, missing_targets : arrays, and a loss
            As in :meth:`fit`.

        Returns
        -------
        float
            Weighted mean over the rows.
        """
        if y is None:
            from .._streams import rows as streams

            return streams.mean_loss(self, X, loss)
        spec = self._loss(loss, 0.0, missing_targets)
        x, target, weight, name = self._batch(X, y, spec, sample_weight)
        self._connect()
        return blocks.loss(self._network, self._parameters, x, target, name, weight)

    def loss_and_gradients(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
        missing_targets: str = "error",
    ) -> tuple[float, list[tuple[Array, Array]]]:
        """Mean loss over rows and its gradient; parameters as in :meth:`fit`.

        Parameters
        ----------
        X, y, loss, sample_weight, missing_targets : arrays, and a loss
            As in :meth:`fit`.

        Returns
        -------
        loss : float
            Weighted mean over the rows.
        gradients : list of (dW, db)
            ``∇W^l``, ``(n_in, n_out)``, and ``∇b^l``, ``(n_out,)``, for each layer.
        """
        spec = self._loss(loss, 0.0, missing_targets)
        x, target, weight, name = self._batch(X, y, spec, sample_weight)
        self._connect()
        value, gradient = blocks.loss_and_gradient(
            self._network, self._parameters, x, target, name, weight
        )
        d_weights, d_biases = self._architecture.views(gradient)
        return value, list(zip(d_weights, d_biases, strict=True))

    def graph(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
        missing_targets: str = "error",
    ) -> fastmlp.autodiff.Graph:
        """The network with its loss as a computation graph; parameters as in :meth:`fit`.

        Parameters
        ----------
        X, y, loss, sample_weight, missing_targets : arrays, and a loss
            As in :meth:`fit`.

        Returns
        -------
        fastmlp.autodiff.Graph
            With the inputs ``X``, ``W1``, ``b1``, …, ``y`` and the result ``loss``, the mean over
            the rows. ``backward()`` computes gradients, ``print`` and ``plot()`` show it.

        Examples
        --------
        >>> from fastmlp import MLP
        >>> net = MLP([2, 3, 1], activation="tanh", random_state=0)
        >>> graph = net.graph([[1.0, 2.0]], [1.0])
        >>> sorted(graph.backward())
        ['W1', 'W2', 'X', 'b1', 'b2', 'y']
        """
        from .._graphs import networks

        spec = Loss.of(self._loss(loss, 0.0, missing_targets))
        x, target, weight, _ = self._batch(X, y, spec, sample_weight)
        return networks.graph(self._architecture, self._parameters, x, target, weight, spec)

    def __getstate__(self) -> dict[str, Any]:
        found: Any = object.__getstate__(self)
        own, slots = found if isinstance(found, tuple) else (found, {})
        # What users and subclasses have added stays with a network.
        added = {k: v for k, v in {**own, **slots}.items() if k not in _MADE_BY_SETUP}
        return {
            "architecture": self._architecture,
            "parameters": self._parameters,
            "generator": self._generator,
            "n_threads": self._n_threads,
            "attributes": added,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        added = state.get("attributes", {})
        self._setup(**{name: value for name, value in state.items() if name != "attributes"})
        for name, value in added.items():
            setattr(self, name, value)

    def _connect(self) -> None:
        """Make the backend's network object, unless it is there and its backend is live."""
        backend = kernels.active()
        if self._backend is not backend:
            self._network = kernels.network(
                self._architecture, self._dtype, n_threads=self._n_threads
            )
            self._plain = self._network.predict_plain
            self._backend = backend
