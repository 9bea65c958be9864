"""Activations of vectors, for GCC and clang on processors whose vector units are in every one.

They are the engine's own formulas (``vector/vmath.h`` and ``formulas/activations.h`` of the
compiled backend), operation by operation: what a header gives is what ``predict`` gives. The texts
are in ``vector_texts``.
"""

from __future__ import annotations

import re

import numpy as np

from . import vector_texts as texts
from .language import Real


def support(name: str, real: Real, activations: list[str], panels: tuple[str, str]) -> str:
    """Everything on vectors, and what takes its place for other compilers and processors.

    Parameters
    ----------
    activations : list of str
        Those that need a function ``NAME_v_ACTIVATION``.
    panels : (str, str)
        Further texts for either case.
    """
    n = lanes(real)
    text = texts.BASE.replace("N_LANES", str(n)).replace("HALF_LANES", str(n // 2))
    text = text.replace("FUNCTIONS\n", _functions(activations, 8 * real.dtype.itemsize))
    text = _filled(text, name, real)
    return text.replace("PANELS_V\n", panels[0]).replace("PANELS\n", panels[1])


def lanes(real: Real) -> int:
    """Numbers in a vector of 32 bytes; where there is none of it vectors have half."""
    return 32 // int(real.dtype.itemsize)


def _functions(activations: list[str], bits: int) -> str:
    wanted: list[str] = []

    def want(key: str) -> None:
        if key not in wanted:
            for needed in texts.NEEDS.get(key, ()):
                want(needed)
            wanted.append(key)

    for activation in activations:
        want(activation)
    return "".join(texts.FUNCTIONS.get((key, bits)) or texts.FUNCTIONS[key] for key in wanted)


def run(name: str, real: Real, plain: str, activation: str | None) -> str:
    """A function over memory, ``NAME_run_…``, of one of a number.

    Parameters
    ----------
    plain : str
        The function of a number, of which it has the name.
    activation : str or None
        ``None`` for one of the user's, which has no function of vectors.
    """
    text = texts.PLAIN_RUN if activation is None else texts.RUN.replace("ACTIVATION", activation)
    return _filled(text.replace("RUN", run_name(name, plain)).replace("PLAIN", plain), name, real)


def run_name(name: str, plain: str) -> str:
    """The name of the function over memory."""
    return f"{name}_run_{plain.removeprefix(name + '_')}"


def softmax(name: str, real: Real) -> str:
    """The function ``NAME_softmax`` over memory."""
    return _filled(texts.SOFTMAX, name, real)


def _filled(text: str, name: str, real: Real) -> str:
    """A text with names, types and literals of this header."""
    single = real.dtype == np.float32
    words = {key: values[not single] for key, values in texts.WORDS.items()}
    words |= {"VECTORS": f"{name.upper()}_VECTORS", "LANES": f"{name.upper()}_LANES"}
    words |= {"FMA": f"{name.upper()}_FMA", "VEC": f"{name}_vector", "INTS": f"{name}_integers"}
    words["REAL"] = real.name
    words["INLINE"] = f"static inline __attribute__((always_inline)) {name}_vector"
    text = re.sub(rf"\b({'|'.join(words)})\b", lambda match: words[match[0]], text)
    text = re.sub(
        r"(?<![\w.])\d+\.\d+(e[-+]?\d+)?", lambda match: real.number(float(match[0])), text
    )
    return text.replace("@", f"{name}_")
