"""The names that the kernels know: a record for each, with all that differs between them.

A new activation, loss or update rule is one record here and one formula in each backend. The
formulas are in ``reference/``: ``activations``, ``losses``, ``update_rules``. Code asks a record
for what it needs to know, and never compares names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

#: Records are named tuples: made at every import, a tenth of what it costs to make a dataclass.
_NONE: Mapping[str, float] = MappingProxyType({})


class ActivationSpec(NamedTuple):
    """What is known of an activation.

    Parameters
    ----------
    hidden, output : bool
        Whether hidden layers, and the output layer, may have it.
    keeps : {"output", "pre-activation"}
        What its derivative is computed from: ``a = σ(z)``, or ``z`` where σ is not one-to-one.
    init : {"glorot", "he", "lecun"}
        Variance of the initial weights that keeps the variance of signals: He's for those that let
        about half of their inputs through.
    clips : tuple of two floats, optional
        Where it is the pre-activation between two bounds, these: it costs nothing then.
    natural_loss : str, optional
        Of an output activation the loss whose output error is ``a - y``.
    """

    hidden: bool = True
    output: bool = False
    keeps: Literal["output", "pre-activation"] = "output"
    init: Literal["glorot", "he", "lecun"] = "glorot"
    clips: tuple[float, float] | None = None
    natural_loss: str | None = None


class Constant(NamedTuple):
    """A constant of a loss: its default, and what it must be, in words and as a condition."""

    default: float
    must: str
    holds: Callable[[float], bool]


class Targets(NamedTuple):
    """The values that a loss takes as targets, in words and as an interval."""

    words: str
    low: float = -math.inf
    high: float = math.inf


ANY = Targets("numbers as y")


class LossSpec(NamedTuple):
    """What is known of a loss.

    Parameters
    ----------
    outputs : tuple of str
        Output activations that it is defined for; the first is the usual one.
    constants : mapping of Constant
        Its constants by name, with defaults and ranges.
    targets : Targets
        Which values mean something to it.
    tasks : tuple of str
        What the estimators offer it for: ``"regression"``, ``"classification"``.
    low : float
        Target of the outputs beside the one of a class label, which is 1.
    margin : bool
        Whether scores are margins, of which 0 decides and no probabilities come.
    exclusive : bool
        Whether a row belongs to one class: its outputs compete.
    for_one_output : str, optional
        The loss to take for a single output, for which this one is not defined.
    """

    outputs: tuple[str, ...]
    constants: Mapping[str, Constant] = MappingProxyType({})
    targets: Targets = ANY
    tasks: tuple[str, ...] = ("regression", "classification")
    low: float = 0.0
    margin: bool = False
    exclusive: bool = False
    for_one_output: str | None = None


class RuleSpec(NamedTuple):
    """What is known of an update rule.

    Parameters
    ----------
    slots : mapping of str to float or str
        The state vectors beside the parameters, and what every element starts at: a number, the
        name of a constant, or ``"learning_rate"``.
    constants : mapping of str to float
        With their defaults: torch.optim's, for ``ftrl`` Keras's. Every rule also takes
        ``weight_decay``, 0 by default.
    """

    slots: Mapping[str, float | str] = _NONE
    constants: Mapping[str, float] = _NONE


# The names again, as a type: editors complete them.
ActivationName: TypeAlias = Literal[
    "identity",
    "sigmoid",
    "tanh",
    "hardtanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "silu",
    "gelu",
    "gelu_tanh",
    "mish",
]
OutputName: TypeAlias = Literal["identity", "sigmoid", "softmax", "exp"]
LossName: TypeAlias = Literal[
    "squared_error",
    "absolute_error",
    "huber",
    "quantile",
    "log_cosh",
    "poisson",
    "binary_cross_entropy",
    "cross_entropy",
    "hinge",
    "squared_hinge",
    "multiclass_hinge",
]

#: Activations by name.
ACTIVATION_SPECS: Mapping[str, ActivationSpec] = MappingProxyType(
    {
        "identity": ActivationSpec(output=True, natural_loss="squared_error"),
        "sigmoid": ActivationSpec(output=True, natural_loss="binary_cross_entropy"),
        "tanh": ActivationSpec(),
        "hardtanh": ActivationSpec(clips=(-1.0, 1.0)),
        "relu": ActivationSpec(init="he", clips=(0.0, math.inf)),
        "leaky_relu": ActivationSpec(init="he"),
        "elu": ActivationSpec(init="he"),
        "selu": ActivationSpec(init="lecun"),
        "softplus": ActivationSpec(),
        "softsign": ActivationSpec(),
        "silu": ActivationSpec(keeps="pre-activation", init="he"),
        "gelu": ActivationSpec(keeps="pre-activation", init="he"),
        "gelu_tanh": ActivationSpec(keeps="pre-activation", init="he"),
        "mish": ActivationSpec(keeps="pre-activation", init="he"),
        "softmax": ActivationSpec(hidden=False, output=True, natural_loss="cross_entropy"),
        "exp": ActivationSpec(hidden=False, output=True, natural_loss="poisson"),
    }
)
#: Activations of hidden layers.
ACTIVATIONS = tuple(name for name, spec in ACTIVATION_SPECS.items() if spec.hidden)
#: Those whose derivative is computed from the pre-activations z; for the others the output a is
#: enough.
NEED_SCORES = tuple(n for n, spec in ACTIVATION_SPECS.items() if spec.keeps == "pre-activation")
#: Activations of the output layer.
OUTPUTS = tuple(name for name, spec in ACTIVATION_SPECS.items() if spec.output)

_SMOOTHING = {
    "label_smoothing": Constant(0.0, "be at least 0 and below 1", lambda s: 0 <= s < 1),
}
#: Losses by name.
LOSS_SPECS: Mapping[str, LossSpec] = MappingProxyType(
    {
        "squared_error": LossSpec(outputs=OUTPUTS),
        "absolute_error": LossSpec(outputs=OUTPUTS),
        "huber": LossSpec(
            outputs=OUTPUTS, constants={"delta": Constant(1.0, "be above 0", lambda d: d > 0)}
        ),
        "quantile": LossSpec(
            outputs=OUTPUTS,
            constants={"quantile": Constant(0.5, "lie between 0 and 1", lambda q: 0 < q < 1)},
            tasks=("regression",),
        ),
        "log_cosh": LossSpec(outputs=OUTPUTS),
        "poisson": LossSpec(
            outputs=("exp",), targets=Targets("y that is not negative", 0), tasks=("regression",)
        ),
        "binary_cross_entropy": LossSpec(
            outputs=("sigmoid",),
            constants=_SMOOTHING,
            targets=Targets("y in 0…1", 0, 1),
            tasks=("log_loss",),
        ),
        "cross_entropy": LossSpec(
            outputs=("softmax",),
            constants=_SMOOTHING,
            targets=Targets("probabilities as y", 0),
            tasks=("log_loss",),
            exclusive=True,
        ),
        "hinge": LossSpec(outputs=("identity",), tasks=("classification",), low=-1.0, margin=True),
        "squared_hinge": LossSpec(
            outputs=("identity",), tasks=("classification",), low=-1.0, margin=True
        ),
        "multiclass_hinge": LossSpec(
            outputs=("identity",),
            tasks=("classification",),
            margin=True,
            exclusive=True,
            for_one_output="hinge",
        ),
    }
)
#: What holds for a loss that a user has defined.
CUSTOM_LOSS = LossSpec(outputs=OUTPUTS)
LOSSES = tuple(LOSS_SPECS)
#: Losses, each with the output activations it is defined for.
LOSS_OUTPUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: spec.outputs for name, spec in LOSS_SPECS.items()}
)
#: Constants of the losses that have any, with their defaults.
LOSS_CONSTANTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        name: {constant: known.default for constant, known in spec.constants.items()}
        for name, spec in LOSS_SPECS.items()
        if spec.constants
    }
)

_MOMENTS = {"first_moment": 0.0, "second_moment": 0.0}
_ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
#: Update rules by name.
RULE_SPECS: Mapping[str, RuleSpec] = MappingProxyType(
    {
        "sgd": RuleSpec(),
        "momentum": RuleSpec(slots={"velocity": 0.0}, constants={"momentum": 0.0, "nesterov": 0.0}),
        "adagrad": RuleSpec(
            slots={"sum": "initial_accumulator"},
            constants={"epsilon": 1e-10, "initial_accumulator": 0.0, "lr_decay": 0.0},
        ),
        "adadelta": RuleSpec(
            slots={"square_average": 0.0, "delta_average": 0.0},
            constants={"rho": 0.9, "epsilon": 1e-6},
        ),
        "rmsprop": RuleSpec(
            slots={"square_average": 0.0, "gradient_average": 0.0, "buffer": 0.0},
            constants={"alpha": 0.99, "epsilon": 1e-8, "momentum": 0.0, "centered": 0.0},
        ),
        "adam": RuleSpec(slots=_MOMENTS, constants={**_ADAM, "epsilon_hat": 0.0}),
        "amsgrad": RuleSpec(
            slots={**_MOMENTS, "highest_second_moment": 0.0},
            constants={**_ADAM, "epsilon_hat": 0.0},
        ),
        "yogi": RuleSpec(
            slots={"first_moment": 0.0, "second_moment": "initial_accumulator"},
            constants={**_ADAM, "epsilon": 1e-3, "epsilon_hat": 0.0, "initial_accumulator": 1e-6},
        ),
        "adamax": RuleSpec(slots={"first_moment": 0.0, "infinity_norm": 0.0}, constants=_ADAM),
        "nadam": RuleSpec(slots=_MOMENTS, constants={**_ADAM, "momentum_decay": 4e-3}),
        "radam": RuleSpec(slots=_MOMENTS, constants=_ADAM),
        "ftrl": RuleSpec(
            slots={"accumulator": "initial_accumulator", "linear": 0.0},
            constants={
                "learning_rate_power": -0.5,
                "initial_accumulator": 0.1,
                "l1": 0.0,
                "l2": 0.0,
                "l2_shrinkage": 0.0,
                "beta": 0.0,
            },
        ),
        "lion": RuleSpec(slots={"first_moment": 0.0}, constants={"beta_1": 0.9, "beta_2": 0.99}),
        "rprop": RuleSpec(
            slots={"previous_gradient": 0.0, "step_size": "learning_rate"},
            constants={"eta_minus": 0.5, "eta_plus": 1.2, "step_min": 1e-6, "step_max": 50.0},
        ),
    }
)
#: Update rules and the vectors of state that each keeps beside the parameters.
UPDATE_RULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(spec.slots) for name, spec in RULE_SPECS.items()}
)
#: Constants of each update rule, with their defaults.
RULE_CONSTANTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {name: spec.constants for name, spec in RULE_SPECS.items()}
)
