"""Activations of vectors, for GCC and clang.

They are the engine's own formulas (``vector/vmath.h`` and ``formulas/activations.h`` of the
compiled backend), operation by operation: what a header gives is what ``predict`` gives. The texts
are in ``vector_texts``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from . import variant_texts as texts
from . import vector_texts
from .language import Real

#: Macros of a header, and those of each variant in it.
_SHARED, _MACROS = ("VECTORS", "ASK", "EXACT"), ("AVX2", "LANES", "FUSED", "FMA", "INLINE")


@dataclass(frozen=True)
class Variant:
    """The functions of a header for what the compiler is told, or for AVX2 that is asked for.

    Attributes
    ----------
    name : str
        With which the header's names begin.
    asked : bool
        For AVX2 and FMA, whatever the compiler has been told of the processor.
    """

    name: str
    real: Real
    asked: bool = False

    @property
    def prefix(self) -> str:
        """With which the names of its functions begin."""
        return f"{self.name}_avx2" if self.asked else self.name

    def filled(self, text: str) -> str:
        """A text with names, types and literals of this variant."""
        single = self.real.dtype == np.float32
        words = {key: values[not single] for key, values in texts.WORDS.items()}
        words |= {word: f"{self.name.upper()}_{word}" for word in _SHARED}
        words |= {word: f"{self.prefix.upper()}_{word}" for word in _MACROS}
        words |= {"VEC": f"{self.prefix}_vector", "INTS": f"{self.prefix}_integers"}
        words["REAL"] = self.real.name
        text = re.sub(rf"\b({'|'.join(words)})\b", lambda match: words[match[0]], text)
        text = re.sub(
            r"(?<![\w.])\d+\.\d+(e[-+]?\d+)?", lambda m: self.real.number(float(m[0])), text
        )
        return text.replace("@", f"{self.prefix}_")

    def finished(self, text: str) -> str:
        """All functions of the variant, compiled for its processors."""
        if not self.asked:
            return text
        target = 'static inline __attribute__((target("avx2,fma"))) '
        return self.filled("#if ASK\n") + text.replace("static inline ", target) + "#endif\n"

    def support(self, activations: list[str]) -> str:
        """Everything on vectors, and what takes its place for other compilers and processors.

        Parameters
        ----------
        activations : list of str
            Those that need a function ``PREFIX_v_ACTIVATION``.
        """
        n, bits = lanes(self.real), 8 * self.real.dtype.itemsize
        first, last = texts.ASKED if self.asked else texts.TOLD
        text = (
            (first + texts.BASE + last)
            .replace("N_LANES", str(n))
            .replace("HALF_LANES", str(n // 2))
        )
        text = text.replace("BY_DOUBLE\n", texts.BY_DOUBLE if bits == 32 else "")
        functions = _functions(activations, bits).replace("\n{\n", "\n{\n    EXACT\n")
        return self.filled(text.replace("FUNCTIONS\n", functions))

    def run(self, name: str, plain: str, activation: str | None) -> str:
        """A function over memory, ``PREFIX_NAME``, of one of a number.

        Parameters
        ----------
        plain : str
            The function of a number.
        activation : str or None
            ``None`` for one of the user's, which has no function of vectors.
        """
        vectors = texts.ASKED_RUN if self.asked else texts.TOLD_RUN
        text = (
            (vectors if activation else texts.PLAIN_RUN)
            .replace("RUN", f"@{name}")
            .replace("PLAIN", plain)
        )
        return self.filled(text.replace("ACTIVATION", str(activation)))

    def softmax(self) -> str:
        """The function ``PREFIX_softmax`` over memory."""
        return self.filled(texts.SOFTMAX)


def lanes(real: Real) -> int:
    """Numbers in a vector of 32 bytes; where there is none of it vectors have half."""
    return 32 // int(real.dtype.itemsize)


def _functions(activations: list[str], bits: int) -> str:
    wanted: list[str] = []

    def want(key: str) -> None:
        if key not in wanted:
            for needed in vector_texts.NEEDS.get(key, ()):
                want(needed)
            wanted.append(key)

    for activation in activations:
        want(activation)
    return "".join(
        vector_texts.FUNCTIONS.get((key, bits)) or vector_texts.FUNCTIONS[key] for key in wanted
    )
