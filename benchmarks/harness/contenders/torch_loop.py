"""torch: the usual training loop, with the fastest variants that its CPU build has.

Fused optimizers and ``index_select`` are a quarter faster here than the defaults; compilation with
``torch.compile`` does not help training of such networks on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch

from ..problem import Array, Problem, Setting
from ..shapes import CONSTANTS, Shape

ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}


class Torch:
    """``torch.nn.Sequential`` and an optimizer of ``torch.optim``."""

    epsilon_hat: ClassVar[bool] = False

    @classmethod
    def definition(cls, shape: Shape) -> Shape:
        return shape

    def __init__(self, shape: Shape, problem: Problem, setting: Setting) -> None:
        if setting.n_threads is not None:
            torch.set_num_threads(setting.n_threads)
        self._shape = shape
        self._x, self._target = torch.from_numpy(problem.x), torch.from_numpy(problem.target)
        self._batches = torch.from_numpy(problem.order).split(shape.batch)
        layers: list[torch.nn.Module] = []
        self._linear = []
        for w, b in zip(*shape.architecture.views(problem.parameters), strict=True):
            linear = torch.nn.Linear(*w.shape, dtype=self._x.dtype)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T.copy()))
                linear.bias.copy_(torch.from_numpy(b.copy()))
            self._linear.append(linear)
            layers += [linear, ACTIVATIONS[shape.activation]()]
        layers.pop()
        if shape.output == "sigmoid" and shape.loss == "squared_error":
            layers.append(torch.nn.Sigmoid())
        self._model = torch.nn.Sequential(*layers)
        self._loss = self._loss_function()
        self._optimizer = self._make_optimizer(setting)

    def _loss_function(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        functional, rows = torch.nn.functional, self._shape.batch
        if self._shape.loss == "cross_entropy":
            return functional.cross_entropy
        if self._shape.loss == "binary_cross_entropy":
            return lambda z, y: (
                functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / rows
            )
        return lambda a, y: functional.mse_loss(a, y, reduction="sum") * (0.5 / rows)

    def _make_optimizer(self, setting: Setting) -> torch.optim.Optimizer:
        parameters, rate = self._model.parameters(), setting.learning_rate
        constants = CONSTANTS[self._shape.rule]
        if self._shape.rule == "adam":
            betas = (constants["beta_1"], constants["beta_2"])
            return torch.optim.Adam(
                parameters, lr=rate, betas=betas, eps=setting.epsilon, fused=True
            )
        return torch.optim.SGD(
            parameters, lr=rate, momentum=constants.get("momentum", 0.0), fused=True
        )

    def epoch(self) -> float:
        total = torch.zeros((), dtype=self._x.dtype)
        for rows in self._batches:
            x, y = self._x.index_select(0, rows), self._target.index_select(0, rows)
            loss = self._loss(self._model(x), y)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            total += loss.detach()
        return float(total) / len(self._batches)

    def parameters(self) -> Array:
        weights = [layer.weight.detach().numpy().T.ravel() for layer in self._linear]
        biases = [layer.bias.detach().numpy() for layer in self._linear]
        return np.concatenate([*weights, *biases])
