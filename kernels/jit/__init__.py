"""The Numba backend: vector instructions for the host CPU, compiled just in time.

The same functions and classes as ``reference``, without a C compiler. From the bottom up:

``_host``       what the CPU offers, and tile sizes
``_vector``, ``_values``
                a small vector language over LLVM's instructions
``_vmath``, ``_tiles``, ``_runs``, ``_rules``, ``_copies``, ``_dropout``, ``_sparse``
                kernels written in it: functions, matrix products, activations, update rules,
                panels, dropout, sparse rows
``_columns``, ``_losses_of_outputs``, ``_losses_of_scores``, ``_scores``
                and those of the output layer: rows as columns, formulas of losses, their kernels
``_steps``, ``_custom``, ``_added``
                users' activations and losses written in it, as C functions and as kernels
``_table``      these compiled when they are needed, as a table of addresses
``_plan``, ``_arena``, ``_layout``, ``_blocks``, ``_functions``, ``_workspace``
                the memory of a network and batch, laid out before a job runs: records, where
                everything lies, how work is cut, which kernels are called, and all together
``_operands``, ``_calls``, ``_elements``
                what a job is given; calls on arrays, and on vectors
``_walks``, ``_gradient_walks``, ``_rows_tasks``, ``_weights_tasks``, ``_packing``, ``_prepare``
                compiled Python that walks over panels and calls the table: the engine's two passes
``_team``, ``_choice``, ``_limit``
                threads: jobs, how many are used, what threadpoolctl says
``_compile``, ``_cache``, ``_warm_up``, ``_access``
                compiling at first use, keeping the code on disk, memory by address

``layers``, ``activations``, ``losses``, ``optimizers``, ``network``, ``training`` are what is
called from outside. A new activation goes into ``_runs``, a new update rule into ``_rules``, a new
loss into ``_losses_of_outputs`` or ``_losses_of_scores``, a new instruction set into ``_host``.
"""

from .activations import activate, activation_backward
from .layers import bias_gradient, delta_backward, dense_forward, weight_gradient
from .losses import loss_value, output_delta
from .network import Network
from .optimizers import update
from .threads.limit import register as _register
from .training import Trainer
from .vector.host import host

__all__ = [
    "Network",
    "Trainer",
    "activate",
    "activation_backward",
    "bias_gradient",
    "delta_backward",
    "dense_forward",
    "isa",
    "loss_value",
    "output_delta",
    "update",
    "weight_gradient",
]


_register()


def isa() -> str:
    """Instruction set that the kernels are compiled for."""
    return f"numba-{host().isa}"
