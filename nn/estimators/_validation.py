"""Constructor parameters: what each may be, checked when ``fit`` begins."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._compat import InvalidParameterError

#: The estimators' names of activations, and the engine's.
ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
#: Solvers that go through the rows in minibatches.
STOCHASTIC_SOLVERS = ("sgd", "adam")

Rule = tuple[Callable[[Any], bool], str]


def _one_of(*names: str) -> Rule:
    return (lambda v: isinstance(v, str) and v in names), f"a str among {set(names)}"


def _integer(v: Any, low: int) -> bool:
    return isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= low


def _real(low: float, high: float, *, ends: str) -> Rule:
    """A real number between two bounds; ``ends`` has a bracket for each that is included."""

    def fits(v: Any) -> bool:
        if not isinstance(v, Real) or isinstance(v, bool) or math.isnan(v):
            return False
        x = float(v)
        above = low <= x if ends[0] == "[" else low < x
        return above and (x <= high if ends[1] == "]" else x < high)

    return fits, f"a float in the range {ends[0]}{float(low)}, {float(high)}{ends[1]}"


_POSITIVE_INT: Rule = (lambda v: _integer(v, 1)), "an int in the range [1, inf)"
_BOOL: Rule = (lambda v: isinstance(v, (bool, np.bool_))), "an instance of 'bool'"
_NOT_NEGATIVE = _real(0, math.inf, ends="[)")
_POSITIVE = _real(0, math.inf, ends="()")

RULES: dict[str, Rule] = {
    "hidden_layer_sizes": (
        lambda v: _integer(v, 1) or (hasattr(v, "__len__") and not isinstance(v, str)),
        "an array-like or an int in the range [1, inf)",
    ),
    "activation": _one_of(*ACTIVATIONS),
    "solver": _one_of("lbfgs", *STOCHASTIC_SOLVERS),
    "alpha": _NOT_NEGATIVE,
    "batch_size": (
        lambda v: (isinstance(v, str) and v == "auto") or _integer(v, 1),
        "a str among {'auto'} or an int in the range [1, inf)",
    ),
    "learning_rate": _one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": _POSITIVE,
    "power_t": _NOT_NEGATIVE,
    "max_iter": _POSITIVE_INT,
    "shuffle": _BOOL,
    "random_state": (
        lambda v: v is None or isinstance(v, np.random.RandomState) or _integer(v, 0),
        "an int in the range [0, 4294967295], an instance of 'numpy.random.RandomState' or None",
    ),
    "tol": _NOT_NEGATIVE,
    "verbose": (
        lambda v: isinstance(v, np.bool_) or (isinstance(v, Integral) and int(v) >= 0),
        "an int in the range [0, inf) or an instance of 'bool'",
    ),
    "warm_start": _BOOL,
    "momentum": _real(0, 1, ends="[]"),
    "nesterovs_momentum": _BOOL,
    "early_stopping": _BOOL,
    "validation_fraction": _real(0, 1, ends="[)"),
    "beta_1": _real(0, 1, ends="[)"),
    "beta_2": _real(0, 1, ends="[)"),
    "epsilon": _POSITIVE,
    "n_iter_no_change": (
        lambda v: _integer(v, 1) or (isinstance(v, Real) and v == math.inf),
        "an int in the range [1, inf) or inf",
    ),
    "max_fun": _POSITIVE_INT,
}


def check_parameters(estimator: Any) -> None:
    """Raise for the first constructor parameter of a wrong type or value."""
    for name, (fits, wanted) in RULES.items():
        value = getattr(estimator, name)
        if not fits(value):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {wanted}. "
                f"Got {value!r} instead."
            )
    hidden_sizes(estimator)


def hidden_sizes(estimator: Any) -> tuple[int, ...]:
    """Neurons of the hidden layers, one number or a sequence."""
    value = estimator.hidden_layer_sizes
    sizes = [value] if isinstance(value, Integral) else list(value)
    for size in sizes:
        if not _integer(size, 1):
            raise ValueError(f"hidden_layer_sizes must be integers > 0, got {value!r}.")
    return tuple(int(size) for size in sizes)


def random_state_of(seed: Any) -> np.random.RandomState:
    """The generator that a ``random_state`` stands for: NumPy's global one for ``None``."""
    if seed is None:
        state: np.random.RandomState = np.random.mtrand._rand
        return state
    if isinstance(seed, np.random.RandomState):
        return seed
    return np.random.RandomState(seed)
