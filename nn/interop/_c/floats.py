"""Predictions in float or double: weights in panels of columns, sums in the order of the inputs.

The outputs of a layer are computed in panels of 32, 16, 8, 4, 2 or 1 columns (half as many for
double, but for the last), whose weights lie one row after the other; each sum begins with the bias.
GCC and clang keep a panel's sums in vector registers; any other compiler has plain loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array
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


def _vector_panel(name: str, real: Real, n: int) -> str:
    """The function of a panel of ``n`` vectors."""
    v, t = f"{name}_vector", real.name
    sums = [f"s{k}" for k in range(n)]
    lanes = f"{name.upper()}_LANES"
    load = "*(const {v} *)({p} + {k} * {lanes})"
    begin = "".join(
        f"    {v} s{k} = {load.format(v=v, p='b', k=k, lanes=lanes)};\n" for k in range(n)
    )
    add = "".join(
        f"        s{k} += {load.format(v=v, p='w', k=k, lanes=lanes)} * x[i];\n" for k in range(n)
    )
    end = "".join(f"    *({v} *)(y + {k} * {lanes}) = {s};\n" for k, s in enumerate(sums))
    return (
        f"static inline void {name}_panel_v{n}(const {t} *x, const {t} *w, const {t} *b, {t} *y, "
        f"int n)\n{{\n{begin}    int i;\n    for (i = 0; i < n; i++, w += {n} * {lanes}) {{\n"
        f"{add}    }}\n{end}}}\n"
    )


def _panel(name: str, real: Real, width: int) -> str:
    t = real.name
    return (
        f"static inline void {name}_panel_{width}(const {t} *x, const {t} *w, const {t} *b, {t} *y,"
        f" int n)\n{{\n    {t} s[{width}];\n    int i, j;\n"
        f"    for (j = 0; j < {width}; j++)\n        s[j] = b[j];\n"
        f"    for (i = 0; i < n; i++, w += {width})\n"
        f"        for (j = 0; j < {width}; j++)\n            s[j] += w[j] * x[i];\n"
        f"    for (j = 0; j < {width}; j++)\n        y[j] = s[j];\n}}\n"
    )


def _panel_functions(name: str, real: Real, used: set[int], lanes: int) -> str:
    plain = [_panel(name, real, width) for width in sorted(used) if width < lanes]
    wide = [width // lanes for width in sorted(used) if width >= lanes]
    if not wide:
        return "\n".join(plain)
    vectors = "\n".join(_vector_panel(name, real, n) for n in wide)
    loops = "\n".join(_panel(name, real, n * lanes) for n in wide)
    names = "\n".join(f"#define {name}_panel_{n * lanes} {name}_panel_v{n}" for n in wide)
    size = lanes * real.dtype.itemsize
    return "\n".join(
        [
            *plain,
            "#if defined(__GNUC__)",
            f"#define {name.upper()}_LANES {lanes}",
            f"typedef {real.name} {name}_vector "
            f"__attribute__((vector_size({size}), aligned({real.dtype.itemsize}), may_alias));",
            vectors + names,
            "#else",
            loops + "#endif",
            "",
        ]
    )


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


def softmax(name: str, real: Real) -> str:
    """A function that turns scores into probabilities, in place."""
    t = real.name
    return (
        f"static inline void {name}_softmax({t} *y, int n)\n{{\n    {t} top = y[0], sum = 0;\n"
        f"    int j;\n    for (j = 1; j < n; j++)\n        if (y[j] > top)\n"
        f"            top = y[j];\n    for (j = 0; j < n; j++)\n"
        f"        sum += y[j] = {real.function('exp')}(y[j] - top);\n"
        f"    for (j = 0; j < n; j++)\n        y[j] /= sum;\n}}\n"
    )


def activation_lines(functions: Functions, activation: Any, n: int) -> list[str]:
    """Statements that apply an activation to ``to``."""
    if activation == "softmax":
        return [f"    {functions.name}_softmax(to, {n});"]
    function = functions.value(activation)
    if function is None:
        return []
    return [f"    for (j = 0; j < {n}; j++)", f"        to[j] = {function}(to[j]);"]


def scratch_sizes(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Elements of the two buffers between which hidden layers alternate."""
    hidden = sizes[1:-1]
    return max(hidden[0::2], default=0), max(hidden[1::2], default=0)


def predictor(name: str, network: Any, real: Real) -> str:
    """Weights, and the function that predicts one row."""
    lanes = 8 if real.dtype == np.float32 else 4
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
    parts += [_panel_functions(name, real, used, lanes), *functions.text]
    if architecture.output == "softmax":
        parts.append(softmax(name, real))
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
