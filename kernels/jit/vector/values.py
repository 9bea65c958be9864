"""The values of the vector language: 64-bit integers and vectors of reals, with operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .memory import Memory


class Int:
    """A 64-bit integer: address, count or index."""

    def __init__(self, code: Memory, value: Any) -> None:
        self.code, self.value = code, value

    def _binary(self, operation: str, other: Int | int) -> Int:
        return Int(
            self.code,
            getattr(self.code.builder, operation)(self.value, self.code.as_int(other).value),
        )

    def __add__(self, other: Int | int) -> Int:
        return self if isinstance(other, int) and other == 0 else self._binary("add", other)

    def __sub__(self, other: Int | int) -> Int:
        return self._binary("sub", other)

    def __mul__(self, other: Int | int) -> Int:
        return self._binary("mul", other)

    def __lt__(self, other: Int | int) -> Any:
        return self.code.builder.icmp_signed("<", self.value, self.code.as_int(other).value)

    def __gt__(self, other: Int | int) -> Any:
        return self.code.builder.icmp_signed(">", self.value, self.code.as_int(other).value)

    def over(self, other: Int) -> Int:
        """Integer quotient."""
        return self._binary("sdiv", other)

    def min(self, other: Int | int) -> Int:
        """The smaller of two."""
        value = self.code.builder.select(self < other, self.value, self.code.as_int(other).value)
        return Int(self.code, value)


class Real:
    """A vector of reals of the kernel's dtype (or, in float64 sums, of doubles)."""

    def __init__(self, code: Memory, value: Any) -> None:
        self.code, self.value = code, value

    def _binary(self, operation: str, other: Real | float) -> Real:
        right = self.code.like(self, other).value
        return Real(self.code, getattr(self.code.builder, operation)(self.value, right))

    def _compare(self, relation: str, other: Real | float) -> Any:
        """A mask; false where either side is NaN."""
        right = self.code.like(self, other).value
        return self.code.builder.fcmp_ordered(relation, self.value, right)

    def __add__(self, other: Real | float) -> Real:
        return self._binary("fadd", other)

    def __sub__(self, other: Real | float) -> Real:
        return self._binary("fsub", other)

    def __mul__(self, other: Real | float) -> Real:
        return self._binary("fmul", other)

    def __truediv__(self, other: Real | float) -> Real:
        return self._binary("fdiv", other)

    def __rsub__(self, other: float) -> Real:
        return self.code.like(self, other) - self

    def __neg__(self) -> Real:
        return Real(self.code, self.code.builder.fneg(self.value))

    def __lt__(self, other: Real | float) -> Any:
        return self._compare("<", other)

    def __gt__(self, other: Real | float) -> Any:
        return self._compare(">", other)


class Variable:
    """A value that a loop changes."""

    def __init__(self, code: Memory, start: Int | Real) -> None:
        self._code, self._wrap = code, type(start)
        with code.builder.goto_entry_block():
            self._slot = code.builder.alloca(start.value.type)
        self.set(start)

    def get(self) -> Any:
        return self._wrap(self._code, self._code.builder.load(self._slot))

    def set(self, value: Int | Real) -> None:
        self._code.builder.store(value.value, self._slot)
