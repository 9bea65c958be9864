"""The language of tasks: the same numbers as Python, errors with their place, checked calls."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest

pytest.importorskip("numba")

from fastmlp.kernels.jit.compiling import calls, lazy, table
from fastmlp.kernels.jit.formulas import activations, output_layer, update_rules, updates
from fastmlp.kernels.jit.memory.records import Copy, Operand, Plan, Run
from fastmlp.kernels.jit.passes.sparse import word
from fastmlp.kernels.jit.scalar.builtins import Calls, KernelCalls, doubles, record
from fastmlp.kernels.jit.scalar.functions import inline, write
from fastmlp.kernels.jit.scalar.values import Untranslatable
from fastmlp.kernels.jit.vector.kernel import Kernel, Signature, kernel
from llvmlite import ir


@pytest.fixture
def compiled(monkeypatch):
    """Run a function of a place of doubles, compiled; what it left there."""
    monkeypatch.setattr(lazy, "COMPILED", [])
    monkeypatch.setattr("fastmlp.kernels.jit.compiling.cache.CodeFile.read", lambda self: None)
    monkeypatch.setattr(
        "fastmlp.kernels.jit.compiling.cache.CodeFile.write", lambda self, code: None
    )

    def run(function, *values):
        array = np.array(values, np.float64)

        def body(address: int, n: int) -> None:
            function(doubles(address, n), n)

        made = lazy.Function(body, "tried")
        ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(made.address)(
            array.ctypes.data, len(array)
        )
        return array

    return run


@inline
def half(x):
    return x / 2


@inline
def first_above(x, n, bound):
    for i in range(n):
        if x[i] > bound:
            return i
    return -1


@inline
def arithmetic(x, n):
    a, b = int(x[0]), int(x[1])
    x[2], x[3] = a // b, a % b
    x[4] = (a << 3 | 5) ^ (a & b) >> 1
    x[5], x[6] = min(a, b, 3), max(float(a), x[1], -7.5)
    x[7] = -a - (b * 3 if a > b else 2) + half(a)
    x[8] = float((a < b <= 40 and a != 3) or b == -3)
    x[9] = math.sqrt(abs_of(a)) ** 1.5 + (0.0 if x[0] != x[0] else 1)


@inline
def abs_of(x):
    if x < 0:
        return -x
    return x


@inline
def loops(x, n):
    total = 0.0
    for i in range(n - 1, 0, -2):
        total += x[i] * i
    for i in range(1, n, max(n // 4, 1)):
        j = i
        while j > 0 and x[j] > -1e300:
            total += 0.5
            j -= 1
    x[0], x[-1] = total, first_above(x, n, 2.5)


@pytest.mark.parametrize("pair", [(7, 3), (-7, 3), (7, -3), (-7, -3), (0, 5), (40, 41)])
def test_arithmetic_is_pythons(compiled, pair):
    expected = [*map(float, pair), *[0.0] * 8]
    arithmetic(expected, 10)
    assert compiled(arithmetic, *pair, *[0] * 8).tolist() == expected


@pytest.mark.parametrize("n", [2, 3, 9])
def test_loops_are_pythons(compiled, n):
    values = list(np.linspace(0.25, 4, n))
    expected = list(values)
    loops(expected, n)
    assert compiled(loops, *values).tolist() == expected


@pytest.mark.parametrize("name", update_rules.RULES)
def test_scalars_of_rules_are_pythons(compiled, name):
    """The same function prepares a step in the engine and a single update in Python."""
    scalars = inline(update_rules.RULES[name].scalars)
    constants, k = [0.5, 0.25, 0.125, 0.75, 0.5, 0.5, 0.0, 0.0], [0.0] * update_rules.N_CONSTANTS

    def body(x, n):
        scalars(x, doubles(place, 8), 7, 0.1)

    kept = np.array(constants)
    place = kept.ctypes.data
    found = compiled(inline(body), *k)
    scalars(k, constants, 7, 0.1)
    np.testing.assert_array_equal(found, k)
    np.testing.assert_array_equal(kept, constants)


def test_philox_in_integers_of_64_bits(compiled):
    def body(x, n):
        for unit in range(n):
            x[unit] = word(-81985529216486896, unit, 5, 9)

    found = compiled(inline(body), *[0] * 8)
    assert found.tolist() == [word(-81985529216486896, unit, 5, 9) for unit in range(8)]


def bad_name(x, n):
    x[0] = nowhere  # noqa: F821


def bad_kind(x, n):
    a = 1
    a = 2.5
    x[0] = a


def bad_field(x, n):
    record(n, Operand).length = 1


def bad_statement(x, n):
    try:
        x[0] = 1
    finally:
        pass


def bad_call(x, n):
    x[0] = sorted(n)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (bad_name, "nowhere is not known"),
        (bad_kind, "a is of kind int, then real"),
        (bad_field, "Operand has no field length"),
        (bad_statement, "Try is not understood"),
        (bad_call, "sorted is not known"),
    ],
)
def test_what_is_not_understood_says_where(compiled, function, message):
    with pytest.raises(Untranslatable, match=message) as caught:
        compiled(inline(function), 0.0)
    line = function.__code__.co_firstlineno
    assert any((__file__ in note and f":{line + 1}" in note) or f":{line + 2}" in note
               for note in caught.value.__notes__)  # fmt: skip


# Kernels and their callers


def written(body):
    """Write a task with this body; nothing is compiled."""
    write(ir.Module("tried"), body, "tried")


def right(plan: int, step: int, index: int) -> None:
    calls.transpose(record(plan, Plan), source=step, target=index)


def renamed(plan: int, step: int, index: int) -> None:
    calls.transpose(record(plan, Plan), source=step, goal=index)


def missing(plan: int, step: int, index: int) -> None:
    calls.transpose(record(plan, Plan), source=step)


def unnamed(plan: int, step: int, index: int) -> None:
    calls.transpose(record(plan, Plan), step, index)


def a_real_for_an_address(plan: int, step: int, index: int) -> None:
    calls.transpose(record(plan, Plan), source=1.5, target=index)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (renamed, r"transpose lacks the arguments \['target'\], does not know \['goal'\]"),
        (missing, r"transpose lacks the arguments \['target'\]"),
        (unnamed, "transpose takes its arguments by name"),
        (a_real_for_an_address, "a real stands where an integer must"),
    ],
)
def test_wrong_calls_raise_before_anything_is_compiled(body, message):
    written(right)
    with pytest.raises(TypeError, match=message):
        written(body)


def test_every_kernel_of_the_table_has_a_caller_of_its_signature():
    """By construction: callers are made from the kernels, and know where a single one stands."""
    callers = [found for found in vars(calls).values() if isinstance(found, KernelCalls)]
    known = {writer: caller for caller in callers for writer in caller.kernels}
    groups = (entry for group in table.GROUPS.values() for entry in group())
    entries = [*groups, *(table.named(name) for name in table.NAMED)]
    assert len(entries) > 120
    for place, symbol, writer, _ in entries:
        caller = known[writer]
        assert caller.signature == writer.signature, symbol
        assert caller.index in (None, place), symbol
    assert known.keys() == {writer for _, _, writer, _ in entries}


def test_every_task_calls_every_kernel_rightly(monkeypatch):
    """All tasks are written, which checks each call in them; every kernel is called by one."""
    called = set()
    emit = Calls.write

    def noted(self, *arguments):
        called.add(self.what)
        emit(self, *arguments)

    monkeypatch.setattr(Calls, "write", noted)
    from fastmlp.kernels.jit import _warm_up
    from fastmlp.kernels.jit.passes.step_constants import prepare_task

    tasks = [item for item in _warm_up.COMPILED if isinstance(item, lazy.Function)]
    tasks += [prepare_task(rule) for rule in update_rules.RULES]
    assert len(tasks) > 30
    for task in tasks:
        task.write(ir.Module(task.name))
    names = {found.what for found in vars(calls).values() if isinstance(found, Calls)}
    assert called == {*names, "a task"}


def test_signatures_of_one_family_agree():
    for family in (activations.activation, activations.derivative, updates.update):
        assert family.signature == activations.ELEMENTWISE
    fields = [name for name, _ in Run._fields_]
    assert [name for name in fields if name in activations.ELEMENTWISE.ints] == list(
        activations.ELEMENTWISE.ints
    )
    with pytest.raises(TypeError, match="signatures differ"):
        KernelCalls(activations.activation, output_layer.softmax)
    with pytest.raises(TypeError, match="arguments of loss must be"):
        output_layer.loss.like(activations.ELEMENTWISE)


def test_signatures_are_read_from_the_writers():
    def scale(code, name, *, x: Int, n: Int, factor: Real):  # noqa: F821
        pass

    scale.__annotations__ = {"x": "Int", "n": "Int", "factor": "Real"}
    assert Kernel(scale).signature == Signature(("x", "n"), ("factor",))
    scale.__annotations__ = {"x": "Real", "n": "Int", "factor": "Real"}
    with pytest.raises(TypeError, match="scale must take integers, then reals"):
        kernel(scale)


@pytest.mark.parametrize("kind", [Plan, Copy, Operand, Run])
def test_records_have_no_other_fields(kind):
    """A wrong name would be an attribute of Python's, which compiled code never sees."""
    with pytest.raises(AttributeError):
        kind().no_such_field = 1
    with pytest.raises(AttributeError):
        kind(no_such_field=1)


def test_distances_say_so():
    """A field or argument that is neither an address nor a count ends in ``_bytes``."""
    for kind in (Plan, Copy, Operand):
        assert not [name for name, _ in kind._fields_ if name.endswith(("step", "offset"))]
    for _, symbol, writer, _ in (entry for group in table.GROUPS.values() for entry in group()):
        assert not [name for name in writer.signature.names if name.endswith("step")], symbol
