"""fastmlp: one call per epoch into the trainer of a backend."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from fastmlp import kernels

from ..problem import Array, Problem, Setting
from ..shapes import Shape


class FastMLP:
    """The trainer of the backend named ``backend_name``."""

    epsilon_hat: ClassVar[bool] = False
    backend_name: ClassVar[str]

    @classmethod
    def definition(cls, shape: Shape) -> Shape:
        return shape

    def __init__(self, shape: Shape, problem: Problem, setting: Setting) -> None:
        self._problem, self._learning_rate = problem, setting.learning_rate
        with kernels.use_backend(self.backend_name):
            self._trainer = kernels.trainer(
                shape.architecture,
                problem.x.dtype,
                shape.loss,
                shape.update_rule(setting.epsilon),
                batch_size=shape.batch,
                n_threads=setting.n_threads,
            )
        self._trainer.load(problem.parameters)

    def epoch(self) -> float:
        data = self._problem
        return self._trainer.run_epoch(data.x, data.target, data.order, self._learning_rate)

    def parameters(self) -> Array:
        flat = np.empty_like(self._problem.parameters)
        self._trainer.store(flat)
        return flat


def backend(name: str) -> type[FastMLP]:
    """The class of one backend."""
    return type(f"FastMLP_{name}", (FastMLP,), {"backend_name": name})
