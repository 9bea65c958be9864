"""Kernels over whole rows of scores: softmax, and the losses with their errors δ^L."""

from __future__ import annotations

from collections.abc import Callable

from ..._specs import Loss, loss_spec
from ..vector.code import Code, Int, Real
from ..vector.host import LINE
from ..vector.kernel import kernel
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


@kernel
def softmax(code: Code, *, z: Int, step_bytes: Int, count: Int, n: Int, scratch: Int) -> None:
    """Softmax of each row in place; ``scratch`` has room for a vector a column."""
    columns = Columns(code, scratch, n)
    with code.loop(count, code.lanes) as j:
        rows = z + j * LINE
        columns.read(rows, step_bytes, columns.z)
        _, total = columns.exponentials(columns.z)
        columns.scale(columns.z, code.real(1.0) / total)
        columns.write(columns.z, rows, step_bytes, count - j)


@kernel
def loss(
    code: Code, what: str | Callable[[Code, Columns], Real], *,
    z: Int, y: Int, d: Int, step_bytes: Int, count: Int, n: Int, losses: Int,
    weights: Int, weight_step_bytes: Int, scratch: Int, scale: Real, constant: Real,
) -> None:  # fmt: skip
    """Loss and error of each row, for ``"name output"`` of :data:`KERNELS`, or a function like
    those.

    Errors ``d`` and ``losses`` (a double a row) are written. Row weights that lie 0 bytes apart are
    one weight for all; ``scratch`` has room for three vectors a column. The error of a row is
    multiplied by its weight and by ``scale``, the loss is not.
    """
    columns = Columns(code, scratch, n)
    columns.constant = constant
    with code.loop(count, code.lanes) as j:
        at_row, left = j * LINE, count - j
        mask = code.first(left)
        columns.read(z + at_row, step_bytes, columns.z)
        columns.read(y + at_row, step_bytes, columns.y)
        value = (KERNELS[what] if isinstance(what, str) else what)(code, columns)
        code.store(code.to_doubles(value), losses + j * 8, mask)
        # Where all rows share a weight, it is loaded again as if it were the first of many.
        several = weight_step_bytes > 0
        own = code.load(weights + weight_step_bytes * j, code.both(mask, several))
        shared = code.broadcast(weights)
        factor = code.choose_real(several, own, shared) * scale
        columns.scale(columns.d, factor)
        columns.write(columns.d, d + at_row, step_bytes, left)
