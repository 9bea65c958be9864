"""The Numba backend: vector instructions for the host CPU, compiled just in time.

The same functions and classes as ``reference``, without a C compiler. From the bottom up:

``vector``      a small vector language over LLVM's instructions, and what the CPU offers
``scalar``      Python functions of integers and records as LLVM's instructions
``formulas``, ``matrices``
                kernels written in it: elementwise functions, losses, update rules; products
``compiling``   these and the tasks below, compiled at first use and kept on disk
``memory``      where weights, activations and errors lie, and how a step is cut into tasks
``passes``      functions in that language which call the kernels: the two passes of a step
``threads``     jobs of tasks on one or several threads
``engine``      all together: workspaces, calls on arrays

``layers``, ``activations``, ``losses``, ``second``, ``optimizers``, ``derivatives``, ``network``,
``training`` and ``lanes`` are what is called from outside; ``_numba`` is the only place that knows
Numba's private classes, and ``_llvm`` the one that asks LLVM for machine code. LLVM comes with
Numba; Numba itself is imported for calls on arrays (``engine/entrances``) and for several threads.
A new activation goes into ``formulas/activations``, an update rule into ``formulas/update_rules``,
a loss into ``formulas/losses_of_outputs`` or ``losses_of_scores``, an instruction set into
``vector/host``.
"""

from .._steps import plain_samples
from ._warm_up import cache_folder as cache_folder
from ._warm_up import warm_up as warm_up
from .activations import activate, activation_backward
from .lanes import LaneTrainer, lanes
from .layers import bias_gradient, delta_backward, dense_forward, weight_gradient
from .losses import loss_value, output_delta
from .network import Network
from .optimizers import update
from .second import gauss_newton, solve_positive, solves_systems
from .shards import ShardTrainer
from .threads.limit import register as _register
from .training import Trainer
from .vector.host import host

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


_register()


def isa() -> str:
    """Instruction set that the kernels are compiled for."""
    return f"numba-{host().isa}"
