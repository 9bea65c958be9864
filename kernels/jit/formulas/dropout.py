"""Dropout of a block of activations in panels: which elements stay follows from counters alone.

Philox4x32-10 (Salmon, Moraes, Dror and Shaw, 2011) as in ``reference/philox.py``: a counter
``(unit div 4, row, step, layer)`` gives four words, of as many units. The rows of a panel lie one
after the other, so its elements in memory are the words of consecutive counters. Counters lie in
the lower halves of 64-bit lanes, whose products the processor has; what comes to lie in the upper
halves is never looked at.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..vector.code import I32, I64, Code, Int, Real
from ..vector.kernel import kernel
from .activations import DERIVATIVES

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_LOW = 0xFFFFFFFF
#: What :func:`dropout` knows.
NAMES = ("input", "slope", "identity", *DERIVATIVES)


class _Words:
    """64-bit lanes with a 32-bit word each."""

    def __init__(self, code: Code) -> None:
        self.code, self.builder = code, code.builder
        self.count = code.host.vector_bytes // 8
        self.kind = ir.VectorType(I64, self.count)

    def constant(self, value: int) -> Any:
        return ir.Constant(self.kind, [value] * self.count)

    def splat(self, value: Int) -> Any:
        undefined = ir.Constant(self.kind, ir.Undefined)
        one = self.builder.insert_element(undefined, value.value, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, self.count), [0] * self.count)
        return self.builder.shuffle_vector(one, undefined, zeros)

    def from_counter(self, first: Int) -> Any:
        """``first, first + 1, …``"""
        lanes = ir.Constant(self.kind, list(range(self.count)))
        return self.builder.add(self.splat(first), lanes)

    def product(self, x: Any, multiplier: int) -> Any:
        low = self.builder.and_(x, self.constant(_LOW))
        return self.builder.mul(low, self.constant(multiplier))

    def high(self, x: Any) -> Any:
        return self.builder.lshr(x, self.constant(32))

    def philox(self, counter: list[Any], keys: list[tuple[Any, Any]]) -> list[Any]:
        """The four words of every lane's counter."""
        xor = self.builder.xor
        c0, c1, c2, c3 = counter
        for k0, k1 in keys:
            p0, p1 = self.product(c0, _MULTIPLIERS[0]), self.product(c2, _MULTIPLIERS[1])
            c0, c1 = xor(xor(self.high(p1), c1), k0), p1
            c2, c3 = xor(xor(self.high(p0), c3), k1), p0
        return [c0, c1, c2, c3]


@kernel
def dropout(
    code: Code, name: str, *,
    a: Int, s: Int, n: Int, row: Int, group: Int, step: Int, layer: Int, seed: Int, threshold: Int,
    scale: Real,
) -> None:  # fmt: skip
    """Zero where a word is below the threshold; what stays is multiplied by the scale.

    For the output of an activation of that name σ', with the same done to it, is written too; for
    ``"slope"`` σ' is there, and for ``"input"`` there is none.

    Of ``a``, and of σ' at ``s``, there are ``n`` elements, in whole lines, the first of them in
    this ``row`` of its batch. ``group`` is the first counter's, of the panel.
    """
    words, builder = _Words(code), code.builder
    keys = []
    low, high = code.low_half(seed), code.high_half(seed)
    for i in range(_ROUNDS):
        keys.append((words.splat(low + i * _WEYL[0]), words.splat(high + i * _WEYL[1])))
    fixed = [words.splat(step), words.splat(layer)]
    below = builder.trunc(words.splat(threshold), ir.VectorType(I32, words.count))
    zeros = ir.Constant(ir.VectorType(I32, code.lanes), [0] * code.lanes)
    bound = builder.shuffle_vector(below, below, zeros)
    groups = code.panel // 4  # counters of a line
    shift, rest = groups.bit_length() - 1, groups - 1
    per_pass = 4 * words.count  # elements

    with code.loop(n, per_pass) as first:
        place = words.from_counter(Int(code, builder.ashr(first.value, ir.Constant(I64, 2))))
        unit = builder.add(builder.and_(place, words.constant(rest)), words.splat(group))
        line = builder.add(builder.lshr(place, words.constant(shift)), words.splat(row))
        found = words.philox([unit, line, *fixed], keys)
        narrow = [builder.trunc(x, ir.VectorType(I32, words.count)) for x in found]
        # All words side by side: that of lane i and place w at w · count + i.
        every = ir.Constant(ir.VectorType(I32, 2 * words.count), list(range(2 * words.count)))
        pairs = [builder.shuffle_vector(narrow[i], narrow[i + 1], every) for i in (0, 2)]
        for v in range(per_pass // code.lanes):
            order = [(e % 4) * words.count + e // 4 for e in _range(v, code.lanes)]
            mask = ir.Constant(ir.VectorType(I32, code.lanes), order)
            drawn = builder.shuffle_vector(pairs[0], pairs[1], mask)
            kept = builder.icmp_unsigned(">=", drawn, bound)
            at = first * code.itemsize + v * code.host.vector_bytes
            with code.when((first + v * code.lanes) < n):
                x = code.load(a + at)
                if name == "slope":
                    code.store(code.select(kept, code.load(s + at) * scale, 0.0), s + at)
                elif name != "input":
                    slope = scale if name == "identity" else DERIVATIVES[name](code, scale, x)
                    code.store(code.select(kept, slope, 0.0), s + at)
                code.store(code.select(kept, x * scale, 0.0), a + at)


def _range(vector: int, lanes: int) -> range:
    return range(vector * lanes, (vector + 1) * lanes)
