"""Training loops to compare, one class each, all with the same four methods.

A contender is made from a shape, a problem and a setting. ``epoch()`` visits the problem's rows
once in its library's natural fast loop and returns the mean loss; ``parameters()`` is the flat
vector in fastmlp's layout. ``definition(shape)`` is the shape that it really trains, and
``epsilon_hat`` the form of Adam (see ``fastmlp.kernels.adam_update``).

A library that is not installed is left out; its module is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from .. import problem as _problem
from ..problem import Array, Problem, Setting
from ..shapes import Shape


class Contender(Protocol):
    """What every class below offers."""

    epsilon_hat: ClassVar[bool]

    def __init__(self, shape: Shape, problem: Problem, setting: Setting) -> None: ...
    def epoch(self) -> float: ...
    def parameters(self) -> Array: ...
    @classmethod
    def definition(cls, shape: Shape) -> Shape: ...


#: Name → (module to be installed, module here, class).
RIVALS = {
    "numpy": ("numpy", "numpy_loop", "NumpyByHand"),
    "sklearn": ("sklearn", "sklearn_loop", "ScikitLearn"),
    "torch": ("torch", "torch_loop", "Torch"),
    "jax": ("jax", "jax_loop", "Jax"),
}
TITLES = {
    "compiled": "fastmlp compiled",
    "numba": "fastmlp numba",
    "reference": "fastmlp reference",
    "compiled predictor": "fastmlp compiled, predictor",
    "numba predictor": "fastmlp numba, predictor",
    "reference predictor": "fastmlp reference, predictor",
    "numpy": "NumPy by hand",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "jax": "JAX, epoch in jit",
    "matmul": "numpy.matmul alone",
    "onnxruntime": "ONNX Runtime",
}


def installed(name: str) -> bool:
    """Whether the library of a rival is here."""
    return importlib.util.find_spec(RIVALS[name][0]) is not None


def load(name: str) -> type[Contender]:
    """The class of a rival, or of a backend of fastmlp."""
    if name in RIVALS:
        _, module, attribute = RIVALS[name]
        contender: type[Contender] = getattr(
            importlib.import_module(f".{module}", __name__), attribute
        )
        return contender
    from .fastmlp_loop import backend

    return backend(name)


def verify(name: str, shape: Shape, dtype: str, n_threads: int | None, steps: int = 3) -> float:
    """Compare a contender with the reference; returns the seconds that its first call took longer.

    That is the time to compile, where a library compiles, and to wake up where it does not.

    Raises
    ------
    AssertionError
        If its loss or its parameters after ``steps`` steps are not right.
    """
    kind = load(name)
    shape = kind.definition(shape)
    problem = _problem.make(shape, dtype, steps, seed=1)
    setting = _problem.verified(n_threads)
    start = time.perf_counter()
    contender = kind(shape, problem, setting)
    loss = contender.epoch()
    first = time.perf_counter() - start
    want = _problem.answer(shape, problem, setting, kind.epsilon_hat)
    _problem.check(name, shape, problem, (loss, contender.parameters()), want)
    start = time.perf_counter()
    contender.epoch()
    return max(0.0, first - (time.perf_counter() - start))


def ready(
    names: Iterable[str], shape: Shape, dtype: str, n_threads: int | None
) -> tuple[dict[str, Contender], dict[str, float], dict[str, str]]:
    """Verified contenders for timing, seconds of each one's first call, and what failed."""
    contenders: dict[str, Any] = {}
    first_calls, failures = {}, {}
    for name in names:
        try:
            first_calls[name] = verify(name, shape, dtype, n_threads)
            kind = load(name)
            shape_of_it = kind.definition(shape)
            problem = _problem.make(shape_of_it, dtype, shape.steps)
            contenders[name] = kind(shape_of_it, problem, _problem.timed(n_threads))
        except Exception as error:  # one broken contender must not hide the others' figures
            failures[name] = f"{type(error).__name__}: {error}"
    return contenders, first_calls, failures
