"""``_parameter_constraints``, where tools look for what the parameters of an estimator may be."""

from __future__ import annotations

import inspect
from typing import Any

#: Parameters of scikit-learn's that take more here.
_WIDER = ("activation", "loss", "batch_size")


class ParameterConstraints:
    """A class attribute that is made when it is asked for.

    It is scikit-learn's own, with ``"no_validation"`` for what it does not know: ``fit`` checks all
    parameters itself.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> dict[str, Any]:
        try:
            from sklearn import neural_network  # type: ignore[import-untyped,unused-ignore]

            known = getattr(neural_network, self._name)._parameter_constraints
        except ImportError:
            known = {}
        constructor: Any = owner.__init__  # type: ignore[misc]
        names = [name for name in inspect.signature(constructor).parameters if name != "self"]
        return {
            name: list(known[name]) if name in known and name not in _WIDER else "no_validation"
            for name in names
        }
