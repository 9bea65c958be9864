"""The network: its parameters, training and prediction."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CustomActivation, CustomLoss, check_threads
from numpy.typing import ArrayLike, DTypeLike

from ._derivatives.methods import Derivatives
from ._network import construction
from ._network.stored import Stored
from ._training import methods
from ._training.methods import Steps
from ._training.options import Options
from ._typing import (
    ActivationName,
    InitializerName,
    LossName,
    MetricName,
    OptimizerName,
    OutputName,
    ScheduleName,
    StopName,
)
from .interop._methods import NetworkExports

if TYPE_CHECKING:
    from ._training.trainer import Trainer
    from .activations import Activation
    from .callbacks import Callback, EpochFunction
    from .history import History
    from .initializers import Initializer
    from .losses import Loss
    from .optimizers import Optimizer
    from .schedules import Schedule
    from .stopping import StopRule
else:
    # For ``typing.get_type_hints``; importing them takes longer than the rest of the package.
    Activation = Callback = EpochFunction = History = Initializer = Any
    Loss = Optimizer = Schedule = StopRule = Trainer = Any

__all__ = ["MLP"]

OneActivation: TypeAlias = ActivationName | str | Activation | CustomActivation
#: A learning rate by the epoch.
Rate: TypeAlias = Callable[[float], float]


class MLP(Derivatives, NetworkExports, Steps, Stored):
    """A multilayer perceptron: ``a^l = σ(a^(l-1) W^l + b^l)``.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, ``(n_in, …, n_out)``.
    activation : str or object, or sequence of these, default "relu"
        Activation of the hidden layers, one for all or one for each: a name of
        ``fastmlp.activations.hidden`` such as ``"tanh"`` or ``"leaky_relu"``, or an object of
        ``fastmlp.activations``.
    output : {"identity", "sigmoid", "softmax", "exp"}, default "identity"
        Activation of the output layer.
    dtype : numpy.float32 or numpy.float64
        Floating-point type of all computations.
    random_state : int, numpy.random.Generator or None
        The network holds one generator, made from it: it draws the initial weights, then the
        shuffles of every ``fit``, so a second ``fit`` does not repeat the first one's shuffles.
    n_threads : int or None
        Threads to use at most; ``None`` leaves it to ``FASTMLP_NUM_THREADS``,
        ``OMP_NUM_THREADS`` or the CPUs of this process. Results do not depend on it.
    init : str, object of ``fastmlp.initializers``, array, or sequence of these, optional
        Initial weights, one for all layers or one for each. An array is the weights of its layer
        themselves, and a pair ``(weights, bias)`` also its bias.

    Attributes
    ----------
    weights, biases : lists of arrays
        ``(n_in, n_out)`` and ``(n_out,)`` of each layer. They are the network's actual
        parameters: in-place edits take effect with the next call, and so do replacements
        (``net.weights[0] = W``, ``net.weights = [W1, W2]``), whose values are copied in.
    parameters : (n_parameters,) array
        All of them in one contiguous vector, weights first, of which the lists above are views.

    Notes
    -----
    Biases start at zero. Weights start uniform, unless ``init`` says otherwise: with He's variance
    ``2 / n_in`` for ReLU and its smooth relatives, LeCun's ``1 / n_in`` for SELU and Glorot's
    ``2 / (n_in + n_out)`` for any other activation.

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
        activation: OneActivation | Sequence[OneActivation] = "relu",
        output: OutputName | str = "identity",
        dtype: DTypeLike = np.float32,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
        init: InitializerName | str | Initializer | ArrayLike | Sequence[Any] | None = None,
    ) -> None:
        architecture = construction.architecture(sizes, activation, output)
        dtype = construction.float_type(dtype)
        check_threads(n_threads)
        parameters = architecture.zeros(dtype)
        self._setup(architecture, parameters, construction.generator(random_state), n_threads)
        construction.initialise(self, init)

    # Training

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        loss: LossName | str | Loss | kernels.Loss | CustomLoss | None = None,
        optimizer: OptimizerName | str | Optimizer = "adam",
        learning_rate: float | ScheduleName | str | Schedule | Rate | None = None,
        batch_size: int | Literal["full"] = 32,
        epochs: int = 10,
        shuffle: bool | Literal["blocks", "rows"] = True,
        validation_data: Any = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
        label_smoothing: float = 0.0,
        missing_targets: Literal["error", "ignore"] = "error",
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        max_norm: float | None = None,
        trainable: bool | Sequence[bool] = True,
        stop: StopName | str | StopRule | Iterable[str | StopRule] | None = None,
        metrics: MetricName | Any = (),
        track_gradient_norm: bool = False,
        callbacks: Callback | EpochFunction | Iterable[Callback | EpochFunction] = (),
        verbose: int = 0,
        comm: Any = None,
        shards: int = 8,
        partitioned: bool = False,
        trainer: Trainer | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train from the present parameters on.

        Parameters
        ----------
        X : (n, n_in) array-like, sparse matrix of scipy, or source
            Finite real numbers. Of sparse rows only what is stored is computed with. A source of
            blocks ``(X, y)`` (see :mod:`fastmlp.data`) is read while the network is trained.
        y : array-like; not for a source
            Integer class labels ``(n,)`` in ``0 … n_out - 1``; or one-hot rows, probabilities or
            real values ``(n, n_out)``, also ``(n,)`` where the network has one output.
        loss : str or object of ``fastmlp.losses``, optional
            By default the one whose output error is ``a - y`` for the network's output: squared
            error ``½‖a - y‖²`` for identity, binary cross-entropy for sigmoid, cross-entropy for
            softmax and Poisson for exp. ``fastmlp.kernels.LOSS_OUTPUTS`` says which fits which.
        optimizer : str or object of ``fastmlp.optimizers``, default "adam"
            Its state (velocity, moments) starts fresh in every call. ``GradientDescent`` and
            ``LBFGS`` make one step an epoch, with all rows.
        learning_rate : float, or str or object of ``fastmlp.schedules``, or function, optional
            A number replaces the optimizer's learning rate, a schedule changes it from epoch to
            epoch. A function of the epoch returns the rate itself (``schedules.Factor`` multiplies
            by what a function returns).
        batch_size : int or "full", default 32
            Rows of a step; the last step of an epoch takes what is left. 1 is stochastic, "full"
            is batch gradient descent.
        epochs : int, default 10
            Passes over the rows.
        shuffle : bool, default True
            Visit the rows in a new random order in each epoch: the network's generator shuffles
            the order of the epoch before. Of a source blocks and the rows of those that are held
            together are shuffled, ``"rows"`` all rows, where it can be read row by row.
        validation_data : (X, y), (X, y, sample_weight) or source, optional
            Its loss and metrics are measured after each epoch, weighed by ``class_weight`` as in
            training.
        sample_weight : (n,) or (n, n_targets) array-like, optional
            Factor of each row, or of each target of each row, not negative.
        class_weight : dict or "balanced", optional
            Factor of each class, 1 for those that are not named; "balanced" gives all classes the
            same total weight.
        label_smoothing : float, default 0
            Share ``s`` of each target of a cross-entropy that is spread over the classes.
        missing_targets : {"error", "ignore"}, default "error"
            What NaN in ``y`` is: an error, or not observed, without loss and gradient.
        l1, l2 : float, default 0
            Weights of the penalty ``l1 Σ |W| + ½ l2 Σ W²``; biases are not penalised. Decoupled
            weight decay is the optimizer's.
        dropout : float or sequence of float, default 0
            Probability of dropping a unit in a training step: of hidden layers, or of the input
            and each hidden layer.
        clip_value : float, optional
            Every derivative is clipped to ``±clip_value``.
        clip_norm : float, optional
            Then a gradient longer than this, over all parameters, is shortened to it.
        max_norm : float, optional
            After each step, weight vectors of a neuron longer than this are shortened to it.
        trainable : bool or sequence of bool, default True
            One for each layer: whether its weights and bias change.
        stop : str or object of ``fastmlp.stopping``, or several, optional
            When to end before the last epoch.
        metrics : str, function, or several, default ()
            Names of ``fastmlp.metrics`` (see there for others that are known), or functions
            ``f(y_true, y_pred)``, measured after each epoch on the training rows and the
            validation data: each costs a prediction. All are tried on a few rows before training.
        track_gradient_norm : bool, default False
            Record the norm of the gradient in the history.
        callbacks : callables or objects of ``fastmlp.callbacks``
            Called as ``callback(network, history)`` after each epoch; ``True`` stops training.
        verbose : int, default 0
            1 shows a progress bar on a terminal, else a line per epoch; 2 always lines.
        comm : communicator of mpi4py, optional
            Its processes share every batch; rank 0 alone calls the callbacks.
        shards : int, default 8
            Parts of a batch: powers of two of processes up to it all give the same bits.
        partitioned : bool, default False
            Whether each process is given rows (and validation data) of its own, parts of the whole;
            else all are given the same rows. ``batch_size`` is that of all together.
        trainer : Trainer, optional
            One of this network (:meth:`trainer`), with the options of its own, to go on with;
            beside it only rows, ``epochs``, ``metrics``, ``callbacks`` and ``verbose`` are given.
            ``epochs`` counts those that it has made.
        resume : str or path, optional
            File of ``Trainer.save`` or ``callbacks.Checkpoint`` to go on from. Called as the run
            was that wrote it, ``fit`` leads to the same bits as one that nobody interrupted.

        Returns
        -------
        History
            Learning curves, and why training ended. The network itself holds the parameters after
            the last step, or those that a stop rule has restored.

        Raises
        ------
        ValueError, TypeError
            Before anything is changed, naming what was expected and what came.

        Warns
        -----
        RuntimeWarning
            Where a loss is not finite; training stops there, with the last finite parameters.

        Notes
        -----
        An exception or Ctrl-C leaves the network at the last finished step.
        """
        options = Options(
            learning_rate=learning_rate,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=shuffle,
            validation_data=validation_data,
            sample_weight=sample_weight,
            class_weight=class_weight,
            label_smoothing=label_smoothing,
            missing_targets=missing_targets,
            l1=l1,
            l2=l2,
            dropout=dropout,
            clip_value=clip_value,
            clip_norm=clip_norm,
            max_norm=max_norm,
            trainable=trainable,
            stop=stop,
            metrics=metrics,
            track_gradient_norm=track_gradient_norm,
            callbacks=callbacks,
            verbose=verbose,
            comm=comm,
            shards=shards,
            partitioned=partitioned,
        )
        return methods.fit(self, X, y, loss, optimizer, options, trainer, resume)
