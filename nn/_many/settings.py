"""Settings drawn at random: what networks of an ensemble, or candidates of a search, try."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs.numbers import number
from . import arguments

#: Arguments of the networks that ``vary`` may name, beside the options of ``fit``.
OF_NETWORKS = ("sizes", "activation", "init")


class Distribution:
    """Base of distributions; anything with ``rvs(random_state=…)``, as scipy's have, will do."""

    def rvs(self, random_state: Any = None) -> Any:
        """Draw one value with a generator, or from a seed."""
        raise NotImplementedError


@dataclass(frozen=True)
class loguniform(Distribution):
    """Numbers between ``low`` and ``high`` whose logarithms are uniform: learning rates, penalties.

    Parameters
    ----------
    low, high : float
        Above 0.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(self.low, self.high, above=0.0)

    def rvs(self, random_state: Any = None) -> float:
        low, high = math.log(self.low), math.log(self.high)
        return math.exp(generator_of(random_state).uniform(low, high))


@dataclass(frozen=True)
class uniform(Distribution):
    """Numbers between ``low`` and ``high``, all equally likely.

    Parameters
    ----------
    low, high : float
        The bounds.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(self.low, self.high)

    def rvs(self, random_state: Any = None) -> float:
        return float(generator_of(random_state).uniform(self.low, self.high))


@dataclass(frozen=True)
class integers(Distribution):
    """Whole numbers of ``low`` … ``high``, both among them; of ``log`` with uniform logarithms.

    Parameters
    ----------
    low, high : int
        The bounds, both of them possible.
    log : bool, default False
        Draw with uniform logarithms: as many below 10 as between 10 and 100.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check(self.low, self.high, above=0.0 if self.log else -math.inf)

    def rvs(self, random_state: Any = None) -> int:
        generator = generator_of(random_state)
        if not self.log:
            return int(generator.uniform(self.low, self.high + 1) // 1)
        low, high = math.log(self.low), math.log(self.high + 1)
        return min(int(math.exp(generator.uniform(low, high))), self.high)


def _check(low: float, high: float, above: float = -math.inf) -> None:
    numbers = number("low", low), number("high", high)
    if not above < numbers[0] <= numbers[1] < math.inf:
        floor = "" if above == -math.inf else " above 0"
        raise ValueError(f"low and high must be finite numbers{floor} in this order, got {numbers}")


def generator_of(random_state: Any) -> Any:
    """A generator of NumPy's, of the new kind or the old one, from itself or a seed."""
    if isinstance(random_state, (np.random.Generator, np.random.RandomState)):
        return random_state
    return np.random.default_rng(random_state)


def check_space(name: str, space: Any) -> dict[str, Any]:
    """Check a dict of name → list of values or distribution.

    Raises
    ------
    TypeError, ValueError
        For anything else, or an empty list.
    """
    if not isinstance(space, Mapping):
        raise TypeError(
            f"{name} must be a dict of lists or distributions, got {type(space).__name__}"
        )
    for key, values in space.items():
        if hasattr(values, "rvs"):
            continue
        if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
            raise TypeError(
                f"{name}[{key!r}] must be a list of values or a distribution with rvs, "
                f"got {values!r}"
            )
        if len(values) == 0:
            raise ValueError(f"{name}[{key!r}] has no values")
    return dict(space)


def draw(space: Mapping[str, Any], generator: Any) -> dict[str, Any]:
    """One value of each, drawn in the order of the names."""
    found = {}
    for name in sorted(space):
        values = space[name]
        if hasattr(values, "rvs"):
            old = not isinstance(values, Distribution) and isinstance(
                generator, np.random.Generator
            )
            # Distributions of older versions of scipy know NumPy's old generators alone.
            source = np.random.RandomState(generator.integers(2**32)) if old else generator
            value = values.rvs(random_state=source)
            found[name] = value.item() if isinstance(value, np.generic) else value
        else:
            n = len(values)
            at = generator.randint(n) if hasattr(generator, "randint") else generator.integers(n)
            found[name] = values[at]
    return found


def grid(space: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All combinations of lists, the last name's values changing fastest."""
    names = sorted(space)
    for values in itertools.product(*(space[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def check_vary(vary: Any) -> dict[str, Any]:
    """What networks of an ensemble vary in: options of ``fit``, and of the networks."""
    space = check_space("vary", {} if vary is None else vary)
    known = {*OF_NETWORKS, *arguments.defaults()} - {
        "sample_weight",
        "verbose",
        "comm",
        "shards",
        "partitioned",
    }
    for name in space:
        if name not in known:
            raise ValueError(f"vary names options of fit and {OF_NETWORKS}, got {name!r}")
    return space
