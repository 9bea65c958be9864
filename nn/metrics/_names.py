"""Metrics by name: what each takes, and whether higher or lower is better."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from . import _sklearn
from ._classes import accuracy, balanced_accuracy, f1, mcc
from ._probabilities import average_precision, brier, log_loss, roc_auc, top_k
from ._values import d2, mae, mape, mse, pinball, r2, rmse

Takes = Literal["classes", "probabilities", "scores", "values", "either"]
Mode = Literal["auto", "min", "max"]


@dataclass(frozen=True)
class Metric:
    """A metric of ``fit``: its name in the history, what it computes, and from what.

    Parameters
    ----------
    name : str
        What its curve is called.
    function : callable
        ``function(y_true, y_pred)``, to a number. Where it has an argument ``sample_weight`` it is
        given the weights of rows, if there are any.
    takes : {"either", "classes", "probabilities", "scores", "values"}
        ``"either"``: classes where the network decides between classes, else values.
        ``"probabilities"``: of each class ``(n, n_classes)``, of two classes ``(n,)`` those of
        class 1. ``"scores"``: the same, of any output, for what looks at their order only.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; ``"auto"`` knows it from the name.
    """

    name: str
    function: Callable[..., float]
    takes: Takes = "either"
    mode: Mode = "auto"

    def __post_init__(self) -> None:
        if self.takes not in ("classes", "probabilities", "scores", "values", "either"):
            raise ValueError(
                "takes must be 'classes', 'probabilities', 'scores', 'values' or 'either', "
                f"got {self.takes!r}"
            )
        if self.mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {self.mode!r}")

    @property
    def direction(self) -> Literal["min", "max"] | None:
        """Which way is better; ``None`` where nothing tells it."""
        if self.mode != "auto":
            return self.mode
        return direction(self.name) or direction(_name_of(self.function))

    def has(self, argument: str) -> bool:
        """Whether the function has an argument of this name.

        Parameters
        ----------
        argument : str
            A name.

        Returns
        -------
        bool
            False also where its arguments are not known.
        """
        try:
            return argument in inspect.signature(self.function).parameters
        except (TypeError, ValueError):  # a builtin that does not say
            return False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, "classes", "max"),
        Metric("balanced_accuracy", balanced_accuracy, "classes", "max"),
        Metric("f1", f1, "classes", "max"),
        Metric("mcc", mcc, "classes", "max"),
        Metric("log_loss", log_loss, "probabilities", "min"),
        Metric("brier", brier, "probabilities", "min"),
        Metric("roc_auc", roc_auc, "scores", "max"),
        Metric("average_precision", average_precision, "scores", "max"),
        Metric("top_k", top_k, "scores", "max"),
        Metric("r2", r2, "values", "max"),
        Metric("d2", d2, "values", "max"),
        Metric("mae", mae, "values", "min"),
        Metric("mse", mse, "values", "min"),
        Metric("rmse", rmse, "values", "min"),
        Metric("mape", mape, "values", "min"),
        Metric("pinball", pinball, "values", "min"),
    )
}

#: Usual names of the same.
ALIASES = {
    "acc": "accuracy",
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "ap": "average_precision",
    "top_k_accuracy": "top_k",
    "matthews": "mcc",
    "brier_score": "brier",
    **dict.fromkeys(
        ("nll", "bce", "cross_entropy", "crossentropy", "binary_crossentropy"), "log_loss"
    ),
    **dict.fromkeys(("categorical_crossentropy", "sparse_categorical_crossentropy"), "log_loss"),
}

#: Names that no ending tells the direction of.
_LOWER = ("loss", "msle", "rmsle", "smape", "medae", "perplexity", "gradient_norm", "seconds")
_HIGHER = (
    *("matthews_corrcoef", "explained_variance", "sensitivity", "specificity", "kappa", "iou"),
    *("roc_auc_ovr", "roc_auc_ovo", "roc_auc_ovr_weighted", "roc_auc_ovo_weighted"),
    *(
        name + average
        for name in ("f1", "precision", "recall", "jaccard")
        for average in ("", "_macro", "_micro", "_weighted", "_samples")
    ),
)


def get(metrics: Any) -> list[Metric]:
    """Return the metrics that are named or given, one or several.

    Parameters
    ----------
    metrics : str, function, Metric, or several
        As ``fit(metrics=…)`` takes them.

    Returns
    -------
    list of Metric
        In the order given.

    Raises
    ------
    ValueError
        For an unknown name, or the same name twice.
    TypeError
        For anything else.

    Examples
    --------
    >>> from fastmlp import metrics
    >>> [metric.name for metric in metrics.get(["accuracy", "auc"])]
    ['accuracy', 'auc']
    """
    if isinstance(metrics, (str, Metric)) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be a list of names or functions, got {metrics!r}")
    found = [_one(metric) for metric in metrics]
    names = [metric.name for metric in found]
    if len(set(names)) < len(names):
        raise ValueError(f"metrics must have different names, got {names}")
    return found


def direction(name: str) -> Literal["min", "max"] | None:
    """Whether a curve or metric of this name is better low or high; ``None`` where unknown.

    Known are the metrics of this package and of scikit-learn, whose rule holds for other names too:
    what ends in ``_score`` is better high, in ``_error``, ``_loss`` or ``_deviance`` low.

    Parameters
    ----------
    name : str
        Of a curve of :class:`fastmlp.History` or a metric.

    Returns
    -------
    "min", "max" or None
        Where better values are.

    Examples
    --------
    >>> from fastmlp import metrics
    >>> metrics.direction("rmse"), metrics.direction("f1")
    ('min', 'max')
    """
    name = name.removeprefix("validation_")
    known = METRICS.get(ALIASES.get(name, name))
    if known is not None and known.mode != "auto":
        return known.mode
    if name.startswith("neg_") or name in _HIGHER:
        return "max"
    if name in _LOWER or name.endswith(("_error", "_loss", "_deviance")):
        return "min"
    return "max" if name.endswith(("_score", "_accuracy")) else None


def greater_is_better(name: str) -> bool:
    """Whether a metric of this name is better where it is higher.

    Parameters
    ----------
    name : str
        Of a metric.

    Returns
    -------
    bool
        False where lower is better.

    Raises
    ------
    ValueError
        For a name that is not known.

    Examples
    --------
    >>> from fastmlp import metrics
    >>> metrics.greater_is_better("accuracy")
    True
    """
    found = direction(name)
    if found is None:
        raise ValueError(
            f"whether {name!r} is better high or low is not known: give mode='max' or mode='min'"
        )
    return found == "max"


def _one(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        known = METRICS.get(ALIASES.get(metric, metric))
        return _named(metric) if known is None else replace(known, name=metric)
    if _sklearn.is_scorer(metric):
        return _of_scorer(_sklearn.name_of(metric), metric)
    if callable(metric) and not isinstance(metric, type):
        inner, name = _inner(metric), _name_of(metric)
        # The functions of this module are what their names are: log_loss takes probabilities.
        for known in METRICS.values():
            if inner is known.function:
                return known if metric is inner else replace(known, function=metric)
        return Metric(name, metric, _sklearn.takes(inner))
    raise TypeError(f"a metric must be a name or a function (y_true, y_pred), got {metric!r}")


def _named(name: str) -> Metric:
    """A function or scorer of scikit-learn."""
    found = _sklearn.named(name, tuple(METRICS))
    if _sklearn.is_scorer(found):
        return _of_scorer(name, found)
    return Metric(name, found, _sklearn.takes(found))


def _of_scorer(name: str, scorer: Any) -> Metric:
    return Metric(name, _sklearn.function_of(scorer), _sklearn.takes(scorer), "max")


def _inner(function: Any) -> Any:
    """The function behind ``functools.partial``."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name_of(function: Any) -> str:
    inner = _inner(function)
    return str(getattr(inner, "__name__", type(inner).__name__))
