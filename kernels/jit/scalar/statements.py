"""What the statements of Python become, and the functions that consist of them."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from types import FunctionType
from typing import Any

from .expressions import Expressions
from .values import (
    Number,
    Numbers,
    Record,
    Records,
    Slot,
    Untranslatable,
    integer,
    storable,
    to_int,
    to_real,
    truth,
)

#: Calls within calls; a function that calls itself has no end.
_DEEPEST = 40


@functools.cache
def source(function: FunctionType) -> tuple[ast.FunctionDef, str, int]:
    """The definition of a function, its file and the line before its first."""
    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree, function.__code__.co_filename, first - 1


class Statements(Expressions):
    """Writes one function, with the functions that it calls.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    function : function
    values : mapping, optional
        What it finds under these names instead of its module's.
    depth : int
        How many calls it stands in.
    """

    def __init__(
        self, builder: Any, function: Any, values: dict[str, Any] | None = None, depth: int = 0
    ) -> None:
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        enclosed = {name: cell.cell_contents for name, cell in cells}
        super().__init__(builder, {**function.__globals__, **enclosed, **(values or {})})
        self.function, self._depth = function, depth
        self._results: tuple[Slot, ...] | None = None
        self._single = True
        self._array: Numbers | Records | None = None
        self._end = builder.append_basic_block(f"after_{function.__name__}")

    def write(self, arguments: dict[str, Any]) -> Any:
        """The whole body, with these values for its parameters; what it returns."""
        for name, value in arguments.items():
            self._assign_name(name, value)
        tree, file, before = source(self.function)
        try:
            self._suite(tree.body)
        except Untranslatable as error:
            if not getattr(error, "__notes__", None):
                line = before + self._line
                error.add_note(f"{file}:{line}, in {self.function.__name__}")
            raise
        if not self.builder.block.is_terminated:
            self.builder.branch(self._end)
        self.builder.position_at_end(self._end)
        if self._results is None:
            return self._array
        values = tuple(slot.load(self.builder) for slot in self._results)
        return values[0] if self._single else values

    def expand(self, function: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        if not getattr(function, "is_compiled", False):
            raise Untranslatable(f"{function!r} is no compiled function")
        if self._depth > _DEEPEST:
            raise Untranslatable(f"{function.__name__} calls itself")
        bound = inspect.signature(function).bind(*arguments, **named)  # or TypeError
        bound.apply_defaults()
        inner = Statements(self.builder, function, depth=self._depth + 1)
        return inner.write(dict(bound.arguments))

    def _suite(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:  # after a return
                return
            self._line = statement.lineno
            write = getattr(self, f"_do_{type(statement).__name__.lower()}", None)
            if write is None:
                raise Untranslatable(f"{type(statement).__name__} is not understood")
            write(statement)

    # Assignments

    def _assign_name(self, name: str, value: Any) -> None:
        known = self.variables.get(name)
        if isinstance(value, (Numbers, Records)) or not isinstance(
            value, (Number, Record, bool, int, float)
        ):
            if isinstance(known, Slot):
                raise Untranslatable(f"{name} is a number, then {value!r}")
            self.variables[name] = value  # what is written once needs no place
            return
        new = storable(self.builder, value)
        if not isinstance(known, Slot):
            known = self.variables[name] = Slot(self.builder, new)
        if known.example.kind == "real":
            new = to_real(self.builder, new)
        if known.example.kind != new.kind:
            raise Untranslatable(f"{name} is of kind {known.example.kind}, then {new.kind}")
        self.builder.store(new.value, known.place)

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._assign_name(target.id, value)
        elif isinstance(target, ast.Attribute):
            self.store_field(self.expression(target.value), target.attr, value)
        elif isinstance(target, ast.Subscript):
            index = self.expression(target.slice)
            self.store_element(self.expression(target.value), index, value)
        elif isinstance(target, ast.Tuple):
            if len(target.elts) != len(value):
                raise Untranslatable(f"{len(target.elts)} names for {len(value)} values")
            for element, part in zip(target.elts, value, strict=True):
                self._assign(element, part)
        else:
            raise Untranslatable(f"{type(target).__name__} cannot be assigned to")

    def _do_assign(self, node: ast.Assign) -> None:
        value = self.expression(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, self.expression(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        left, right = self.expression(node.target), self.expression(node.value)
        self._assign(node.target, self.binary(type(node.op), left, right))

    # Control flow

    def _do_expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.expression(node.value)

    def _do_pass(self, node: ast.Pass) -> None:
        pass

    def _do_return(self, node: ast.Return) -> None:
        value = None if node.value is None else self.expression(node.value)
        if isinstance(value, (Numbers, Records)):
            if self._results is not None or self._array is not None:
                raise Untranslatable("an array is returned at one place alone")
            self._array = value
        elif value is not None:
            self._single = type(value) is not tuple
            values = [storable(self.builder, x) for x in ([value] if self._single else value)]
            if self._results is None:
                self._results = tuple(Slot(self.builder, x) for x in values)
            for slot, x in zip(self._results, values, strict=True):
                if slot.example.kind == "real":
                    x = to_real(self.builder, x)
                if slot.example.kind != x.kind:
                    raise Untranslatable(f"returns {slot.example.kind}, then {x.kind}")
                self.builder.store(x.value, slot.place)
        self.builder.branch(self._end)

    def _do_if(self, node: ast.If) -> None:
        bit = truth(self.builder, self.expression(node.test))
        then, otherwise, after = (
            self.builder.append_basic_block(name) for name in ("then", "otherwise", "after")
        )
        self.builder.cbranch(bit, then, otherwise)
        for block, suite in ((then, node.body), (otherwise, node.orelse)):
            self.builder.position_at_end(block)
            self._suite(suite)
            if not self.builder.block.is_terminated:
                self.builder.branch(after)
        self.builder.position_at_end(after)

    def _do_while(self, node: ast.While) -> None:
        self._no_else(node)
        head, body, done = (
            self.builder.append_basic_block(name) for name in ("head", "body", "done")
        )
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(truth(self.builder, self.expression(node.test)), body, done)
        self.builder.position_at_end(body)
        self._suite(node.body)
        if not self.builder.block.is_terminated:
            self.builder.branch(head)
        self.builder.position_at_end(done)

    def _do_for(self, node: ast.For) -> None:
        """``for name in range(…)``; a step that is not known when this is written is positive."""
        self._no_else(node)
        call, b = node.iter, self.builder
        named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if not named or call.func.id != "range" or not isinstance(node.target, ast.Name):  # type: ignore[attr-defined]
            raise Untranslatable("a loop goes over a range")
        assert isinstance(call, ast.Call)
        bounds = [self.expression(argument) for argument in call.args]
        begin, stop, step = [*([0] if len(bounds) == 1 else []), *bounds, 1][:3]
        down = isinstance(step, int) and step < 0
        stop, step = to_int(b, stop), to_int(b, step)
        counter = Slot(b, integer(0))
        b.store(to_int(b, begin).value, counter.place)
        head, body, done = (b.append_basic_block(name) for name in ("head", "body", "done"))
        b.branch(head)
        b.position_at_end(head)
        now = counter.load(b)
        b.cbranch(self.compare(">" if down else "<", now, stop), body, done)
        b.position_at_end(body)
        self._assign_name(node.target.id, now)
        self._suite(node.body)
        if not b.block.is_terminated:
            b.store(b.add(now.value, step.value), counter.place)
            b.branch(head)
        b.position_at_end(done)

    @staticmethod
    def _no_else(node: ast.For | ast.While) -> None:
        if node.orelse:
            raise Untranslatable("a loop has no else")
