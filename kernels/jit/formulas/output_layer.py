"""Kernels over whole rows of scores: softmax, and the losses with their errors δ^L."""

from __future__ import annotations

from collections.abc import Callable

from ..._names import LOSS_SPECS
from ..._specs import Loss, loss_spec
from ..vector.code import Code, Int, Real
from ..vector.host import LINE
from ..vector.kernel import kernel
from .columns import Columns
from .losses_of_outputs import OF_OUTPUTS, of_gradients, of_outputs
from .losses_of_scores import OF_SCORES


def loss_is_sum(name: str) -> bool:
    """Whether an entry of :data:`KERNELS` is a loss that is a sum over outputs."""
    name = name.split(" ")[0].removesuffix("-smoothed")
    return name in LOSS_SPECS and not LOSS_SPECS[name].exclusive


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


#: Those whose rows are sums over outputs: one output may have a weight of its own.
OF_TARGETS = tuple(name for name in KERNELS if loss_is_sum(name))


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


@kernel
def loss_of_targets(
    code: Code, what: str | Callable[[Code, Columns], Real], outputs: int = 1, *,
    z: Int, y: Int, d: Int, step_bytes: Int, count: Int, n: Int, losses: Int,
    weights: Int, weight_step_bytes: Int, factors: Int, factor_step_bytes: Int, scratch: Int,
    scale: Real, constant: Real,
) -> None:  # fmt: skip
    """The same where each target of a row, of so many outputs, has a factor of its own.

    The loss is that of each target alone times its factor, added up. What has the factor 0 counts
    nothing, whatever it may be. Outputs of softmax meet: targets are then the probabilities.
    """
    columns = Columns(code, scratch, n)
    columns.constant = constant
    mixes = isinstance(what, str) and what.endswith(" softmax")
    if mixes and isinstance(what, str):
        what = what.replace("softmax", "identity")
    write = KERNELS[what] if isinstance(what, str) else what
    with code.loop(count, code.lanes) as j:
        at_row, left = j * LINE, count - j
        mask = code.first(left)
        columns.read(z + at_row, step_bytes, columns.z)
        columns.read(y + at_row, step_bytes, columns.y)
        if mixes:
            _, mass = columns.exponentials(columns.z)
            columns.scale(columns.z, code.real(1.0) / mass)
        total, at = code.variable(code.real(0.0)), code.variable(factors + j * code.itemsize)
        with code.loop(n, outputs) as target:
            own = columns.part(target, outputs)
            value = write(code, own)
            factor = code.load(at.get(), mask)
            total.set(total.get() + _counting(code, factor, value))
            own.each(lambda c, own=own, f=factor: _count(code, f, own.d + c))  # type: ignore[misc]
            at.set(at.get() + factor_step_bytes)
        if mixes:
            inner = columns.total(lambda c: code.load(columns.z + c) * code.load(columns.d + c))
            columns.each(
                lambda c: code.store(
                    code.load(columns.z + c) * (code.load(columns.d + c) - inner), columns.d + c
                )
            )
        code.store(code.to_doubles(total.get()), losses + j * 8, mask)
        several = weight_step_bytes > 0
        own_weight = code.load(weights + weight_step_bytes * j, code.both(mask, several))
        weight = code.choose_real(several, own_weight, code.broadcast(weights))
        columns.scale(columns.d, weight * scale)
        columns.write(columns.d, d + at_row, step_bytes, left)


def _counting(code: Code, factor: Real, value: Real) -> Real:
    """``factor · value``, and 0 where the factor is 0, whatever the value may be."""
    nothing = code.builder.fcmp_ordered("==", factor.value, code.real(0.0).value)
    return code.select(nothing, code.real(0.0), factor * value)


def _count(code: Code, factor: Real, at: Int) -> None:
    code.store(_counting(code, factor, code.load(at)), at)
