"""Kernels over whole rows of scores: softmax, and the losses with their errors δ^L."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._specs import Loss, loss_spec
from ..vector.code import Code, Real
from ..vector.host import LINE
from .columns import Columns
from .losses_of_outputs import OF_OUTPUTS, of_gradients, of_outputs
from .losses_of_scores import OF_SCORES

OUTPUT_NAMES = ("identity", "sigmoid", "softmax", "exp")
#: "loss output" → function that writes the unweighted errors of the columns and returns the rows'
#: losses.
KERNELS: dict[str, Callable[[Code, Columns], Real]] = {
    **{
        f"{name} {output}": of_outputs(name, output)
        for name in OF_OUTPUTS
        for output in OUTPUT_NAMES
    },
    **OF_SCORES,
    **{f"of_output {output}": of_gradients(output) for output in OUTPUT_NAMES},
}


def kernel_of(loss: Loss, output: str) -> tuple[str, float, float]:
    """The entry of :data:`KERNELS` for a loss, its constant, and what stands in the rows of class
    labels beside the label."""
    (constant,) = loss.constants.values() or (0.0,)
    smoothed = "-smoothed" if loss.constants.get("label_smoothing") else ""
    return f"{loss.name}{smoothed} {output}", constant, loss_spec(loss).low


def softmax(code: Code) -> Any:
    """Softmax of each row in place.

    Arguments: ``z``, ``step``, ``count`` rows, ``n`` columns, ``scratch`` for a vector a column.
    """
    z, step, count, n, scratch = code.ints
    columns = Columns(code, scratch, n)
    with code.loop(count, code.lanes) as j:
        rows = z + j * LINE
        columns.read(rows, step, columns.z)
        _, total = columns.exponentials(columns.z)
        columns.scale(columns.z, code.real(1.0) / total)
        columns.write(columns.z, rows, step, count - j)
    return code.finish()


def loss(code: Code, what: str | Callable[[Code, Columns], Real]) -> Any:
    """Loss and error of each row, for ``"name output"`` of :data:`KERNELS`, or a function like
    those.

    Arguments: scores ``z``, targets ``y``, errors ``d`` (written), their common ``step``, ``count``
    rows, ``n`` columns, ``losses`` (a double a row, written), row ``weights`` and the bytes between
    them (0 for one weight for all), ``scratch`` for three vectors a column; ``scale``; the loss's
    constant. The error of a row is multiplied by its weight and by ``scale``, the loss is not.
    """
    z, y, d, step, count, n, losses, weights, weight_step, scratch = code.ints
    scale, constant = (code.splat(value) for value in code.doubles)
    columns = Columns(code, scratch, n)
    columns.constant = constant
    with code.loop(count, code.lanes) as j:
        at_row, left = j * LINE, count - j
        mask = code.first(left)
        columns.read(z + at_row, step, columns.z)
        columns.read(y + at_row, step, columns.y)
        value = (KERNELS[what] if isinstance(what, str) else what)(code, columns)
        code.store(code.to_doubles(value), losses + j * 8, mask)
        # Where all rows share a weight, it is loaded again as if it were the first of many.
        own = code.load(weights + weight_step * j, code.both(mask, weight_step > 0))
        shared = code.broadcast(weights)
        factor = code.choose_real(weight_step > 0, own, shared) * scale
        columns.scale(columns.d, factor)
        columns.write(columns.d, d + at_row, step, left)
    return code.finish()
