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
from . import vectors
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


def _panel(name: str, real: Real, width: int, fused: bool) -> str:
    """The function of a panel, one column after the other."""
    t = real.name
    step = f"{name.upper()}_FMA(w[j], x[i], s[j])" if fused else "s[j] + w[j] * x[i]"
    return (
        f"static inline void {name}_panel_{width}(const {t} *x, const {t} *w, const {t} *b, {t} *y,"
        f" int n)\n{{\n    {t} s[{width}];\n    int i, j;\n"
        f"    for (j = 0; j < {width}; j++)\n        s[j] = b[j];\n"
        f"    for (i = 0; i < n; i++, w += {width})\n"
        f"        for (j = 0; j < {width}; j++)\n            s[j] = {step};\n"
        f"    for (j = 0; j < {width}; j++)\n        y[j] = s[j];\n}}\n"
    )


def _panels(name: str, real: Real, used: set[int]) -> tuple[str, str]:
    """The functions of all panels, with vectors and without."""
    lanes = vectors.lanes(real)
    wide, narrow = (sorted(n for n in used if (n >= lanes) == large) for large in (True, False))
    with_vectors = "".join(
        f"#if {name.upper()}_LANES == {n}\n"
        + "".join(_vector_panel(name, real, width, n) for width in wide)
        + "#endif\n"
        for n in (lanes, lanes // 2)
        if wide
    )
    with_vectors += "".join(_panel(name, real, n, True) for n in narrow)
    return with_vectors, "".join(_panel(name, real, n, False) for n in sorted(used))


def dense_calls(name: str, layer: int, shape: tuple[int, int], lanes: int) -> list[str]:
    """Calls that compute one layer from ``from`` into ``to``."""
    n_in, n_out = shape
    lines, column = [], 0
    found = widths(n_out, lanes)
    for width in sorted(set(found), reverse=True):
        times = found.count(width)
        w = f"{name}_w{layer} + {column * n_in}"
        b, y = f"{name}_b{layer} + {column}", f"to + {column}"
        if times == 1:
            lines.append(f"    {name}_panel_{width}(from, {w}, {b}, {y}, {n_in});")
        else:
            step = f"j * {width}"
            lines.append(f"    for (j = 0; j < {times}; j++)")
            lines.append(
                f"        {name}_panel_{width}(from, {w} + j * {width * n_in}, {b} + {step}, "
                f"{y} + {step}, {n_in});"
            )
        column += times * width
    return lines


def activation_lines(functions: Functions, activation: Any, n: int) -> list[str]:
    """Statements that apply an activation to ``to``."""
    function = functions.run(activation)
    return [] if function is None else [f"    {function}(to, {n});"]


def scratch_sizes(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Elements of the two buffers between which hidden layers alternate."""
    hidden = sizes[1:-1]
    return max(hidden[0::2], default=0), max(hidden[1::2], default=0)


def predictor(name: str, network: Any, real: Real) -> str:
    """Weights, and the function that predicts one row."""
    lanes = vectors.lanes(real)
    architecture = network.architecture
    shapes = architecture.layer_shapes
    functions = Functions(name, real)
    parts: list[str] = []
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        parts.append(real.array(f"{name}_w{i}", panels(np.asarray(w, real.dtype), lanes)))
        parts.append(real.array(f"{name}_b{i}", np.asarray(b, real.dtype)))
    used = {width for _, n_out in shapes for width in widths(n_out, lanes)}
    body = layer_statements(
        name, architecture, functions, lambda i: dense_calls(name, i, shapes[i], lanes)
    )
    parts += [functions.support(_panels(name, real, used)), *functions.text]
    t = real.name
    parts.append(
        f"static inline void {name}_predict_with(const {t} *x, {t} *y, {t} *scratch)\n"
        f"{{\n{body}}}\n"
    )
    parts.append(
        f"static inline void {name}_predict(const {t} *x, {t} *y)\n{{\n"
        f"    {t} scratch[{name.upper()}_SCRATCH];\n    {name}_predict_with(x, y, scratch);\n}}\n"
    )
    return "\n".join(parts)


def layer_statements(name: str, architecture: Any, functions: Functions, dense: Any) -> str:
    """The body of a prediction: each layer from one buffer into the other."""
    t, last = functions.real.name, len(architecture.activations)
    first, _ = scratch_sizes(architecture.sizes)
    lines = [f"    const {t} *from = x;", f"    {t} *to;", "    int j;"]
    for i, (_, n_out) in enumerate(architecture.layer_shapes):
        if i == last:
            lines.append("    to = y;")
        else:
            lines.append(f"    to = scratch{f' + {first}' if i % 2 else ''};")
        lines += dense(i)
        lines += activation_lines(
            functions, architecture.output if i == last else architecture.activations[i], n_out
        )
        if i < last:
            lines.append("    from = to;")
    if not last:
        lines.append("    (void)scratch;")
    if not any("for (j" in line for line in lines):
        lines.append("    (void)j;")
        lines[2] = "    int j = 0;"
    return "\n".join(lines) + "\n"
