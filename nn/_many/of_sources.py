"""Many networks on a source: one after another with all threads, so that memory stays bounded.

Every network goes through the source in an order of its own, as its ``fit`` does: blocks that are
read for one are of no use to the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import stopping
from .._network.network import Network
from .._streams import rows as streams
from .._training import plan
from .._typing import Array
from ..data._source import as_source
from ..history import History
from . import arguments, progress
from .work import Work


class SourceWork(Work):
    """Networks and the source that they learn from; in the place of :class:`Work` on arrays."""

    def __init__(self, networks: list[Network], source: Any, options: dict[str, Any]) -> None:
        self._source = as_source(source)
        super().__init__(networks, np.empty((0, 1)), np.empty(0), None, None, options)

    def data(self) -> dict[str, list[Any]]:
        """What ranks compare: the source in words."""
        return {"source": [self._source]}

    def cost(self, i: int) -> float:
        """About how long a network takes, in any unit."""
        return float(self.options[i]["epochs"] * (self.networks[i].parameters.size + 1000))

    def check(self) -> None:
        """Raise what any of the fits would raise before it begins."""
        self._check_generators()
        epochs = sum(options["epochs"] for options in self.options)
        if self._source.once and epochs > 1:
            raise ValueError(
                f"{self._source.name} can be gone through once, and {len(self.networks)} networks "
                "with their epochs need more: give what can be gone through again"
            )
        for i, (net, options) in enumerate(zip(self.networks, self.options, strict=True)):
            record = arguments.record(options)
            try:
                known = plan.settings(net, options["loss"], options["optimizer"], record)
                rows = plan.rows(net, known, self._source, None, None, record.class_weight)
                streams.run_of(rows, known, record.shuffle, record.epochs)
                plan.evaluation(net, record, rows, [*known.stop, known.schedule])
            except (TypeError, ValueError) as error:
                error.add_note(f"in network {i}")
                raise

    def run(
        self, n_threads: int, shown: Any, max_time: float | None, side_by_side: bool | None
    ) -> list[History]:
        """Train all of this process; see :func:`fastmlp.fit_many`."""
        end = None if max_time is None else time.perf_counter() + max_time
        with progress.shown(shown, len(self.mine)) as tell:
            for done, i in enumerate(self.mine, 1):
                try:
                    self._fit(i, n_threads, end)
                except Exception as error:
                    error.add_note(f"in network {i}")
                    raise
                tell(done)
        if max_time is not None:
            self._say_that_time_is_over(max_time)
        return self._histories

    def _fit(self, i: int, n_threads: int, end: float | None) -> None:
        net: Any = self.networks[i]
        given = {name: value for name, value in self.options[i].items() if name != "sample_weight"}
        if end is not None:
            left = end - time.perf_counter()
            if left <= 0:
                return
            given["stop"] = [*stopping.get(given["stop"]), stopping.TimeLimit(left)]
        before, net._n_threads = net.n_threads, n_threads
        try:
            self._histories[i] = net.fit(self._source, **given)
        finally:
            net._n_threads, net._backend = before, None  # made anew for as many threads


def refuse(**given: Any) -> None:
    """Raise ``ValueError`` for what is for arrays."""
    for name, value in given.items():
        if value is not None and value is not False:
            raise ValueError(f"{name} is for rows in arrays, and X is a source")


def predict(networks: Sequence[Any], source: Any, out: Array | None, of_rows: Any) -> Array:
    """What ``of_rows(networks, X)`` gives for each block, side by side in ``(k, n, n_out)``."""
    found = streams.by_blocks(
        as_source(source),
        lambda x: np.moveaxis(of_rows(networks, x), 0, 1),
        None if out is None else np.moveaxis(out, 0, 1),
    )
    return np.ascontiguousarray(np.moveaxis(found, 1, 0)) if out is None else out


def targets(network: Any, source: Any, loss: Any) -> tuple[Array, Array | None]:
    """Targets and weights of all rows of a source."""
    batch = streams.validation_batch(network, source, loss, None)
    return batch.target, batch.weight
