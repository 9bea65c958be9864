"""The networks that are timed, and the arithmetic that a training step of each needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from fastmlp.kernels import Architecture, UpdateRule

#: Constants of the update rules; epsilon is the contender's setting (see ``problem.Setting``).
CONSTANTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "sgd": {},
        "momentum": {"momentum": 0.9, "nesterov": 0.0},
        "adam": {"beta_1": 0.9, "beta_2": 0.999},
    }
)


@dataclass(frozen=True)
class Shape:
    """One network, how it is trained, and how many steps make the epoch that is timed."""

    id: str
    sizes: tuple[int, ...]
    activation: str
    output: str
    loss: str
    batch: int
    rule: str
    steps: int
    dtypes: tuple[str, ...] = ("float32", "float64")

    @property
    def architecture(self) -> Architecture:
        return Architecture(self.sizes, (self.activation,) * (len(self.sizes) - 2), self.output)

    def update_rule(self, epsilon: float, epsilon_hat: bool = False) -> UpdateRule:
        constants = dict(CONSTANTS[self.rule])
        if self.rule == "adam":
            constants.update(epsilon=epsilon, epsilon_hat=float(epsilon_hat))
        return UpdateRule(self.rule, constants)

    @property
    def flops(self) -> int:
        """Multiplications and additions of a step's matrix products.

        ``6 B Σ n_in n_out - 2 B n_in¹ n_out¹``: forward, backward and gradient of every layer,
        except that no error is propagated to the input.
        """
        products = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return self.batch * (6 * sum(products) - 2 * products[0])

    def __str__(self) -> str:
        return (
            f"{'-'.join(map(str, self.sizes))} {self.activation}, {self.output} output, "
            f"{self.loss.replace('_', ' ')}, batch {self.batch}, {self.rule}"
        )


def _classifier(id: str, sizes: tuple[int, ...], batch: int, rule: str, steps: int) -> Shape:
    return Shape(id, sizes, "relu", "softmax", "cross_entropy", batch, rule, steps)


def _regressor(
    id: str, sizes: tuple[int, ...], activation: str, batch: int, rule: str, steps: int
) -> Shape:
    return Shape(id, sizes, activation, "identity", "squared_error", batch, rule, steps)


#: The main table.
TABLE = (
    _classifier("iris", (4, 16, 3), 16, "sgd", 2000),
    Shape("nielsen", (784, 30, 10), "sigmoid", "sigmoid", "squared_error", 10, "sgd", 500),
    _classifier("digits", (64, 100, 10), 200, "adam", 100),
    _classifier("fashion", (784, 128, 10), 32, "adam", 150),
    _regressor("tab", (20, 64, 64, 1), "tanh", 64, "adam", 300),
    _classifier("keras", (784, 512, 512, 10), 128, "adam", 10),
    _classifier("wide", (512, 1024, 1024, 10), 1024, "adam", 3),
)

#: Shapes worth having besides: published examples, scikit-learn's defaults, a family of widths.
MORE = (
    # Full batch; the example of SimpleChains.jl.
    _regressor("chains", (4, 32, 16, 4), "tanh", 10_000, "adam", 4),
    # A gradient of all rows for a scientific code; plain SGD stands for "and use it somehow".
    Shape(
        "gradient", (24, 8, 2), "tanh", "identity", "squared_error", 200, "sgd", 400, ("float64",)
    ),
    Shape(
        "higgs",
        (28, *[300] * 5, 1),
        "tanh",
        "sigmoid",
        "binary_cross_entropy",
        100,
        "momentum",
        40,
    ),
    *(
        _regressor(f"w{w}", (10, w, w, 10), "relu", 128, "adam", 100)
        for w in (32, 46, 64, 128, 256)
    ),
    _classifier("default", (784, 100, 10), 200, "adam", 50),
    _regressor("square", (1024,) * 5, "relu", 256, "sgd", 3),
)

BY_ID = {shape.id: shape for shape in (*TABLE, *MORE)}
