"""A small vector language over LLVM's instructions: what the kernels are written in.

Numba has no vector types, and LLVM does not turn an unrolled scalar tile into register tiles. So
the kernels' inner loops are built from LLVM vector instructions, with operators::

    x = code.load(address)                  # one vector register of reals
    y = code.fma(x, x, code.real(1.0))      # x² + 1
    code.store(code.select(y > 2.0, y, x), address)

Addresses and counts are 64-bit integers (:class:`Int`); reals are vectors of the kernel's dtype
(:class:`Real`). Loops keep their counters and variables in stack slots, which LLVM turns into
registers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from llvmlite import ir

from .memory import DOUBLE, I32, I64, Memory
from .values import Int, Real, Variable

__all__ = ["DOUBLE", "I32", "I64", "Code", "Int", "Real"]


class Code(Memory):
    """The language: a function with arithmetic on its vectors, and loops."""

    # Arithmetic

    def is_multiple(self, n: Int, size: int) -> Any:
        """Whether ``size``, a power of two, divides ``n``."""
        rest = self.builder.and_(n.value, ir.Constant(I64, size - 1))
        return self.builder.icmp_signed("==", rest, ir.Constant(I64, 0))

    def round_up(self, n: Int, size: int) -> Int:
        """The next multiple of ``size``, a power of two."""
        up = (n + (size - 1)).value
        return Int(self, self.builder.and_(up, ir.Constant(I64, -size)))

    def choose_real(self, condition: Any, x: Real, y: Real) -> Real:
        return Real(self, self.builder.select(condition, x.value, y.value))

    def choose(self, condition: Any, x: Int, y: Int) -> Int:
        return Int(self, self.builder.select(condition, x.value, y.value))

    def fma(self, x: Real, y: Real, z: Real | float) -> Real:
        """``x y + z``, rounded once where the host can."""
        z = self.like(x, z)
        if not self.host.fused:
            return x * y + z
        kind = x.value.type
        bits = 64 if kind.element == DOUBLE else 32
        return Real(
            self, self.call(f"llvm.fma.v{kind.count}f{bits}", kind, x.value, y.value, z.value)
        )

    def inverse_sqrt(self, x: Real) -> Real:
        """``1 / sqrt(x)``, 14 bits of it. AVX-512 only."""
        name = f"llvm.x86.avx512.rsqrt14.p{'s' if self.itemsize == 4 else 'd'}.512"
        mask = ir.Constant(ir.IntType(self.lanes), -1)
        return Real(self, self.call(name, self.vector, x.value, self.real(0.0).value, mask))

    def unless_exact(self, s: Real, x: Real) -> Real:
        """``x`` where it is zero or plus infinity, else ``s``. AVX-512 only."""
        name = f"llvm.x86.avx512.mask.fixupimm.p{'s' if self.itemsize == 4 else 'd'}.512"
        kinds = self.whole(0x100100)  # a digit for each kind of number
        rest = ir.Constant(I32, 0), ir.Constant(ir.IntType(self.lanes), -1), ir.Constant(I32, 4)
        return Real(self, self.call(name, self.vector, s.value, x.value, kinds, *rest))

    def sqrt(self, x: Real) -> Real:
        name = f"llvm.sqrt.v{self.lanes}f{8 * self.itemsize}"
        return Real(self, self.call(name, self.vector, x.value))

    def abs(self, x: Real) -> Real:
        magnitude = self.whole((1 << (8 * self.itemsize - 1)) - 1)
        return self.from_bits(self.builder.and_(self.bits(x), magnitude))

    def copy_sign(self, magnitude: Real, sign: Real) -> Real:
        """``magnitude``, which is not negative, with the sign of ``sign``."""
        top = self.whole(-(1 << (8 * self.itemsize - 1)))
        return self.from_bits(
            self.builder.or_(self.bits(magnitude), self.builder.and_(self.bits(sign), top))
        )

    def select(self, mask: Any, x: Real, y: Real | float) -> Real:
        return Real(self, self.builder.select(mask, x.value, self.like(x, y).value))

    def clip(self, x: Real, low: Real | float, high: Real | float) -> Real:
        """``x`` between the bounds; NaN stays."""
        x = self.select(x < low, self.like(x, low), x)
        return self.select(x > high, self.like(x, high), x)

    def _lanes_compared(self, relation: str, count: Int) -> Any:
        lanes = ir.Constant(self.integers, list(range(self.lanes)))
        value = count.value
        if self.integer != I64:
            value = self.builder.trunc(value, self.integer)
        undefined = ir.Constant(self.integers, ir.Undefined)
        one = self.builder.insert_element(undefined, value, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        many = self.builder.shuffle_vector(one, undefined, zeros)
        return self.builder.icmp_signed(relation, lanes, many)

    def first(self, count: Int) -> Any:
        """A mask of the first ``count`` lanes."""
        return self._lanes_compared("<", count.min(self.lanes))

    def equals(self, index: Int) -> Any:
        """A mask of the lane with this index, which may lie outside."""
        return self._lanes_compared("==", index)

    def both(self, mask: Any, condition: Any) -> Any:
        """The mask where a condition on integers holds, else nothing."""
        none = ir.Constant(mask.type, [0] * self.lanes)
        return self.builder.select(condition, mask, none)

    def reduce(self, x: Real, combine: Callable[[Real, Real], Real]) -> Real:
        """All lanes combined in a fixed tree; every lane of the result holds the same value."""
        distance = x.value.type.count // 2
        while distance:
            order = [lane ^ distance for lane in range(x.value.type.count)]
            mask = ir.Constant(ir.VectorType(I32, len(order)), order)
            other = Real(self, self.builder.shuffle_vector(x.value, x.value, mask))
            x = combine(x, other)
            distance //= 2
        return x

    def sum(self, x: Real) -> Real:
        return self.reduce(x, lambda a, b: a + b)

    def lane(self, x: Real, index: int = 0) -> Any:
        """One lane as a scalar."""
        return self.builder.extract_element(x.value, ir.Constant(I32, index))

    # Control flow

    def variable(self, start: Int | Real) -> Variable:
        return Variable(self, start)

    @contextmanager
    def loop(self, stop: Int, step: int = 1) -> Iterator[Int]:
        """``for index in range(0, stop, step)``."""
        index = self.variable(self.as_int(0))
        head = self.builder.append_basic_block("head")
        body = self.builder.append_basic_block("body")
        done = self.builder.append_basic_block("done")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(index.get() < stop, body, done)
        self.builder.position_at_end(body)
        yield index.get()
        index.set(index.get() + step)
        self.builder.branch(head)
        self.builder.position_at_end(done)

    def turns(self, n: Int, size: int, body: Callable[[Int, int], None]) -> None:
        """Call ``body(first, count)`` for ``size`` (a power of two) indices at a time, then for
        each that is left; together they are ``0 … n - 1`` in order."""
        whole = Int(self, self.builder.and_(n.value, ir.Constant(I64, -size)))
        with self.loop(whole, size) as first:
            body(first, size)
        with self.loop(n - whole) as i:
            body(whole + i, 1)

    @contextmanager
    def when(self, condition: Any) -> Iterator[None]:
        with self.builder.if_then(condition):
            yield

    def vectors(self, n: Int, *bodies: Callable[[Int, Any], None]) -> None:
        """Call ``body(byte_offset, mask)`` for each vector of a run of ``n`` elements.

        The mask is ``None`` for whole vectors and covers what is left in the last one. With several
        bodies, so many vectors stand side by side, one for each; what is left is the first one's.
        """
        body, group = bodies[0], len(bodies) * self.lanes
        grouped = self.builder.and_(n.value, ir.Constant(I64, -group))
        with self.loop(Int(self, grouped), group) as i:
            self._side_by_side(i * self.itemsize, bodies)
        whole = self.builder.and_(n.value, ir.Constant(I64, -self.lanes))
        begin = Int(self, grouped)
        with self.loop(Int(self, whole) - begin, self.lanes) as i:
            body((begin + i) * self.itemsize, None)
        whole = Int(self, whole)
        rest = n - whole
        with self.when(rest > 0):
            body(whole * self.itemsize, self.first(rest))

    def _side_by_side(self, at: Int, bodies: Sequence[Callable[[Int, Any], None]]) -> None:
        """Bodies of consecutive vectors, their instructions in turns: while one waits for a result,
        the processor finds those of the others at hand."""
        block, lists = self.builder.block, []
        begin = len(block.instructions)
        for i, body in enumerate(bodies):
            start = len(block.instructions)
            body(at + i * self.host.vector_bytes, None)
            lists.append(block.instructions[start:])
        if self.builder.block is block:
            turns = zip_longest(*lists)
            block.instructions[begin:] = [x for turn in turns for x in turn if x is not None]
