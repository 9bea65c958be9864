"""Warnings of the estimators, which the filters for scikit-learn's silence."""

from __future__ import annotations

from ..._warn import warn as warn_user


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line, with the module where scikit-learn would warn.

    ``filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")``, as its examples
    have it, so needs no change.
    """
    warn_user(message, category, module="sklearn.neural_network._multilayer_perceptron")
