"""Metrics of scikit-learn: by the name of a function or scorer, and what they take."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, Literal

from .._naming import suggestion

#: Second arguments that are no classes, in functions without a scorer.
_SCORES = ("y_score", "pred_decision")
_PROBABILITIES = ("y_proba", "y_prob")


def named(name: str, known: tuple[str, ...]) -> Any:
    """The function of ``sklearn.metrics`` of this name, or the scorer.

    Raises
    ------
    ValueError
        Where there is neither, naming the ``known`` metrics of the package.
    """
    try:
        module = importlib.import_module("sklearn.metrics")
    except ImportError:
        raise ValueError(
            f"metric must be one of {known}, or with scikit-learn installed (pip install "
            f"'fastmlp[sklearn]') a function of sklearn.metrics; got {name!r}"
            f"{suggestion('metric', name, known)}"
        ) from None
    function = getattr(module, name, None) if name in module.__all__ else None
    if callable(function) and "y_true" in _parameters(function):
        return function
    if name in module.get_scorer_names():
        scorer = module.get_scorer(name)
        if is_scorer(scorer) and "y_true" in _parameters(scorer._score_func):
            return scorer
    raise ValueError(
        f"metric must be one of {known}, or a function (y_true, y_pred) or scorer of "
        f"sklearn.metrics; got {name!r}{suggestion('metric', name, known)}"
    )


def is_scorer(metric: Any) -> bool:
    """Whether it is an object of ``sklearn.metrics.make_scorer``."""
    return all(
        hasattr(metric, name) for name in ("_score_func", "_sign", "_kwargs", "_response_method")
    )


def name_of(scorer: Any) -> str:
    """The name of a scorer's function, with ``neg_`` where its sign is changed."""
    name = str(getattr(scorer._score_func, "__name__", "scorer"))
    return name if scorer._sign > 0 else f"neg_{name}"


def function_of(scorer: Any) -> Callable[..., float]:
    """``(y_true, y_pred, …)`` of a scorer, higher values being better."""
    function = functools.partial(scorer._score_func, **scorer._kwargs)
    return function if scorer._sign > 0 else _Negative(function)


class _Negative:
    """A function with the other sign, and the same arguments."""

    def __init__(self, function: Callable[..., float]) -> None:
        self.function = function
        self.__name__ = str(getattr(function, "__name__", "negative"))
        self.__signature__ = inspect.signature(function)

    def __call__(self, *args: Any, **options: Any) -> float:
        return -self.function(*args, **options)


def takes(metric: Any) -> Literal["either", "probabilities", "scores"]:
    """What a function or scorer takes as predictions, from what scorers ask estimators for."""
    if is_scorer(metric):
        return _of_response(metric._response_method)
    if not is_theirs(metric):
        return "either"
    module = importlib.import_module("sklearn.metrics")
    for name in module.get_scorer_names():
        scorer = module.get_scorer(name)
        if getattr(scorer, "_score_func", None) is metric:
            return _of_response(scorer._response_method)
    second = _parameters(metric)[1:2]
    if second and second[0] in _SCORES:
        return "scores"
    return "probabilities" if second and second[0] in _PROBABILITIES else "either"


def is_theirs(function: Any) -> bool:
    """Whether scikit-learn has defined it, also behind ``functools.partial``."""
    while isinstance(function, (functools.partial, _Negative)):
        function = function.func if isinstance(function, functools.partial) else function.function
    return str(getattr(function, "__module__", "")).partition(".")[0] == "sklearn"


def _of_response(method: Any) -> Literal["either", "probabilities", "scores"]:
    methods = (method,) if isinstance(method, str) else tuple(method)
    if "decision_function" in methods:
        return "scores"
    return "probabilities" if "predict_proba" in methods else "either"


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
