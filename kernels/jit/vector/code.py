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

from .host import LINE, Host
from .values import Int, Real, Variable

__all__ = ["DOUBLE", "I32", "I64", "Code", "Int", "Real"]

I32, I64, DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()


class Code:
    """Builds one LLVM function whose reals are vectors of ``itemsize`` bytes an element.

    Parameters
    ----------
    module : llvmlite.ir.Module
    host : Host
    itemsize : int
        4 or 8.
    name : str
    n_ints, n_doubles : int
        The function's arguments: that many 64-bit integers, then that many doubles.
    """

    def __init__(
        self, module: Any, host: Host, itemsize: int, name: str, n_ints: int, n_doubles: int = 0
    ) -> None:
        self.module, self.host, self.itemsize = module, host, itemsize
        self.scalar = ir.FloatType() if itemsize == 4 else DOUBLE
        self.integer = I32 if itemsize == 4 else I64
        self.lanes = host.vector_bytes // itemsize
        self.panel = LINE // itemsize
        self.per_line = LINE // host.vector_bytes
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.integers = ir.VectorType(self.integer, self.lanes)
        signature = ir.FunctionType(ir.VoidType(), [I64] * n_ints + [DOUBLE] * n_doubles)
        self.function = ir.Function(module, signature, name=self.symbol(name, itemsize))
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.function.attributes.add("nounwind")
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.ints = [Int(self, value) for value in self.function.args[:n_ints]]
        self.doubles = list(self.function.args[n_ints:])

    @staticmethod
    def symbol(name: str, itemsize: int) -> str:
        """The function's name in LLVM."""
        return f"fastmlp_{name}_f{8 * itemsize}"

    def finish(self) -> Any:
        """End the function and return it."""
        self.builder.ret_void()
        return self.function

    # Constants and conversions

    def as_int(self, value: Int | int) -> Int:
        return value if isinstance(value, Int) else Int(self, ir.Constant(I64, value))

    def real(self, value: float) -> Real:
        """A vector of one constant."""
        return Real(self, ir.Constant(self.vector, [float(value)] * self.lanes))

    def like(self, pattern: Real, value: Real | float) -> Real:
        if isinstance(value, Real):
            return value
        kind = pattern.value.type
        return Real(self, ir.Constant(kind, [float(value)] * kind.count))

    def double(self, value: float) -> Any:
        """A scalar constant."""
        return ir.Constant(DOUBLE, value)

    def to_doubles(self, x: Real) -> Real:
        """The same values as doubles, in one (wider) vector."""
        if self.scalar == DOUBLE:
            return x
        return Real(self, self.builder.fpext(x.value, ir.VectorType(DOUBLE, self.lanes)))

    def from_doubles(self, x: Real) -> Real:
        """Doubles, rounded to the dtype."""
        if self.scalar == DOUBLE:
            return x
        return Real(self, self.builder.fptrunc(x.value, self.vector))

    def splat(self, scalar: Any) -> Real:
        """A vector of one scalar; a double is rounded to the dtype."""
        if scalar.type == DOUBLE and self.scalar != DOUBLE:
            scalar = self.builder.fptrunc(scalar, self.scalar)
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return Real(self, self.builder.shuffle_vector(one, undefined, zeros))

    def real_of(self, n: Int) -> Real:
        """A vector of an integer."""
        return self.splat(self.builder.sitofp(n.value, DOUBLE))

    def bits(self, x: Real) -> Any:
        """The same bits as integers."""
        return self.builder.bitcast(x.value, self.integers)

    def from_bits(self, value: Any) -> Real:
        return Real(self, self.builder.bitcast(value, self.vector))

    def whole(self, value: int) -> Any:
        """A vector of one integer constant."""
        return ir.Constant(self.integers, [value] * self.lanes)

    def low_half(self, x: Int) -> Int:
        """The lower 32 bits."""
        return Int(self, self.builder.and_(x.value, ir.Constant(I64, (1 << 32) - 1)))

    def high_half(self, x: Int) -> Int:
        """The upper 32 bits."""
        return Int(self, self.builder.lshr(x.value, ir.Constant(I64, 32)))

    # Memory

    def _pointer(self, address: Int, kind: Any) -> Any:
        return self.builder.inttoptr(address.value, kind.as_pointer())

    def load(self, address: Int, mask: Any = None) -> Real:
        """A vector; with a mask, zeros where it is false, and no access there."""
        pointer = self._pointer(address, self.vector)
        if mask is None:
            return Real(self, self.builder.load(pointer, align=self.itemsize))
        name = f"llvm.masked.load.v{self.lanes}f{8 * self.itemsize}.p0"
        zero = self.real(0.0).value
        return Real(self, self._masked(name, self.vector, pointer, mask, zero))

    def store(self, x: Real, address: Int, mask: Any = None) -> None:
        pointer = self._pointer(address, x.value.type)
        if mask is None:
            self.builder.store(x.value, pointer, align=kind_bytes(x.value.type.element))
            return
        bits = 64 if x.value.type.element == DOUBLE else 32
        name = f"llvm.masked.store.v{self.lanes}f{bits}.p0"
        self._masked(name, ir.VoidType(), pointer, mask, x.value)

    def _load(self, address: Int, kind: Any) -> Any:
        return self.builder.load(self._pointer(address, kind), align=kind_bytes(kind))

    def load_doubles(self, address: Int) -> Real:
        """As many doubles as a vector of the dtype has elements."""
        kind = ir.VectorType(DOUBLE, self.lanes)
        return Real(self, self.builder.load(self._pointer(address, kind), align=8))

    def load_double(self, address: Int) -> Any:
        return self._load(address, DOUBLE)

    def load_int(self, address: Int) -> Int:
        return Int(self, self._load(address, I64))

    def store_scalar(self, value: Any, address: Int) -> None:
        self.builder.store(value, self._pointer(address, value.type), align=kind_bytes(value.type))

    def prefetch(self, address: Int) -> None:
        """Fetch a cache line to the second level; any address will do."""
        byte = ir.IntType(8).as_pointer()
        kind = [ir.Constant(I32, value) for value in (0, 2, 1)]  # to read, near, data
        self.call("llvm.prefetch.p0", ir.VoidType(), self._pointer_to(address, byte), *kind)

    def _pointer_to(self, address: Int, kind: Any) -> Any:
        return self.builder.inttoptr(address.value, kind)

    def broadcast(self, address: Int) -> Real:
        """A vector of the scalar at an address."""
        return self.splat(self._load(address, self.scalar))

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

    def call(self, name: str, result: Any, *args: Any) -> Any:
        """Call an LLVM intrinsic."""
        known = self.module.globals.get(name)
        if known is None:
            known = ir.Function(self.module, ir.FunctionType(result, [a.type for a in args]), name)
        return self.builder.call(known, args)

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

    def _masked(self, name: str, result: Any, pointer: Any, mask: Any, other: Any) -> Any:
        # The alignment as an argument; LLVM ≥ 22 upgrades that to an attribute when it reads it.
        align = ir.Constant(I32, self.itemsize)
        if result == self.vector:
            return self.call(name, result, pointer, align, mask, other)
        return self.call(name, result, other, pointer, align, mask)


def kind_bytes(kind: Any) -> int:
    """Bytes of a scalar type."""
    return {ir.FloatType(): 4, DOUBLE: 8, I64: 8}[kind]
