"""scikit-learn: one call of ``partial_fit`` per epoch, the loop that ``fit`` runs, with its checks.

``partial_fit`` visits a data set once in minibatches (shuffled by scikit-learn itself) and keeps
the optimizer, so a call over many batches is its time per step; the validation of the arguments
is some per cent of it for the smallest epochs here.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ..problem import Array, Problem, Setting
from ..shapes import CONSTANTS, Shape

ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}


class ScikitLearn:
    """``MLPClassifier`` or ``MLPRegressor`` without a penalty."""

    epsilon_hat: ClassVar[bool] = True

    @classmethod
    def definition(cls, shape: Shape) -> Shape:
        """A sigmoid output with squared error does not exist there; its softmax costs the same."""
        if shape.loss == "squared_error" and shape.output != "identity":
            return replace(shape, output="softmax", loss="cross_entropy")
        return shape

    def __init__(self, shape: Shape, problem: Problem, setting: Setting) -> None:
        self._shape = shape
        self._classes = shape.loss != "squared_error"
        kind = MLPClassifier if self._classes else MLPRegressor
        self._model = kind(
            hidden_layer_sizes=shape.sizes[1:-1],
            activation=ACTIVATIONS[shape.activation],
            solver="adam" if shape.rule == "adam" else "sgd",
            alpha=0.0,
            batch_size=shape.batch,
            learning_rate_init=setting.learning_rate,
            shuffle=setting.shuffle,
            random_state=0,
            momentum=CONSTANTS[shape.rule].get("momentum", 0.0),
            nesterovs_momentum=False,
            epsilon=setting.epsilon,
        )
        # It shuffles by itself, so rows come in the problem's order where it does not.
        self._x, target = problem.x[problem.order], problem.target[problem.order]
        self._target = target if target.ndim == 2 and target.shape[1] > 1 else target.ravel()
        self._initialize(problem)

    def _initialize(self, problem: Problem) -> None:
        """Let it make its arrays by one step, then put ours into them and forget the step."""
        few = self._shape.batch
        if self._classes:
            classes = np.arange(max(2, self._shape.sizes[-1]))
            self._model.partial_fit(self._x[:few], self._target[:few], classes=classes)
        else:
            self._model.partial_fit(self._x[:few], self._target[:few])
        weights, biases = self._shape.architecture.views(problem.parameters)
        for mine, first in zip(self._model.coefs_, weights, strict=True):
            mine[...] = first
        for mine, first in zip(self._model.intercepts_, biases, strict=True):
            mine[...] = first
        del self._model._optimizer

    def epoch(self) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.partial_fit(self._x, self._target)
        # Its squared error is a mean over the outputs too.
        return float(self._model.loss_) * (1 if self._classes else self._shape.sizes[-1])

    def parameters(self) -> Array:
        arrays = [*self._model.coefs_, *self._model.intercepts_]
        return np.concatenate([array.ravel() for array in arrays])
