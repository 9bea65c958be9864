"""Settings of a run: the options of the command, completed by what the data need."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any

from fastmlp import kernels, losses, optimizers, schedules, stopping

from ._sources import Source
from ._usage import GAUSSIAN, OPTIMIZERS, UsageError

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
    objective: Any  # the loss, as fit takes it
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
    described = described_by(options)
    if classes and described is not None:
        raise UsageError(f"{_said(options)} is for real values, and the target has classes")
    chosen = _chosen(options)
    fitting = (default,) if chosen is None else chosen.outputs
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
    if described is not None:
        loss, n_out = _named(options), n_out * described.outputs_a_target
    if classes and n_out == 2 and output == "sigmoid":
        n_out = 1
    return Plan(
        (prepare.n_features, *options.layers, n_out),
        output,
        loss,
        loss if described is None else described,
        optimizer,
        options.batch_size,
        options.epochs or source.default_epochs,
        stop,
    )


def fit_arguments(options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    """Arguments of ``MLP.fit``, in the training and in each fold of a cross-validation."""
    return {
        "loss": plan.objective,
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


def described_by(options: argparse.Namespace) -> Any:
    """The loss by which several outputs describe each target, or ``None``."""
    if options.quantiles:
        return losses.Quantile(options.quantiles, ordered=True)
    return losses.GaussianNLL() if options.loss == GAUSSIAN else None


def _chosen(options: argparse.Namespace) -> Any:
    """The loss that was asked for, or ``None``."""
    return described_by(options) or (losses.get(options.loss) if options.loss else None)


def _named(options: argparse.Namespace) -> str:
    """The loss that was asked for in words: its name, or the quantiles."""
    if not options.quantiles:
        return str(options.loss)
    return f"quantiles {','.join(f'{q:g}' for q in options.quantiles)}"


def _said(options: argparse.Namespace) -> str:
    """The option by which it was asked for."""
    return f"--{'' if options.quantiles else 'loss '}{_named(options)}"


def check_pair(options: argparse.Namespace) -> None:
    """Complain about an output and a loss that do not go together."""
    output, loss = options.output, options.loss
    if options.quantiles and loss not in (None, "quantile"):
        raise UsageError(f"--quantiles is for --loss quantile, not {loss}")
    found = _chosen(options)
    if output and found is not None and output not in found.outputs:
        allowed = " or ".join(found.outputs)
        raise UsageError(f"--loss {loss or 'quantile'} needs --output {allowed}, not {output}")
