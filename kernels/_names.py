"""The names that the kernels know, with their constants: tables, and nothing else.

The formulas behind the names are in ``reference/``: ``activations``, ``losses``, ``update_rules``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Activations of hidden layers.
ACTIVATIONS = (
    "identity",
    "sigmoid",
    "tanh",
    "hardtanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "silu",
    "gelu",
    "gelu_tanh",
    "mish",
)
#: Those whose derivative is computed from the scores z; for the others the output a is enough.
NEED_SCORES = ("silu", "gelu", "gelu_tanh", "mish")
#: Activations of the output layer.
OUTPUTS = ("identity", "sigmoid", "softmax", "exp")
#: Losses, each with the output activations it is defined for.
LOSS_OUTPUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "squared_error": OUTPUTS,
        "absolute_error": OUTPUTS,
        "huber": OUTPUTS,
        "quantile": OUTPUTS,
        "poisson": ("exp",),
        "binary_cross_entropy": ("sigmoid",),
        "cross_entropy": ("softmax",),
        "hinge": ("identity",),
        "squared_hinge": ("identity",),
        "multiclass_hinge": ("identity",),
    }
)
LOSSES = tuple(LOSS_OUTPUTS)
#: Constants of the losses that have any, with their defaults.
LOSS_CONSTANTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "huber": {"delta": 1.0},
        "quantile": {"quantile": 0.5},
        "binary_cross_entropy": {"label_smoothing": 0.0},
        "cross_entropy": {"label_smoothing": 0.0},
    }
)
#: Update rules and the vectors of state that each keeps beside the parameters.
UPDATE_RULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sgd": (),
        "momentum": ("velocity",),
        "adagrad": ("sum",),
        "adadelta": ("square_average", "delta_average"),
        "rmsprop": ("square_average", "gradient_average", "buffer"),
        "adam": ("first_moment", "second_moment"),
        "amsgrad": ("first_moment", "second_moment", "highest_second_moment"),
        "adamax": ("first_moment", "infinity_norm"),
        "nadam": ("first_moment", "second_moment"),
        "radam": ("first_moment", "second_moment"),
        "ftrl": ("accumulator", "linear"),
        "lion": ("first_moment",),
        "rprop": ("previous_gradient", "step_size"),
    }
)
_ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
#: Constants of each update rule, with their defaults: torch.optim's, for ``ftrl`` Keras's.
#: Every rule also takes ``weight_decay``, 0 by default.
RULE_CONSTANTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "sgd": {},
        "momentum": {"momentum": 0.0, "nesterov": 0.0},
        "adagrad": {"epsilon": 1e-10, "initial_accumulator": 0.0, "lr_decay": 0.0},
        "adadelta": {"rho": 0.9, "epsilon": 1e-6},
        "rmsprop": {"alpha": 0.99, "epsilon": 1e-8, "momentum": 0.0, "centered": 0.0},
        "adam": {**_ADAM, "epsilon_hat": 0.0},
        "amsgrad": {**_ADAM, "epsilon_hat": 0.0},
        "adamax": _ADAM,
        "nadam": {**_ADAM, "momentum_decay": 4e-3},
        "radam": _ADAM,
        "ftrl": {
            "learning_rate_power": -0.5,
            "initial_accumulator": 0.1,
            "l1": 0.0,
            "l2": 0.0,
            "l2_shrinkage": 0.0,
            "beta": 0.0,
        },
        "lion": {"beta_1": 0.9, "beta_2": 0.99},
        "rprop": {"eta_minus": 0.5, "eta_plus": 1.2, "step_min": 1e-6, "step_max": 50.0},
    }
)
