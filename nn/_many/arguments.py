"""Arguments that are given once for all networks, or once for each."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np

from .. import _naming
from .._training.options import Options

#: Options that may be a sequence for one network; a list of them is one for each network all the
#: same where it is wrapped in :class:`each`.
SEQUENCES = ("dropout", "trainable", "stop", "metrics", "callbacks", "validation_data")
#: Arguments of ``fit`` that ``fit_many`` has in another form.
_OWN = ("X", "y", "sample_weight", "verbose", "trainer", "resume", "comm", "shards", "partitioned")


class each(tuple[Any, ...]):
    """Values of an option, one for each network of :func:`fastmlp.fit_many`.

    A list does as well, but for the options of which one value may be a sequence itself:
    ``dropout``, ``trainable``, ``stop``, ``metrics``, ``callbacks`` and ``validation_data``.

    Parameters
    ----------
    values : iterable
        As many as there are networks.

    Examples
    --------
    >>> from fastmlp import each
    >>> each([0.0, 0.1, 0.2])
    each(0.0, 0.1, 0.2)
    """

    __slots__ = ()

    def __new__(cls, values: Iterable[Any]) -> each:
        return super().__new__(cls, values)

    def __repr__(self) -> str:
        return f"each{super().__repr__()}"


@cache
def defaults() -> dict[str, Any]:
    """The options of ``MLP.fit`` by name, with their defaults."""
    from ..mlp import MLP

    parameters = inspect.signature(MLP.fit).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def options_of_each(
    options: dict[str, Any], k: int
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """All arguments of ``fit`` by name, for each of ``k`` networks, and in which they may differ.

    Raises
    ------
    TypeError
        For a name that is no option.
    ValueError
        Where there is not one value for each network.
    """
    known = [name for name in defaults() if name not in _OWN]
    for name in options:
        if name == "verbose":
            raise TypeError("fit_many shows its progress with progress=True; it has no verbose")
        if name not in known:
            hint = _naming.suggestion("option", name, known)
            raise TypeError(f"fit_many has no option {name!r}{hint}; it has those of MLP.fit")
    shared = {name: value for name, value in defaults().items() if name not in _OWN}
    shared |= {"sample_weight": None, "verbose": 0}
    several = {}
    for name, value in options.items():
        if isinstance(value, each) or (isinstance(value, list) and name not in SEQUENCES):
            if len(value) != k:
                raise ValueError(
                    f"{name} must be one value, or one for each of {k} networks, got {len(value)}"
                )
            several[name] = value
        else:
            shared[name] = value
    if not several:
        return [shared] * k, ()
    values = zip(*several.values(), strict=True)
    return [{**shared, **dict(zip(several, own, strict=True))} for own in values], tuple(several)


def record(options: dict[str, Any]) -> Options:
    """The options of one network as the training loop takes them."""
    return Options(**{f.name: options[f.name] for f in fields(Options) if f.name in options})


def data_of_each(name: str, value: Any, k: int, dimensions: Sequence[int]) -> list[Any] | None:
    """One array for each network, or ``None`` where ``value`` is one for all.

    Those of each are wrapped in :class:`each`, or a list or tuple of ``k`` arrays that have
    ``dimensions`` dimensions. Lists of numbers are rows of one array, as everywhere.
    """
    given = isinstance(value, each)
    if not given and isinstance(value, (list, tuple)) and len(value) == k:
        given = all(len(getattr(item, "shape", ())) in dimensions for item in value)
    if not given:
        return None
    if len(value) != k:
        raise ValueError(
            f"{name} must be one array, or one for each of {k} networks, got {len(value)}"
        )
    return list(value)


def rows_of_each(rows: Any, k: int) -> list[Any]:
    """What ``rows`` says for each network."""
    if rows is None:
        return [None] * k
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        rows = list(rows)
    if not isinstance(rows, (list, tuple)) or len(rows) != k:
        found = f"{len(rows)} items" if hasattr(rows, "__len__") else type(rows).__name__
        raise ValueError(f"rows must hold the rows of each of {k} networks, got {found}")
    return list(rows)
