"""Which kernels compute a network's functions, activations to losses, and its updates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._custom import CustomActivation, CustomLoss
from ..._specs import Loss, UpdateRule, activation_spec
from ..._typing import Array
from ..compiling import custom_kernels
from ..compiling.table import Kernel, use, use_group
from ..formulas import update_rules
from ..formulas.activations import SLOPES
from ..formulas.output_layer import kernel_of
from ..memory.arena import address
from ..memory.layout import NOWHERE
from ..memory.records import Layer, Plan
from ..passes.step_constants import prepare_task

#: Where the kernels of users' functions are kept for as long as somebody calls them.
Keep = list[Kernel]


def set_functions(
    layers: Any,
    activations: Sequence[str | CustomActivation],
    dropout: Sequence[float],
    itemsize: int,
    with_slopes: bool,
    keep: Keep,
) -> None:
    """Write the kernels of hidden layers and of dropout into layers.

    ``dropout`` has one probability for the input of each layer. ``slope`` is left at
    :data:`NOWHERE` for layers that need no memory for σ'.
    """
    names = [*activations, "identity"]
    below = "input"
    for layer, p in zip(layers, dropout, strict=True):
        layer.threshold, layer.scale = math.floor(p * 2**32), 1 / (1 - p)
    for level, (layer, name) in enumerate(zip(layers, names, strict=True)):
        if layer.threshold:
            layer.drop = use(f"dropout {below}", itemsize)
        drops = level + 1 < len(layers) and layers[level + 1].threshold > 0
        below = _set_activation(layer, name, itemsize, with_slopes, drops, keep)


def _set_activation(
    layer: Layer,
    name: str | CustomActivation,
    itemsize: int,
    with_slopes: bool,
    drops: bool,
    keep: Keep,
) -> str:
    """Kernels of an activation. σ' is kept where its output does not say it, or does not after
    dropout, whose kernel's name is returned."""
    bounds = activation_spec(name).clips  # the forward tile does it
    layer.low, layer.high = bounds or (-math.inf, math.inf)
    clipped = name == "identity" or bounds is not None
    with_slope = with_slopes and (name in SLOPES or not isinstance(name, str))
    kind = "activation_with_slope" if with_slope else "activation"
    layer.activation = -1 if clipped else _kernel(kind, name, itemsize, keep)
    kept = with_slope or drops
    layer.slope = 0 if kept else NOWHERE
    derivative = "slope" if kept else name
    plain = derivative == "identity"
    layer.derivative = -1 if plain else _kernel("derivative", derivative, itemsize, keep)
    return "slope" if with_slope else str(name)


def _kernel(kind: str, activation: str | CustomActivation, itemsize: int, keep: Keep) -> int:
    """Index of a kernel of an activation."""
    if isinstance(activation, str):
        return use(f"{kind} {activation}", itemsize)
    keep.append(custom_kernels.activation(kind, activation, itemsize))
    return keep[-1].index


def set_rule(plan: Plan, rule: UpdateRule, regularised: bool, alone: bool) -> Array:
    """Let the weights pass follow a rule.

    ``regularised`` says that it clips, decays, or has an l1 penalty; ``alone`` that nothing else
    needs the gradient. Returns the rule's constants, which are to be kept.
    """
    update, name = plan.update, update_rules.kernel_of(rule)
    update.weight_decay = rule.constants["weight_decay"]
    update.rule = use(f"update {name}" + " regularised" * regularised, plan.itemsize)
    if name == "sgd" and alone and not regularised:
        use_group("descent", plan.itemsize)
        update.descends = 1
    constants = np.array(update_rules.constants_of(rule))
    update.rule_constants, update.n_rule_constants = address(constants), len(constants)
    update.prepare = prepare_task(name).address
    return constants


def set_output(plan: Plan, output: str | CustomActivation, keep: Keep) -> None:
    """Let the rows pass write results, with this output activation."""
    plan.with_out = 1
    plan.is_softmax = output == "softmax"
    if output == "softmax":
        use("softmax", plan.itemsize)
    apart = output in ("softmax", "identity")
    plan.output_activation = -1 if apart else _kernel("activation", output, plan.itemsize, keep)


def set_loss(plan: Plan, loss: Loss, output: str, n_out: int, keep: Keep) -> None:
    """Let the rows pass compute this loss of so many outputs."""
    plan.with_loss = 1
    if isinstance(loss, CustomLoss):
        keep.append(custom_kernels.loss(loss, n_out, plan.itemsize))
        plan.loss = keep[-1].index
        plan.loss_constant = plan.label_low = 0.0
    else:
        kernel, plan.loss_constant, plan.label_low = kernel_of(loss, output)
        plan.loss = use(f"loss {kernel}", plan.itemsize)
    use("one_hot", plan.itemsize)


def set_loss_of_targets(plan: Plan, loss: Loss, output: str, keep: Keep) -> None:
    """The same for targets that have factors of their own."""
    if isinstance(loss, CustomLoss):
        keep.append(custom_kernels.loss_of_targets(loss, plan.itemsize))
        plan.loss_of_targets = keep[-1].index
    else:
        kernel = kernel_of(loss, output)[0]
        plan.loss_of_targets = use(f"loss_of_targets {kernel}", plan.itemsize)
