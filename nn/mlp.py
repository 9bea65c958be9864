"""The network: its parameters, training and prediction."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, _checks
from numpy.typing import ArrayLike, DTypeLike

from . import _training, optimizers, serialization
from ._network import Network
from .callbacks import Callback, EpochFunction, ProgressLine, as_callbacks
from .history import History

__all__ = ["MLP"]


class MLP(Network):
    """A multilayer perceptron: ``a^l = σ(a^(l-1) W^l + b^l)``.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, ``(n_in, …, n_out)``.
    activation : str or sequence of str, default "relu"
        Activation of the hidden layers, one name for all or one for each: ``"identity"``,
        ``"sigmoid"``, ``"tanh"``, ``"hardtanh"`` or ``"relu"``.
    output : {"identity", "sigmoid", "softmax"}, default "identity"
        Activation of the output layer.
    dtype : numpy.float32 or numpy.float64
        In which everything is computed.
    random_state : int, numpy.random.Generator or None
        The network holds one generator, made from it: it draws the initial weights, then the
        shuffles of every ``fit``, so a second ``fit`` does not repeat the first one's shuffles.
    n_threads : int or None
        Threads to use at most; ``None`` leaves it to ``FASTMLP_NUM_THREADS``,
        ``OMP_NUM_THREADS`` or the CPUs of this process. Results do not depend on it.

    Attributes
    ----------
    weights, biases : lists of arrays
        ``(n_in, n_out)`` and ``(n_out,)`` of each layer. They are the truth: edits in place take
        effect with the next call, and so do replacements (``net.weights[0] = W``,
        ``net.weights = [W1, W2]``), whose values are copied in.
    parameters : (n_parameters,) array
        All of them in one contiguous vector, weights first, of which the lists above are views.

    Notes
    -----
    Biases start at zero. Weights start uniform in ``±√(6 / n_in)`` for a ReLU layer (He, Zhang,
    Ren and Sun, 2015) and in ``±√(6 / (n_in + n_out))`` for any other (Glorot and Bengio, 2010).

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> net = MLP([2, 8, 2], activation="tanh", output="softmax", random_state=0)
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=500, batch_size=4, optimizer="adam")
    >>> net.predict(X).argmax(axis=1).tolist()
    [0, 1, 1, 0]
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Sequence[str] = "relu",
        output: str = "identity",
        dtype: DTypeLike = np.float32,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> None:
        layers = tuple(operator.index(size) for size in sizes)
        if isinstance(activation, str):
            # Checked also where there is no hidden layer to apply it to.
            _checks.activation(activation)
            activation = (activation,) * max(len(layers) - 2, 0)
        architecture = Architecture(layers, tuple(activation), output)
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
        _checks.threads(n_threads)
        parameters = np.zeros(architecture.n_parameters, dtype)
        self._setup(architecture, parameters, _generator(random_state), n_threads)
        for w, name in zip(self.weights, (*architecture.activations, output), strict=True):
            n_in, n_out = w.shape
            bound = math.sqrt(6 / (n_in if name == "relu" else n_in + n_out))
            # Drawn in float64: equal seeds give equal networks, up to rounding, in both dtypes.
            w[...] = self._generator.uniform(-bound, bound, w.shape)

    # Training

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: str | None = None,
        optimizer: str | optimizers.Optimizer = "adam",
        batch_size: int = 32,
        epochs: int = 10,
        shuffle: bool = True,
        validation_data: tuple[Any, ...] | None = None,
        sample_weight: ArrayLike | None = None,
        l2: float = 0.0,
        callbacks: Callback | EpochFunction | Iterable[Callback | EpochFunction] = (),
        verbose: int = 0,
    ) -> History:
        """Train from the present parameters on.

        Parameters
        ----------
        X : (n, n_in) array-like
            Finite real numbers.
        y : array-like
            Integer class labels ``(n,)`` in ``0 … n_out - 1``; or one-hot rows, probabilities or
            real values ``(n, n_out)``, also ``(n,)`` where the network has one output.
        loss : {"squared_error", "binary_cross_entropy", "cross_entropy"}, optional
            By default the one whose output error is ``a - y`` for the network's output: squared
            error ``½‖a - y‖²`` for identity, binary cross-entropy for sigmoid and cross-entropy
            for softmax.
        optimizer : str or object of ``fastmlp.optimizers``, default "adam"
            Its state (velocity, moments) starts fresh in every call.
        batch_size : int, default 32
            Rows of a step; the last step of an epoch takes what is left.
        epochs : int, default 10
            Passes over the rows.
        shuffle : bool, default True
            Visit the rows in a new random order in each epoch.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Its loss is measured after each epoch.
        sample_weight : (n,) array-like, optional
            Factor of each row, not negative.
        l2 : float, default 0
            Weight of the penalty ``½ l2 Σ W²``; biases are not penalised.
        callbacks : callables or objects of ``fastmlp.callbacks``
            Called as ``callback(network, history)`` after each epoch; ``True`` stops training.
        verbose : int, default 0
            1 prints one line per epoch.

        Returns
        -------
        History
            Learning curves. The network itself holds the parameters after the last step.

        Raises
        ------
        ValueError, TypeError
            Before anything is changed, naming what was expected and what came.

        Warns
        -----
        RuntimeWarning
            Where the loss of an epoch is not finite; training stops there.

        Notes
        -----
        An exception or Ctrl-C leaves the network at the last finished step.
        """
        x, target, weight, name = self._batch(X, y, loss, sample_weight, training=True)
        rule = optimizers.get(optimizer)
        if (epochs := operator.index(epochs)) < 0:
            raise ValueError(f"epochs must not be negative, got {epochs}")
        if (batch_size := operator.index(batch_size)) < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not (l2 >= 0 and math.isfinite(l2)):
            raise ValueError(f"l2 must be a finite number, not negative, got {l2!r}")
        listeners = as_callbacks(callbacks)
        if verbose:
            listeners.insert(0, ProgressLine(epochs))
        validation = None
        if validation_data is not None:
            if len(validation_data) not in (2, 3):
                raise ValueError(
                    "validation_data must be (X, y) or (X, y, sample_weight), "
                    f"got {len(validation_data)} items"
                )
            val_x, val_y, *val_weight = validation_data
            validation = self._batch(val_x, val_y, name, *val_weight)
        trainer = kernels.trainer(
            self._architecture,
            self._dtype,
            name,
            rule.update_rule(),
            batch_size=batch_size,
            l2=float(l2),
            n_threads=self._n_threads,
        )

        def validation_loss() -> float:
            assert validation is not None
            self._connect()
            rows, values, weights, _ = validation
            value: float = self._network.loss(
                self._parameters, rows, values, name, sample_weight=weights
            )
            return value

        return _training.train(
            self,
            trainer,
            rule,
            x,
            target,
            epochs=epochs,
            generator=self._generator if shuffle else None,
            sample_weight=weight,
            validation_loss=None if validation is None else validation_loss,
            callbacks=listeners,
        )

    # Storage

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and architecture to a safetensors file.

        Raises
        ------
        ImportError
            Where safetensors is not installed (``pip install 'fastmlp[io]'``).
        """
        serialization.save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> MLP:
        """Read a network that :meth:`save` has written.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Where the file is damaged or is not a network of this package.
        """
        architecture, dtype, tensors = serialization.load(path)
        _checks.threads(n_threads)
        network = cls.__new__(cls)
        parameters = np.zeros(architecture.n_parameters, dtype)
        network._setup(architecture, parameters, _generator(random_state), n_threads)
        layers = range(len(network.weights))
        network.weights = [tensors[f"weights.{i}"] for i in layers]
        network.biases = [tensors[f"biases.{i}"] for i in layers]
        return network


def _generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    if isinstance(random_state, bool) or not isinstance(random_state, (int, np.integer)):
        raise TypeError(
            "random_state must be an integer, a numpy.random.Generator or None, "
            f"got {type(random_state).__name__}"
        )
    return np.random.default_rng(random_state)
