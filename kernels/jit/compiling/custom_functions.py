"""Programs of custom activations and losses as C functions, for whoever calls them.

:func:`address` wraps a program in the C function that ``kernels/_custom.py`` describes. A step
over the outputs of a row becomes a loop over the row, in which what it needs is computed anew:
nothing is stored between loops, so no memory is needed and any thread may call.
"""

from __future__ import annotations

import hashlib
import weakref
from typing import Any

from ..._program import REDUCTION_STEPS, Program
from ..formulas.expressions import REDUCTIONS, Block, Value, emit
from ..vector.code import Code
from ..vector.kernel import kernel
from ..vector.values import Int
from .machine_code import MachineCode
from .turn import compiling


@kernel
def _activation(code: Code, program: Program, *, z: Int, a: Int, slope: Int, n: Int) -> None:
    def body(at: Int, mask: Any) -> None:
        value, derivative = emit(code, program, code.load(z + at, mask))
        code.store(value, a + at, mask)
        code.store(derivative, slope + at, mask)

    code.vectors(n, body)


@kernel
def _loss(
    code: Code, program: Program, *,
    z: Int, y: Int, row_loss: Int, delta: Int, rows: Int, n_out: Int,
) -> None:  # fmt: skip
    block = Block(code, program)
    value, derivative = program.outputs
    single = n_out < 2
    with code.builder.if_else(single) as (one_output, several):
        with one_output:  # elements of a vector are rows

            def column(at: Int, mask: Any) -> None:
                inputs = {0: code.load(z + at, mask), 1: code.load(y + at, mask)}
                place = block.run(inputs, program.outputs)
                code.store(place[value], row_loss + at, mask)
                code.store(place[derivative], delta + at, mask)

            code.vectors(rows, column)
        with several, code.loop(rows) as i:
            start = i * code.itemsize
            _row(block, z, y, row_loss + start, delta, Int(code, (start * n_out).value), n_out)


def _row(block: Block, z: Int, y: Int, row_loss: Int, delta: Int, row: Int, n_out: Int) -> None:
    """One row: a loop for each reduction, and one for the derivative."""
    code, program = block.code, block.program
    known: dict[int, Value] = {}

    def elements(at: Int, mask: Any, wanted: int) -> Value:
        inputs = {0: code.load(z + row + at, mask), 1: code.load(y + row + at, mask)}
        return block.run(
            {**inputs, **known}, (wanted,), lambda step: code.load(block.table(step) + at, mask)
        )[wanted]

    def reduce(place: int) -> None:
        step = block.step(place)
        combine, neutral = REDUCTIONS[step.operation]
        total = code.variable(code.real(neutral))

        def body(at: Int, mask: Any) -> None:
            x = elements(at, mask, step.operands[0])
            if mask is not None:
                x = code.select(mask, x, neutral)
            total.set(combine(code, total.get(), x))

        code.vectors(n_out, body)
        known[place] = code.reduce(total.get(), lambda a, b: combine(code, a, b))

    for i, step in enumerate(program.steps, program.n_inputs):
        if step.operation in REDUCTION_STEPS:
            reduce(i)
        elif not block.varies[i]:
            known |= block.run(known, (i,))
    value, derivative = program.outputs
    code.store_scalar(code.lane(known[value]), row_loss)

    def body(at: Int, mask: Any) -> None:
        code.store(elements(at, mask, derivative), delta + row + at, mask)

    code.vectors(n_out, body)


# Compiling

#: Functions that somebody uses.
_compiled: weakref.WeakValueDictionary[tuple[Program, int], MachineCode]
_compiled = weakref.WeakValueDictionary()
#: What the owners of functions keep alive, by their identity.
_owned: dict[int, set[MachineCode]] = {}


def name_of(program: Program) -> str:
    """A name that says all about a program: code on disk is found by it."""
    return hashlib.sha256(repr(program).encode()).hexdigest()[:32]


def address(program: Program, itemsize: int, owner: Any) -> int:
    """Address of the C function of a program, which is there as long as its owners."""
    with compiling():
        code = _compiled.get((program, itemsize))
        if code is None:
            wrapped = (_loss if program.n_inputs == 2 else _activation).of(program)
            code = MachineCode(f"custom_{name_of(program)}", wrapped, itemsize)
            _compiled[program, itemsize] = code
        if id(owner) not in _owned:
            _owned[id(owner)] = set()
            weakref.finalize(owner, _owned.pop, id(owner)).atexit = False
        _owned[id(owner)].add(code)
        return code.address
