"""The definition of every kernel, in NumPy, readable as the equations of backpropagation.

This backend *is* the specification: its gradients are checked against finite differences, and the
other backends are checked against it. It also runs wherever NumPy does.

``activations``     σ and ⊙ σ', by name
``outputs``         the Jacobian of the output layer
``losses``          loss of a row and its derivative by the scores
``layers``          the kernels: forward, errors, gradients
``update_rules``    how a gradient changes parameters and state, by name
``optimizers``      these as kernels
``second``          sums of second order, systems of equations
``sparse``          products with rows in compressed sparse form
``philox``          random numbers from counters
``regularisation``  penalties, dropout, clipping, bounded norms
``derivatives``     derivatives of a network by its inputs
``network``         a network's predictions and gradients;  ``trainer``  the steps of an epoch
``lanes``           some networks in one trainer;  ``shards``  steps of several processes
"""

from .._steps import plain_samples
from .activations import activate, activation_backward
from .lanes import LaneTrainer, lanes
from .layers import bias_gradient, delta_backward, dense_forward, weight_gradient
from .losses import loss_value, output_delta
from .network import Network
from .optimizers import update
from .second import gauss_newton, solve_positive, solves_systems
from .shards import ShardTrainer
from .trainer import Trainer

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
    "lanes",
    "loss_value",
    "output_delta",
    "plain_samples",
    "solve_positive",
    "solves_systems",
    "update",
    "weight_gradient",
]
