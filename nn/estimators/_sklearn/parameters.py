"""Constructor parameters: what each may be, checked when ``fit`` begins."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import BACKENDS

from ... import losses
from .. import _names
from .compat import InvalidParameterError, skip_parameter_validation

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


def _or_none(rule: Rule) -> Rule:
    fits, wanted = rule
    return (lambda v: v is None or fits(v)), f"{wanted} or None"


def _is_activation(v: Any) -> bool:
    if isinstance(v, (list, tuple)):
        return bool(v) and all(_is_activation(name) for name in v)
    name = _names.activation_name(v)
    return isinstance(name, kernels.CustomActivation) or (
        isinstance(name, str) and name in kernels.ACTIVATIONS
    )


def _is_class_weight(v: Any) -> bool:
    return v is None or isinstance(v, dict) or (isinstance(v, str) and v == "balanced")


_POSITIVE_INT: Rule = (lambda v: _integer(v, 1)), "an int in the range [1, inf)"
_BOOL: Rule = (
    (lambda v: isinstance(v, (bool, np.bool_))),
    "an instance of 'bool' or an instance of 'numpy.bool'",
)
_NOT_NEGATIVE = _real(0, math.inf, ends="[)")
_POSITIVE = _real(0, math.inf, ends="()")
_DTYPES: tuple[Any, ...] = ("float32", "float64", np.float32, np.float64)
_ANY: Rule = (lambda v: True), ""  # checked where it is used

RULES: dict[str, Rule] = {
    "hidden_layer_sizes": (
        lambda v: _integer(v, 1) or (hasattr(v, "__len__") and not isinstance(v, str)),
        "an array-like or an int in the range [1, inf)",
    ),
    "activation": (
        _is_activation,
        f"a str among {{'logistic', {', '.join(map(repr, kernels.ACTIVATIONS))}}} or one for each "
        "hidden layer",
    ),
    "solver": _one_of("lbfgs", "lm", "br", *STOCHASTIC_SOLVERS),
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
        "an int in the range [0, 4294967295], an instance of 'numpy.random.mtrand.RandomState' or "
        "None",
    ),
    "tol": _NOT_NEGATIVE,
    "verbose": (
        lambda v: isinstance(v, np.bool_) or (isinstance(v, Integral) and int(v) >= 0),
        "an int in the range [0, inf), an instance of 'bool' or an instance of 'numpy.bool'",
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
        "an int in the range [1, inf) or a float among {inf}",
    ),
    "max_fun": _POSITIVE_INT,
    # What fastmlp adds.
    "class_weight": (_is_class_weight, "an instance of 'dict', the str 'balanced' or None"),
    "output_reduction": _one_of("mean", "sum"),
    "missing_targets": _one_of("error", "ignore"),
    "optimizer": _ANY,
    "schedule": _ANY,
    "init": _ANY,
    "stop": _ANY,
    "l1": _NOT_NEGATIVE,
    "dropout": (
        lambda v: all(
            _real(0, 1, ends="[)")[0](p) for p in (v if isinstance(v, (list, tuple)) else [v])
        ),
        "a float in the range [0.0, 1.0) or one for the input and each hidden layer",
    ),
    "clip_value": _or_none(_POSITIVE),
    "clip_norm": _or_none(_POSITIVE),
    "max_norm": _or_none(_POSITIVE),
    "scoring": (
        lambda v: v is None or isinstance(v, str) or callable(v),
        "a str, a callable or None",
    ),
    "max_time": _or_none(_POSITIVE),
    "callbacks": _ANY,
    "progress": _BOOL,
    "n_threads": _or_none(_POSITIVE_INT),
    "backend": _or_none(_one_of(*BACKENDS)),
    "dtype": (
        lambda v: v is None or any(v is t or v == t for t in _DTYPES),
        "float32, float64 or None",
    ),
    "pickle_optimizer": _BOOL,
}


#: What has no meaning for solvers that take all rows, and its values that say "nothing".
NOT_FOR_ALL_ROWS: dict[str, tuple[Any, ...]] = {
    "l1": (0,),
    "dropout": (0, [], ()),
    **dict.fromkeys(("optimizer", "schedule", "clip_value", "clip_norm", "max_norm"), (None,)),
    **dict.fromkeys(("max_time", "scoring"), (None,)),
    **dict.fromkeys(("stop", "callbacks"), (None, (), [])),
    "progress": (False,),
}


def check_parameters(estimator: Any) -> None:
    """Raise for the first constructor parameter of a wrong type or value."""
    kept = estimator.__dict__
    values: tuple[Any, ...] = tuple(map(kept.get, _NAMES, _MISSING))
    skips, before = skip_parameter_validation(), kept.get("_checked")
    if before is not None and before[0] is skips and all(map(operator.is_, before[1], values)):
        return
    key = _plain_values(estimator, skips, values)
    if key is None or key not in _passed:
        _check_each(estimator)
        if key is not None:
            if len(_passed) >= _MOST_PASSED:
                _passed.clear()
            _passed.add(key)
    estimator._checked = None if key is None else (skips, values)


#: Parameters of numbers and names that have passed: nothing about them can change.
_passed: set[tuple[Any, ...]] = set()
_MOST_PASSED = 256
_NAMES = (*RULES, "loss")
_MISSING = (...,) * len(_NAMES)
_UNCHANGING = frozenset((int, float, str, bool, type(None), type(...)))  # the last: it has none


def _plain_values(estimator: Any, skips: bool, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """All parameters with their types, or ``None`` where one is an object that might change."""
    kinds = tuple(map(type, values))
    others = set(kinds) - _UNCHANGING
    if others:
        if others != {tuple}:
            return None
        for value in values:
            if type(value) is tuple and not set(map(type, value)) <= {int}:
                return None
    return type(estimator), skips, kinds, values


def _check_each(estimator: Any) -> None:
    if not skip_parameter_validation():
        for name, (fits, wanted) in {**RULES, "loss": loss_rule(estimator)}.items():
            if name in vars(estimator) and not fits(value := getattr(estimator, name)):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(estimator).__name__} must be {wanted}. "
                    f"Got {value!r} instead."
                )
    if estimator.solver not in STOCHASTIC_SOLVERS:
        for name, nothing in NOT_FOR_ALL_ROWS.items():
            if getattr(estimator, name) not in nothing:
                got = estimator.solver
                raise ValueError(f"{name} needs solver 'adam' or 'sgd', got solver {got!r}")
    layers = len(hidden_sizes(estimator))
    _names.activations(estimator.activation, layers)
    dropout_of(estimator, layers)


def loss_rule(estimator: Any) -> Rule:
    """What ``loss`` may be: a name that the estimator knows, or an object of ``fastmlp.losses``."""
    names = tuple(estimator._known_losses)
    rule = _one_of(*names)[0]
    return (
        lambda v: rule(v) or isinstance(v, (losses.Loss, kernels.Loss)),
        f"a str among {set(names)} or an object of fastmlp.losses",
    )


def hidden_sizes(estimator: Any) -> tuple[int, ...]:
    """Neurons of the hidden layers, one number or a sequence."""
    value = estimator.hidden_layer_sizes
    if value.__class__ is tuple and set(map(type, value)) == {int} and min(value) > 0:
        plain: tuple[int, ...] = value
        return plain
    sizes = [value] if isinstance(value, Integral) else list(value)
    for size in sizes:
        if isinstance(size, Real) and not isinstance(size, Integral):
            raise TypeError(f"hidden_layer_sizes must be integers, got {sizes}")
        if not _integer(size, 1):
            whole = isinstance(size, Integral) and not isinstance(size, bool)
            wanted = "> 0" if whole else "whole numbers"
            raise ValueError(f"hidden_layer_sizes must be {wanted}, got {sizes}.")
    return tuple(int(size) for size in sizes)


def dropout_of(estimator: Any, layers: int) -> tuple[float, ...]:
    """Probabilities for the input and each hidden layer; one number is for the hidden layers."""
    value = estimator.dropout
    if not isinstance(value, (list, tuple)):
        return (0.0, *(float(value),) * layers) if value else ()
    if len(value) != layers + 1:
        raise ValueError(
            f"dropout must be one number, or {layers + 1} for the input and {layers} hidden "
            f"layers, got {value!r}"
        )
    return tuple(float(p) for p in value) if any(value) else ()


def random_state_of(seed: Any, own: np.random.RandomState | None = None) -> np.random.RandomState:
    """The generator that a ``random_state`` stands for: NumPy's global one for ``None``.

    ``own``, which nobody else draws from, is seeded in the place of a new one for a whole number:
    it then draws the same, and to seed takes a twentieth of the time.
    """
    if seed is None:
        state: np.random.RandomState = np.random.mtrand._rand
        return state
    if isinstance(seed, np.random.RandomState):
        return seed
    if seed.__class__ is int:
        # Made with nothing to begin with: NumPy would spend most of its time on that.
        drawn = np.random.RandomState(np.random.MT19937(_NOTHING)) if own is None else own
        drawn.seed(seed)
        return drawn
    return np.random.RandomState(seed)


class _Nothing(np.random.bit_generator.ISeedSequence):
    """What a generator begins with that is seeded before its first draw."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        """Words of nothing."""
        return np.zeros(n_words, dtype)


_NOTHING: Any = _Nothing()


def start_generator(estimator: Any) -> None:
    """Let ``_random_state`` be what ``random_state`` stands for, as it is before the first draw."""
    kept, seed = estimator.__dict__, estimator.random_state
    estimator._random_state = random_state_of(seed, kept.get("_own_random"))
    if seed.__class__ is int:
        estimator._own_random = estimator._random_state
