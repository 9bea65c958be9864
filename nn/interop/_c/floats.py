"""Predictions in float or double: weights in panels of columns, sums in the order of the inputs.

The outputs of a layer are computed in panels of 32, 16, 8, 4, 2 or 1 columns (half as many for
double, but for the last), whose weights lie one row after the other; each sum begins with the bias.
GCC and clang keep a panel's sums in vector registers where every processor of the kind has them;
anything else has plain loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array
from . import predictions, vectors
from .functions import Functions
from .language import Real


def widths(n_out: int, lanes: int) -> list[int]:
    """Columns of each panel of a layer."""
    found: list[int] = []
    for width in (4 * lanes, 2 * lanes, lanes, 4, 2, 1):
        while n_out >= width:
            found.append(width)
            n_out -= width
    return found


def panels(weights: Array, lanes: int) -> Array:
    """A weight matrix, panel after panel."""
    parts, start = [], 0
    for width in widths(weights.shape[1], lanes):
        parts.append(weights[:, start : start + width].ravel())
        start += width
    return np.concatenate(parts)


def _vector_panel(name: str, real: Real, width: int, lanes: int) -> str:
    """The function of a panel of whole vectors."""
    v, t, load = f"{name}_vector", real.name, f"{name}_load"
    places = range(0, width, lanes)
    begin = "".join(f"    {v} s{k} = {load}(b + {k});\n" for k in places)
    add = "".join(f"        s{k} = {name}_fma(left, {load}(w + {k}), s{k});\n" for k in places)
    end = "".join(f"    *({name}_unaligned *)(y + {k}) = s{k};\n" for k in places)
    return (
        f"static inline void {name}_panel_{width}(const {t} *x, const {t} *w, const {t} *b, {t} *y,"
        f" int n)\n{{\n{begin}    int i;\n    for (i = 0; i < n; i++, w += {width}) {{\n"
        f"        const {v} left = {name}_splat(x[i]);\n{add}    }}\n{end}}}\n"
    )


def _panel(name: str, real: Real, width: int) -> str:
    """The function of a panel, one column after the other."""
    t = real.name
    return (
        f"static inline void {name}_panel_{width}(const {t} *x, const {t} *w, const {t} *b, {t} *y,"
        f" int n)\n{{\n    {t} s[{width}];\n    int i, j;\n"
        f"    for (j = 0; j < {width}; j++)\n        s[j] = b[j];\n"
        f"    for (i = 0; i < n; i++, w += {width})\n"
        f"        for (j = 0; j < {width}; j++)\n"
        f"            s[j] = {name.upper()}_FMA(w[j], x[i], s[j]);\n"
        f"    for (j = 0; j < {width}; j++)\n        y[j] = s[j];\n}}\n"
    )


def _panels(variant: vectors.Variant, used: set[int]) -> str:
    """The functions of all panels: of vectors where they fill some."""
    name, real = variant.prefix, variant.real
    lanes, upper = vectors.lanes(real), name.upper()
    wide = sorted(n for n in used if n >= lanes)

    def of_vectors(lanes: int) -> str:
        return "".join(_vector_panel(name, real, n, lanes) for n in wide)

    narrow = "".join(_panel(name, real, n) for n in sorted(used - set(wide)))
    if variant.asked or not wide:
        return of_vectors(lanes) + narrow
    plain = "".join(_panel(name, real, n) for n in wide)
    return (
        f"#if {upper}_LANES == {lanes}\n{of_vectors(lanes)}#elif {upper}_LANES == {lanes // 2}\n"
        f"{of_vectors(lanes // 2)}#else\n{plain}#endif\n{narrow}"
    )


def _dense_calls(
    name: str, prefix: str, layer: int, shape: tuple[int, int], lanes: int
) -> list[str]:
    """Calls that compute one layer from ``from`` into ``to``."""
    n_in, n_out = shape
    lines, column = [], 0
    found = widths(n_out, lanes)
    for width in sorted(set(found), reverse=True):
        times = found.count(width)
        w = f"{name}_w{layer} + {column * n_in}"
        b, y = f"{name}_b{layer} + {column}", f"to + {column}"
        if times == 1:
            lines.append(f"    {prefix}_panel_{width}(from, {w}, {b}, {y}, {n_in});")
        else:
            step = f"j * {width}"
            lines.append(f"    for (j = 0; j < {times}; j++)")
            lines.append(
                f"        {prefix}_panel_{width}(from, {w} + j * {width * n_in}, {b} + {step}, "
                f"{y} + {step}, {n_in});"
            )
        column += times * width
    return lines


def predictor(name: str, network: Any, real: Real) -> str:
    """Weights, and the function that predicts one row."""
    lanes = vectors.lanes(real)
    architecture = network.architecture
    shapes = architecture.layer_shapes
    parts: list[str] = []
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        parts.append(real.array(f"{name}_w{i}", panels(np.asarray(w, real.dtype), lanes)))
        parts.append(real.array(f"{name}_b{i}", np.asarray(b, real.dtype)))
    used = {width for _, n_out in shapes for width in widths(n_out, lanes)}
    code = predictions.code(
        Functions(name, real),
        architecture,
        lambda variant: _panels(variant, used),
        lambda variant, i: _dense_calls(name, variant.prefix, i, shapes[i], lanes),
    )
    return "\n".join([*parts, code])
