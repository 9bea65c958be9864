"""Optimizers whose step takes all rows: descent by line search, and methods of second order.

``base`` says what an iteration is to the training loop, ``line_search`` and ``second_order`` what
it does, ``curved`` gives the latter what it descends, ``cholesky`` solves for its step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastmlp import kernels
from fastmlp.kernels import TrainingOptions

from ..._cluster.cluster import Cluster
from ..._cluster.trainer import full_gradient
from ..._network import blocks, parameters
from ..._streams import sums
from ..._streams.stream import Stream
from ..._typing import Array
from ...optimizers._directions import Curvature, Method
from .base import FullBatchTrainer
from .line_search import LineSearchTrainer

if TYPE_CHECKING:
    from ..._network.network import Network

__all__ = ["FullBatchTrainer", "check", "trainer"]


def check(engine: TrainingOptions) -> None:
    """Refuse options that make the cost another one at every step."""
    unfit = [name for name in ("dropout", "clip_value", "clip_norm", "max_norm")
             if getattr(engine, name) not in ((), None)]  # fmt: skip
    if unfit:
        raise ValueError(
            f"an optimizer that takes all rows has no {', '.join(unfit)}: it needs the same cost "
            "at every step"
        )


def trainer(
    network: Network,
    loss: Any,
    method: Method | Curvature,
    engine: TrainingOptions,
    cluster: Cluster | None = None,
) -> FullBatchTrainer:
    """The trainer of an optimizer that takes all rows, for the cost that ``engine`` describes."""
    frozen = parameters.frozen(network.architecture, engine.trainable)
    net = kernels.network(network.architecture, network.dtype, n_threads=network.n_threads)

    def cost(parameters: Array, x: Any, target: Array, weight: Any, out: Array) -> float:
        if isinstance(x, Stream):
            return sums.loss_and_gradient(
                net, parameters, x, loss, out, cluster, l2=engine.l2, l1=engine.l1
            )
        if cluster is not None:
            return full_gradient(
                cluster, net, parameters, x, target, loss, weight, out,
                l2=engine.l2, l1=engine.l1,
            )  # fmt: skip
        value, _ = blocks.loss_and_gradient(
            net, parameters, x, target, loss, weight, out, l2=engine.l2, l1=engine.l1
        )
        return value

    if isinstance(method, Curvature):
        if engine.l1:
            raise ValueError(f"{method.name} needs a smooth cost: l1 must be 0, got {engine.l1}")
        from . import curved, second_order  # of no use to others

        learning = tuple(engine.trainable)
        curve = curved.curve(net, kernels.Loss.of(loss), cost, engine.l2, cluster, learning)
        damped = second_order.trainer(network, loss, method, curve, l2=engine.l2, learning=learning)
        if cluster is not None:
            damped.of_all = cluster.total
        return damped
    return LineSearchTrainer(cost, method, network.parameters.size, network.dtype, frozen)
