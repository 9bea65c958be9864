"""Kernels of custom activations and losses, added to the table as networks ask for them.

Where an object has a program, that is compiled into a kernel like the built-in ones; else the
kernel is a function of Python that holds the GIL and calls NumPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import _callbacks
from ..._custom import CustomActivation, CustomLoss
from ..._program import REDUCTION_STEPS, Program, Step
from ..._typing import Array
from ..formulas import output_layer
from ..formulas.activations import ELEMENTWISE
from ..formulas.columns import Columns
from ..formulas.expressions import REDUCTIONS, Block, emit
from ..vector.code import Code
from ..vector.host import LINE
from ..vector.kernel import Kernel as Writer
from ..vector.kernel import Signature
from ..vector.values import Int, Real
from .custom_functions import name_of
from .machine_code import MachineCode
from .table import Kernel, add


def activation(kind: str, custom: CustomActivation, itemsize: int) -> Kernel:
    """A kernel ``"activation"``, ``"activation_with_slope"`` or ``"derivative"``."""
    program = custom.program()

    def make() -> Any:
        if program is None:
            return _called_activation(kind, custom, itemsize)
        return MachineCode(f"{kind}_{name_of(program)}", _activation(kind, program), itemsize)

    return add((kind, program or custom), itemsize, make)


def loss(custom: CustomLoss, n_out: int, itemsize: int) -> Kernel:
    """A kernel ``"loss"`` for rows with so many outputs."""
    each = custom.outputs_a_target
    program = custom.program(None) or custom.program(each or n_out)

    def make() -> Any:
        if program is None:
            return _called_loss(custom, itemsize)
        name, write = f"loss_{each}_{name_of(program)}", _loss(program)
        if not each:
            return MachineCode(name, output_layer.loss.of(write), itemsize)
        whole = output_layer.loss.of(lambda code, columns: columns.of_parts(write, each))
        return MachineCode(name, whole, itemsize)

    return add(("loss", program or custom, each), itemsize, make)


def loss_of_targets(custom: CustomLoss, itemsize: int) -> Kernel:
    """A kernel ``"loss_of_targets"``: the function sees each target alone."""
    each = custom.outputs_a_target or 1
    program = custom.program(None) or custom.program(each)

    def make() -> Any:
        if program is None:
            return _called_loss_of_targets(custom, each, itemsize)
        name = f"loss_of_targets_{each}_{name_of(program)}"
        return MachineCode(name, output_layer.loss_of_targets.of(_loss(program), each), itemsize)

    return add(("loss_of_targets", program or custom, each), itemsize, make)


def _activation(kind: str, program: Program) -> Writer:
    def build(
        code: Code, *, p: Int, g: Int, s: Int, t: Int, u: Int, n: Int, constants: Int
    ) -> None:
        def body(at: Int, mask: Any) -> None:
            if kind == "derivative":  # g: the scores
                _, slope = emit(code, program, code.load(g + at, mask))
                code.store(code.load(p + at, mask) * slope, p + at, mask)
                return
            value, slope = emit(code, program, code.load(p + at, mask))
            if kind == "activation_with_slope":
                code.store(slope, g + at, mask)
            code.store(value, p + at, mask)

        code.vectors(n, body)

    return Writer(build).like(ELEMENTWISE)


def _loss(program: Program) -> Callable[[Code, Columns], Real]:
    """A vector holds one output of many rows, so a sum over outputs is a sum of vectors."""

    def write(code: Code, columns: Columns) -> Real:
        block, known = Block(code, program), dict[int, Any]()
        value, derivative = program.outputs

        def element(at: Int, place: int) -> Any:
            inputs = {0: code.load(columns.z + at), 1: code.load(columns.y + at)}
            constants = _constants(block, at)
            return block.run({**inputs, **known}, (place,), constants)[place]

        def reduced(step: Step) -> Any:
            combine, neutral = REDUCTIONS[step.operation]
            total = code.variable(code.real(neutral))
            operand = step.operands[0]
            columns.each(lambda at: total.set(combine(code, total.get(), element(at, operand))))
            return total.get()

        for i, step in enumerate(program.steps, program.n_inputs):
            if step.operation in REDUCTION_STEPS:
                known[i] = reduced(step)
            elif not block.varies[i]:
                known[i] = block.run(known, (i,))[i]
        columns.each(lambda at: code.store(element(at, derivative), columns.d + at))
        result: Real = known[value]
        return result

    return write


def _constants(block: Block, at: Int) -> Callable[[Step], Real]:
    """The number of the output whose column begins at this offset."""
    code = block.code

    def load(step: Step) -> Real:
        offset = at.over(code.as_int(code.lanes))
        return code.broadcast(block.table(step) + offset)

    return load


# Kernels that call Python


class _Called:
    """A Python function that compiled code may call as long as this object is there.

    Its parameters are the arguments of the kernels that it stands for, in their order.
    """

    calls_back = True

    def __init__(self, function: Callable[..., None], signature: Signature) -> None:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        if names != signature.names:
            raise TypeError(f"arguments must be {signature.names}, got {names}")
        kinds = [ctypes.c_int64] * len(signature.ints) + [ctypes.c_double] * len(signature.doubles)
        self._function = ctypes.CFUNCTYPE(None, *kinds)(function)
        self.address = int(ctypes.cast(self._function, ctypes.c_void_p).value or 0)


def _called_activation(kind: str, custom: CustomActivation, itemsize: int) -> _Called:
    dtype = np.dtype(f"f{itemsize}")
    _callbacks.say_that_it_is_slow(custom.name)

    def kernel(p: int, g: int, s: int, t: int, u: int, n: int, constants: int) -> None:
        first = _callbacks.memory(p, (n,), dtype)
        if kind == "derivative":
            scores = _callbacks.memory(g, (n,), dtype)
            value, slope = np.empty_like(first), np.empty_like(first)
            _callbacks.run_block(custom, (scores,), (value, slope), _callbacks.TEAM.caller)
            first *= slope
            return
        second = np.empty_like(first)
        if kind == "activation_with_slope":
            second = _callbacks.memory(g, (n,), dtype)
        _callbacks.run_block(custom, (first,), (first, second), _callbacks.TEAM.caller)

    return _Called(kernel, ELEMENTWISE)


def _called_loss(custom: CustomLoss, itemsize: int) -> _Called:
    dtype = np.dtype(f"f{itemsize}")
    _callbacks.say_that_it_is_slow(custom.name)

    def kernel(
        z: int, y: int, d: int, step_bytes: int, count: int, n: int, losses: int,
        weights: int, weight_step_bytes: int, scratch: int, scale: float, constant: float,
    ) -> None:  # fmt: skip
        value, delta = np.empty(count, dtype), np.empty((count, n), dtype)
        matrices = tuple(
            _panels(begin, step_bytes, count, n, dtype).reshape(count, -1)[:, :n]
            for begin in (z, y)
        )
        _callbacks.run_block(custom, matrices, (value, delta), _callbacks.TEAM.caller)
        _callbacks.memory(losses, (count,), np.dtype(np.float64))[:] = value
        rows = count if weight_step_bytes else 1
        weight = _callbacks.memory(weights, (rows,), dtype) * dtype.type(scale)
        _write_panels(delta * weight[:, None], _panels(d, step_bytes, count, n, dtype))

    return _Called(kernel, output_layer.loss.signature)


def _called_loss_of_targets(custom: CustomLoss, each: int, itemsize: int) -> _Called:
    dtype = np.dtype(f"f{itemsize}")
    _callbacks.say_that_it_is_slow(custom.name)

    def kernel(
        z: int, y: int, d: int, step_bytes: int, count: int, n: int, losses: int,
        weights: int, weight_step_bytes: int, factors: int, factor_step_bytes: int, scratch: int,
        scale: float, constant: float,
    ) -> None:  # fmt: skip
        targets = n // each
        value, delta = np.empty(count * targets, dtype), np.empty((count * targets, each), dtype)
        matrices = tuple(
            _panels(begin, step_bytes, count, n, dtype).reshape(count, -1)[:, :n].reshape(-1, each)
            for begin in (z, y)
        )
        _callbacks.run_block(custom, matrices, (value, delta), _callbacks.TEAM.caller)
        factor = np.stack(
            [
                _callbacks.memory(factors + t * factor_step_bytes, (count,), dtype)
                for t in range(targets)
            ],
            axis=1,
        )
        value = np.where(factor == 0, 0, factor * value.reshape(factor.shape))
        _callbacks.memory(losses, (count,), np.dtype(np.float64))[:] = value.sum(axis=1)
        rows = count if weight_step_bytes else 1
        weight = _callbacks.memory(weights, (rows,), dtype) * dtype.type(scale)
        factor = np.repeat(factor, each, axis=1)
        delta = np.where(factor == 0, dtype.type(0), factor * delta.reshape(count, n))
        _write_panels(delta * weight[:, None], _panels(d, step_bytes, count, n, dtype))

    return _Called(kernel, output_layer.loss_of_targets.signature)


def _panels(begin: int, step_bytes: int, count: int, n: int, dtype: np.dtype[Any]) -> Array:
    """A block of rows in panels at an address, as (count, panels, columns of a panel)."""
    panel = LINE // dtype.itemsize
    panels = -(-n // panel)
    buffer = (ctypes.c_char * ((panels - 1) * step_bytes + count * LINE)).from_address(begin)
    strides = (LINE, step_bytes, dtype.itemsize)
    return np.ndarray((count, panels, panel), dtype, buffer, 0, strides)  # type: ignore[arg-type]


def _write_panels(values: Array, panels: Array) -> None:
    """Write rows into panels, which are filled up with zeros."""
    padded = np.zeros((len(values), panels.shape[1] * panels.shape[2]), values.dtype)
    padded[:, : values.shape[1]] = values
    panels[...] = padded.reshape(panels.shape)
