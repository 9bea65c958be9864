"""Settings of a run: the options of the command, completed by what the data need."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any

from fastmlp import kernels, optimizers, schedules, stopping

from ._sources import Source
from ._usage import OPTIMIZERS, UsageError

#: Options of that group, for the record.
REGULARISATION = (
    *("l1", "l2", "weight_decay", "dropout", "clip_norm", "label_smoothing", "balanced"),
    *("patience", "time_limit"),
)


@dataclass(frozen=True)
class Plan:
    """Everything about the run that had a default or followed from the data."""

    sizes: tuple[int, ...]
    output: str
    loss: str
    optimizer: optimizers.Optimizer
    batch_size: int
    epochs: int
    stop: list[stopping.StopRule]


def plan(
    options: argparse.Namespace,
    source: Source,
    optimizer: optimizers.Optimizer,
    stop: list[stopping.StopRule],
) -> Plan:
    """Settle what was left open; complain about what does not fit the target."""
    prepare = source.preprocessing
    classes = prepare.task == "classification"
    default = "softmax" if classes else "identity"
    fitting = kernels.LOSS_OUTPUTS[options.loss] if options.loss else (default,)
    output = options.output or (default if default in fitting else fitting[0])
    if not classes and output == "softmax":
        raise UsageError("softmax outputs are for classes, and the target has real values")
    if classes and output == "exp":
        raise UsageError("exp outputs are for counts, and the target has classes")
    if options.balanced and not classes:
        raise UsageError("--balanced is for classes, and the target has real values")
    # Real targets in 0…1 are measured by their distance unless something else was asked for.
    natural = kernels.ACTIVATION_SPECS[output].natural_loss or "squared_error"
    loss = options.loss or (natural if classes else "squared_error")
    n_out = len(prepare.target_names)
    if classes and n_out == 2 and output == "sigmoid":
        n_out = 1
    return Plan(
        (prepare.n_features, *options.layers, n_out),
        output,
        loss,
        optimizer,
        options.batch_size,
        options.epochs or source.default_epochs,
        stop,
    )


def fit_arguments(options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    """Arguments of ``MLP.fit``, in the training and in each fold of a cross-validation."""
    return {
        "loss": plan.loss,
        "optimizer": plan.optimizer,
        "batch_size": plan.batch_size,
        "epochs": plan.epochs,
        "learning_rate": options.schedule,
        "l1": options.l1,
        "l2": options.l2,
        "dropout": options.dropout,
        "clip_norm": options.clip_norm,
        "label_smoothing": options.label_smoothing,
        "class_weight": "balanced" if options.balanced else None,
    }


def optimizer_of(options: argparse.Namespace) -> optimizers.Optimizer:
    """The optimizer with the constants that were said; complains about what does not fit it."""
    name = options.optimizer
    if name not in OPTIMIZERS:
        raise UsageError(f"--optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
    if options.schedule not in schedules.Schedule.registry:
        known = ", ".join(schedules.Schedule.registry)
        raise UsageError(f"--schedule must be one of {known}, got {options.schedule!r}")
    constants: dict[str, Any] = {}
    if name == "sgd":
        if options.nesterov and not options.momentum:
            raise UsageError("--nesterov needs --momentum, for example 0.9")
        constants = {"momentum": options.momentum or 0.0, "nesterov": options.nesterov}
        constants["learning_rate"] = 0.1
    elif options.momentum is not None or options.nesterov:
        raise UsageError("--momentum and --nesterov are for --optimizer sgd")
    if options.learning_rate:
        constants["learning_rate"] = options.learning_rate
    optimizer: Any = optimizers.get(name)
    if options.weight_decay is not None:
        if not hasattr(optimizer, "weight_decay"):
            raise UsageError(f"--optimizer {name} has no --weight-decay; --l2 is a penalty")
        constants["weight_decay"] = options.weight_decay
    found: optimizers.Optimizer = dataclasses.replace(optimizer, **constants)
    return found


def stop_rules(options: argparse.Namespace) -> list[stopping.StopRule]:
    """The stop rules that were asked for."""
    rules: list[stopping.StopRule] = []
    if options.patience is not None:
        if options.validation == 0:
            raise UsageError("--patience needs validation rows, and --validation is 0")
        rules.append(stopping.EarlyStopping(patience=options.patience))
    if options.time_limit is not None:
        rules.append(stopping.TimeLimit(options.time_limit))
    return rules


def check_pair(output: str | None, loss: str | None) -> None:
    """Complain about an output and a loss that do not go together."""
    if output and loss and output not in kernels.LOSS_OUTPUTS[loss]:
        allowed = " or ".join(kernels.LOSS_OUTPUTS[loss])
        raise UsageError(f"--loss {loss} needs --output {allowed}, not {output}")
