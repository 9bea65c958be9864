"""How long a step takes on so many ranks: a formula with constants measured on this machine.

A step of ``b`` rows on ``r`` ranks takes

    T(r) = c₀ + b/r · c₁ + M(r)

where a step of ``n`` rows of one rank takes ``c₀ + n c₁``: rows are gathered, gradients of shards
computed and added up, and the update, which each rank makes, does not depend on the rows. A
gradient of ``p`` bytes travels (see ``sums``), with latency ``λ`` and bandwidth ``β``, in

    M(r) = log₂ r · (λ + p/β)                     below 64 KiB
    M(r) = 2 log₂ r · λ + 2 (1 - 1/r) · p/β       from there on

to which the sum of the loss adds ``log₂ r · λ``. The efficiency is ``T(1) / (r T(r))``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from fastmlp.kernels import Architecture, TrainingOptions, UpdateRule
from numpy.typing import DTypeLike

from .._inputs import numbers
from .cluster import Cluster
from .sums import LONG
from .trainer import ClusterTrainer

#: Seconds that the measurement of a network takes, and the fewest calls that it is the median of.
SECONDS, CALLS = 0.2, 5
#: Rows of a step at most that is measured; from there on time is in proportion to them.
MOST_ROWS = 1024


@dataclass(frozen=True)
class Constants:
    """What was measured: seconds.

    Attributes
    ----------
    fixed : float
        ``c₀``, of a step beside its rows.
    row : float
        ``c₁``, of each of them.
    """

    fixed: float
    row: float


@dataclass(frozen=True)
class Estimate:
    """One line of a plan.

    Attributes
    ----------
    ranks : int
    seconds : float
        Of a step.
    travelling : float
        Of these, until the sum is there.
    bytes : int
        That each rank sends in a step.
    speedup, efficiency : float
        Against one rank.
    """

    ranks: int
    seconds: float
    travelling: float
    bytes: int
    speedup: float
    efficiency: float


def plan(
    sizes: Iterable[int],
    batch_size: int,
    ranks: int = 8,
    *,
    latency: float = 2e-6,
    bandwidth: float = 1.25e9,
    shards: int = 8,
    dtype: DTypeLike = np.float32,
    constants: Constants | None = None,
) -> list[Estimate]:
    """Estimate steps of one network on 1, 2, 4, … ranks with one thread each.

    The constants of the formula (in ``fastmlp._cluster.plan``) are measured here and now, on one
    thread, for Adam; what the machines between them add, ``latency`` and ``bandwidth`` say.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer; ReLU between them.
    batch_size : int
        Rows of a step, of all ranks together.
    ranks : int, default 8
        The largest number of ranks.
    latency : float
        Seconds of an empty message.
    bandwidth : float
        Bytes a second between two ranks; 10 Gbit Ethernet has 1.25e9.
    shards : int, default 8
        Of :meth:`MLP.fit`; at least as many as ranks.
    dtype : float32 or float64
        Of the network.
    constants : Constants, optional
        In the place of a measurement.

    Returns
    -------
    list of Estimate
        One for each number of ranks, the powers of two.

    Raises
    ------
    ValueError
        For sizes, rows, ranks, latency or bandwidth that are not above 0.

    Examples
    --------
    >>> import fastmlp
    >>> lines = fastmlp.plan([100, 64, 1], batch_size=4096, ranks=4)
    >>> [line.ranks for line in lines]
    [1, 2, 4]
    >>> lines[0].efficiency
    1.0
    """
    size, most = numbers.count("batch_size", batch_size, 1), numbers.count("ranks", ranks, 1)
    shards = numbers.count("shards", shards, 1)
    layers = tuple(numbers.count("sizes", n, 1) for n in sizes)
    network = Architecture(layers, ("relu",) * (len(layers) - 2), "identity")
    for name, value in (("latency", latency), ("bandwidth", bandwidth)):
        if not numbers.number(name, value) > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    # Steps of one rank and of the most: what lies between them follows from both.
    many = min(MOST_ROWS, max(2, size))
    few = max(1, min(size // most, many // 8))
    found = constants or measured(network, np.dtype(dtype), few, many, shards)
    volume = network.n_parameters * np.dtype(dtype).itemsize
    lines: list[Estimate] = []
    count = 1
    while count <= most:
        computing = found.fixed + size / count * found.row
        travelling, sent = _travel(count, volume, latency, bandwidth)
        seconds = computing + travelling
        speedup = lines[0].seconds / seconds if lines else 1.0
        lines.append(Estimate(count, seconds, travelling, sent, speedup, speedup / count))
        count *= 2
    return lines


def measured(
    network: Architecture, dtype: np.dtype[Any], few: int, many: int, shards: int
) -> Constants:
    """The constants of a network on one thread of this machine, from steps of one rank.

    Of ``many`` rows in so many shards, and of one shard of ``few``, in turn: the line through the
    medians of both. Processors change their speed; a training that takes minutes sees their median
    as well.
    """
    generator = np.random.default_rng(0)
    n_in, n_out = network.sizes[0], network.sizes[-1]
    scale = np.repeat(
        [1 / math.sqrt(a) for a, _ in pairwise(network.sizes)],
        [a * b for a, b in pairwise(network.sizes)],
    )
    parameters = np.zeros(network.n_parameters, dtype)
    parameters[: len(scale)] = generator.normal(size=len(scale)) * scale
    x = generator.normal(size=(many, n_in)).astype(dtype)
    y = np.zeros((many, n_out), dtype)
    rule = UpdateRule("adam", {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "epsilon_hat": 0.0})

    def step(rows: int, shards: int) -> Callable[[], object]:
        options = TrainingOptions(batch_size=rows, n_threads=1)
        cluster = Cluster(_Alone(), shards)
        trainer = ClusterTrainer(network, dtype, "squared_error", rule, options, cluster)
        trainer.load(parameters)
        order = generator.permutation(many)[:rows]
        return lambda: trainer.run_epoch(x, y, order, 1e-6)

    less, more = _medians(step(few, 1), step(many, shards))
    row = max(0.0, (more - less) / (many - few))
    return Constants(max(0.0, less - few * row), row)


class _Alone:
    """The communicator of a rank without others."""

    def Get_rank(self) -> int:
        return 0

    def Get_size(self) -> int:
        return 1

    def bcast(self, value: Any, root: int) -> Any:
        return value

    def allgather(self, value: Any) -> list[Any]:
        return [value]

    Sendrecv = Allgather = None  # nobody is there


def _travel(ranks: int, volume: int, latency: float, bandwidth: float) -> tuple[float, int]:
    """Seconds of a sum over ranks, and bytes that each of them sends."""
    rounds = math.log2(ranks)
    if volume < LONG:
        sent = int(rounds * volume)
        return 2 * rounds * latency + sent / bandwidth, sent
    sent = int(2 * (1 - 1 / ranks) * volume)
    return 3 * rounds * latency + sent / bandwidth, sent


def _medians(*calls: Callable[[], object]) -> list[float]:
    """Seconds of each call, made in turn."""
    samples: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    began = time.perf_counter()
    while len(samples[0]) < CALLS or time.perf_counter() - began < SECONDS:
        for call, seconds in zip(calls, samples, strict=True):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    return [float(np.median(seconds)) for seconds in samples]
