"""A function of LLVM's that is being written: its arguments, constants, and access to memory."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .host import LINE, Host
from .values import Int, Real

I32, I64, DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()


class Memory:
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

    def prefetch(self, address: Int, to_first: bool = False) -> None:
        """Fetch a cache line to the second level, or to the first; any address will do."""
        byte = ir.IntType(8).as_pointer()
        # To read, how near, data.
        kind = [ir.Constant(I32, value) for value in (0, 2 + to_first, 1)]
        self.call("llvm.prefetch.p0", ir.VoidType(), self._pointer_to(address, byte), *kind)

    def _pointer_to(self, address: Int, kind: Any) -> Any:
        return self.builder.inttoptr(address.value, kind)

    def broadcast(self, address: Int) -> Real:
        """A vector of the scalar at an address."""
        return self.splat(self._load(address, self.scalar))

    def _masked(self, name: str, result: Any, pointer: Any, mask: Any, other: Any) -> Any:
        # The alignment as an argument; LLVM ≥ 22 upgrades that to an attribute when it reads it.
        align = ir.Constant(I32, self.itemsize)
        if result == self.vector:
            return self.call(name, result, pointer, align, mask, other)
        return self.call(name, result, other, pointer, align, mask)

    def call(self, name: str, result: Any, *args: Any) -> Any:
        """Call an LLVM intrinsic."""
        known = self.module.globals.get(name)
        if known is None:
            known = ir.Function(self.module, ir.FunctionType(result, [a.type for a in args]), name)
        return self.builder.call(known, args)


def kind_bytes(kind: Any) -> int:
    """Bytes of a scalar type."""
    return {ir.FloatType(): 4, DOUBLE: 8, I64: 8}[kind]
