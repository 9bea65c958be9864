"""Which types ``skops.io`` may trust in files with estimators of this package.

>>> from fastmlp.interop.skops import TRUSTED
>>> model = skops.io.load("model.skops", trusted=TRUSTED)       # doctest: +SKIP

They hold numbers, text and arrays; none of them runs code that a file brings along.
"""

from __future__ import annotations

import dataclasses
import importlib

__all__ = ["TRUSTED"]

#: Whose public classes may be parameters of an estimator.
_MODULES = ("initializers", "losses", "optimizers", "schedules", "stopping")
#: What estimators hold besides.
_PRIVATE = (
    ("estimators.classifier", "MLPClassifier"),
    ("estimators.regressor", "MLPRegressor"),
    ("estimators._fitting.optimizer", "StochasticOptimizer"),
    ("estimators._labels", "LabelCodes"),
    ("schedules._rates", "Rates"),
)


def _names() -> list[str]:
    package = __package__.rpartition(".")[0]
    found = {f"{package}.{module}.{name}" for module, name in _PRIVATE}
    found.add(f"{package}.kernels._specs.UpdateRule")
    for module in _MODULES:
        offered = importlib.import_module(f"{package}.{module}")
        for name in offered.__all__:
            value = getattr(offered, name)
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                found.add(f"{value.__module__}.{value.__qualname__}")
    return sorted(found)


#: Names of types, as ``trusted=`` of ``skops.io.load`` takes them.
TRUSTED: list[str] = _names()
