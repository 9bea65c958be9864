"""The compiled backend: C tiles ahead of time, the instruction set chosen at import.

``_core.pyx`` and the ``.pxi`` files it includes check arguments and call C; ``_threadpool.py``
tells threadpoolctl of the threads. The C sources in ``src/``, from the bottom up:

``names.h``        names of activations, losses, rules and their constants
``simd.h``         vectors of one instruction set and precision
``vmath.h``        exp, log, tanh, sigmoid and their kin, of vectors
``panels.h``       copies between plain matrices and panels
``tiles.h``        register tiles of the matrix products
``columns.h``      rows as columns, where sums run over a row
``activations.h``  σ and σ';  ``losses.h``  the output layer;  ``updates.h``  update rules
``layers.h``       a block of rows times a weight matrix
``networks.h``     parameters in and out of panels, predictions
``dropout.h``      random numbers by counters;  ``custom.h``  functions of the user's
``penalties.h``    penalties, clipping, bounded norms
``look_ahead.h``   rows that are asked for before they are gathered
``rows_pass.h``    the first pass of a training step;  ``weights_pass.h``  the second
``products.h``     the kernels on plain arrays
``kernels.c``      all of these as one table; compiled once per instruction set and precision
``dispatch.c``     which table is used
``memory.c``       what an engine is made of;  ``engine.c``  order of the passes, predictions
``sparse.c``       steps on sparse rows (``sparse.h``  their kernels);  ``calls.c``  plain arrays
``names.c``        codes of names, and what becomes of a rule's constants in one step
``pool.c``         threads;  ``choice.c``  how many a training step uses
"""

from . import _threadpool
from ._core import (
    Network,
    Trainer,
    activate,
    activation_backward,
    bias_gradient,
    delta_backward,
    dense_forward,
    isa,
    loss_value,
    output_delta,
    update,
    weight_gradient,
)

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

_threadpool.register()
