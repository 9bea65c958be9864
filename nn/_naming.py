"""Names that people pass: an unknown one is an error that says what was probably meant.

Names of other frameworks are not taken for the package's: much of what is alike differs in the
numbers. Keras's ``"mse"`` is the mean over the outputs, ``"squared_error"`` half the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: What names of other frameworks mean here, without capitals, hyphens and underscores.
MEANT: Mapping[str, Mapping[str, str]] = {
    "activation": {
        "swish": "silu",
        "linear": "identity",
        "logistic": "sigmoid",
        "leaky": "leaky_relu",
        "hardsigmoid": "hardtanh",
    },
    "output": {"linear": "identity", "logistic": "sigmoid", "exponential": "exp"},
    "loss": {
        "categoricalcrossentropy": "cross_entropy",
        "sparsecategoricalcrossentropy": "cross_entropy",
        "logloss": "cross_entropy",
        "nll": "cross_entropy",
        "ce": "cross_entropy",
        "bce": "binary_cross_entropy",
        "bcewithlogits": "binary_cross_entropy",
        "categoricalhinge": "multiclass_hinge",
        "mse": "squared_error",
        "meansquarederror": "squared_error",
        "l2": "squared_error",
        "mae": "absolute_error",
        "meanabsoluteerror": "absolute_error",
        "l1": "absolute_error",
        "smoothl1": "huber",
        "pinball": "quantile",
        "poissonnll": "poisson",
    },
    "optimizer": {
        "momentum": "sgd",
        "nesterov": "sgd",
        "gd": "gradient_descent",
        "amsgrad": "adam",
        "bfgs": "lbfgs",
    },
    "learning_rate": {
        "invscaling": "inverse_scaling",
        "cosinedecay": "cosine",
        "cosineannealing": "cosine",
        "exponentialdecay": "exponential",
        "exponentiallr": "exponential",
        "inversetimedecay": "inverse_time",
        "reducelronplateau": "reduce_on_plateau",
        "adaptive": "reduce_on_plateau",
        "steplr": "step",
        "onecyclelr": "one_cycle",
        "linear": "warmup",
    },
    "stop": {"patience": "early_stopping", "maxtime": "time_limit", "tol": "plateau"},
    "init": {
        "xavier": "glorot_uniform",
        "glorot": "glorot_uniform",
        "he": "he_normal",
        "xavieruniform": "glorot_uniform",
        "xaviernormal": "glorot_normal",
        "kaiminguniform": "he_uniform",
        "kaimingnormal": "he_normal",
    },
}


def find(what: str, name: str, known: Iterable[str], module: str | None = None) -> str:
    """Return the name if it is known.

    Parameters
    ----------
    what : str
        The argument: a key of :data:`MEANT`, or any other.
    module : str, optional
        Whose objects are taken as well.

    Raises
    ------
    ValueError
        For any other name, with the nearest.
    """
    names = tuple(known)
    if name in names:
        return name
    objects = f" or an object of {module}" if module else ""
    raise ValueError(
        f"{what} must be one of {names}{objects}, got {name!r}{suggestion(what, name, names)}"
    )


def suggestion(what: str, name: object, known: Iterable[str]) -> str:
    """``"; did you mean …?"`` for a name that resembles a known one, else nothing."""
    if not isinstance(name, str):
        return ""
    import difflib  # here, not above: only an error needs it

    by_plain = {_plain(each): each for each in known}
    plain = _plain(name)
    found = by_plain.get(plain) or MEANT.get(what, {}).get(plain)
    if found not in by_plain.values():
        near = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.7)
        found = by_plain[near[0]] if near else None
    return f"; did you mean {found!r}?" if found else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
