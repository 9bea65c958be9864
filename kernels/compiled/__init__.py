"""The compiled backend: C kernels ahead of time, the instruction set chosen at import.

``_core.pyx`` and the ``.pxi`` files it includes check arguments and call C; ``_threadpool.py``
tells threadpoolctl of the threads. ``src/README.md`` says how the C sources are ordered.
"""

from . import _threadpool
from ._core import (
    LaneTrainer,
    Network,
    ShardTrainer,
    Trainer,
    activate,
    activation_backward,
    bias_gradient,
    delta_backward,
    dense_forward,
    gauss_newton,
    isa,
    lanes,
    loss_value,
    output_delta,
    plain_samples,
    solve_positive,
    solves_systems,
    update,
    weight_gradient,
)
from ._core import look_at_twister as look_at_twister  # as the next, for _epochs.py
from ._core import shuffled as shuffled  # for _epochs.py: no backend's own computation

__all__ = [
    "LaneTrainer",
    "Network",
    "ShardTrainer",
    "Trainer",
    "activate",
    "activation_backward",
    "bias_gradient",
    "delta_backward",
    "dense_forward",
    "gauss_newton",
    "isa",
    "lanes",
    "loss_value",
    "output_delta",
    "plain_samples",
    "solve_positive",
    "solves_systems",
    "update",
    "weight_gradient",
]

_threadpool.register()
