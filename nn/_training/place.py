"""How far an epoch has come: what a checkpoint within it keeps, and how a run goes on from there.

An epoch consists of stretches, rows that lie in memory together; of an array there is one. A place
is the number of a step, what the steps before it have added up to, and which stretch it lies in.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastmlp.kernels import CSR, TargetWeights

from .._inputs import numbers
from .._network.batch import Batch


@dataclass
class Place:
    """A place in an epoch.

    Attributes
    ----------
    step : int
        Steps of the epoch so far.
    summed : float
        Losses of finished stretches, each times its rows.
    visited : int
        Rows of finished stretches.
    stretches : int
        How many are finished.
    skip : int
        Steps of the present stretch so far.
    part : float
        Their losses, each times its rows.
    part_rows : int
        Their rows.
    seconds : float
        That the epoch took so far, before the run that is going on.
    batch_size : int
    where : dict or None
        What a source needs to find the present stretch again; ``None`` where it cannot.
    """

    step: int = 0
    summed: float = 0.0
    visited: int = 0
    stretches: int = 0
    skip: int = 0
    part: float = 0.0
    part_rows: int = 0
    seconds: float = 0.0
    batch_size: int = 0
    where: dict[str, Any] | None = dataclasses.field(default_factory=dict)
    #: Loss of the last finished stretch.
    last: float = 0.0

    @property
    def resumed(self) -> bool:
        """Whether the epoch has begun elsewhere."""
        return self.step > 0

    def finished(self, loss: float, rows: int) -> None:
        """End the present stretch."""
        self.summed += loss * rows
        self.visited += rows
        self.stretches += 1
        self.skip, self.part, self.part_rows, self.last = 0, 0.0, 0, loss

    @property
    def loss(self) -> float:
        """Mean over the rows of all finished stretches."""
        return self.last if self.stretches == 1 else self.summed / max(self.visited, 1)

    def state(self) -> dict[str, Any]:
        """Numbers and arrays, for a file."""
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del found["last"]
        return found


def of_state(state: dict[str, Any], n_in: int, dtype: Any) -> Place:
    """The place that :meth:`Place.state` has described.

    Raises
    ------
    ValueError
        Where it describes none.
    """
    names = {f.name for f in dataclasses.fields(Place)} - {"last"}
    if not isinstance(state, dict) or set(state) != names:
        raise ValueError(f"within must hold {sorted(names)}, got {state!r:.80}")
    for name in ("step", "visited", "stretches", "skip", "part_rows", "batch_size"):
        numbers.count(name, state[name], 1 if name in ("step", "batch_size") else 0)
    for name in ("summed", "part", "seconds"):
        numbers.number(name, state[name])
    where = state["where"]
    if not isinstance(where, dict):
        raise ValueError(f"where must be a dict, got {where!r:.80}")
    if where:
        for name in ("group", "k", "together"):
            numbers.count(name, where[name], 0)
        if where["seed"] is not None:
            numbers.count("seed", where["seed"], 0)
        batch_of(where["left"], n_in, dtype)
    return Place(**state)


def packed(batch: Batch | None) -> dict[str, Any] | None:
    """Rows that are left over, as arrays."""
    if batch is None:
        return None
    x, weight = batch.x, batch.weight
    found: dict[str, Any] = {"target": batch.target, "weight": weight, "x": x}
    if isinstance(weight, TargetWeights):
        found |= {"weight": weight.rows, "factors": weight.factors}
    if isinstance(x, CSR):
        indices, indptr = (part.astype(np.int64) for part in (x.indices, x.indptr))
        found["x"] = {"data": x.data, "indices": indices, "indptr": indptr, "shape": list(x.shape)}
    return found


def batch_of(found: dict[str, Any] | None, n_in: int, dtype: Any, loss: Any = None) -> Batch | None:
    """Rows that :func:`packed` has given.

    Raises
    ------
    ValueError
        Where they do not fit each other or the network.
    """
    if found is None:
        return None
    x, target, weight = found["x"], found["target"], found["weight"]
    if isinstance(x, dict):
        n, width = (numbers.count("shape", size, 0) for size in x["shape"])
        x = CSR(x["data"], x["indices"], x["indptr"], (n, width))
        ends = x.indptr
        if (
            [part.dtype for part in (x.data, x.indices, ends)] != [dtype, np.int64, np.int64]
            or ends.shape != (n + 1,)
            or ends[0] != 0
            or (np.diff(ends) < 0).any()
            or not ends[-1] == len(x.data) == len(x.indices)
            or x.indices.min(initial=0) < 0
            or x.indices.max(initial=-1) >= width
        ):
            raise ValueError("left has sparse rows that are none")
    elif x.ndim != 2 or x.dtype != dtype:
        raise ValueError(f"left has rows of shape {x.shape} and {x.dtype}, not {dtype}")
    n = x.shape[0]
    fits = x.shape[1] == n_in and len(target) == n and target.ndim in (1, 2)
    if not fits or (weight is not None and (weight.shape != (n,) or weight.dtype != dtype)):
        raise ValueError(f"left has rows, targets and weights that do not fit {n_in} inputs")
    factors = found.get("factors")
    if factors is not None:
        if weight is None or factors.shape[:1] != (n,) or factors.dtype != dtype:
            raise ValueError("left has factors of targets that do not fit its rows")
        weight = TargetWeights(weight, factors)
    return Batch(x, target, weight, loss)
