"""One step of SGD or Adam in C, on parameters that lie in a structure of the caller.

The loss is the one whose output error is ``a - y``: half the squared error for identity, binary
cross-entropy for sigmoid, cross-entropy for softmax, Poisson for exp. Parameters, gradient and
moments are flat vectors in the layout of ``MLP.parameters``.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from .floats import activation_lines, softmax
from .functions import Functions
from .language import Real

RULES = ("sgd", "adam")
_LOSSES = {
    "identity": "0.5 * (a - t) * (a - t)",
    "sigmoid": "@softplus(z) - t * z",
    "softmax": "t > 0 ? -t * @log(a) : 0",
    "exp": "a - t * z",
}


def code(name: str, network: Any, real: Real, rule: str) -> str:
    """The structure, its beginning, predictions and the step."""
    net, t, upper = network.architecture, real.name, name.upper()
    functions = Functions(name, real)
    last = len(net.activations)
    shapes = net.layer_shapes
    w_at = [0, *accumulate(n * m for n, m in shapes)]
    b_at = [w_at[-1], *(w_at[-1] + s for s in accumulate(m for _, m in shapes))]
    z_at = [0, *accumulate(net.sizes[1:])]
    units = z_at[-1]
    states = {"sgd": 0, "adam": 2}[rule]
    forward, backward = [], []
    for i, (n_in, n_out) in enumerate(shapes):
        source = "x" if i == 0 else f"a + {z_at[i - 1]}"
        forward += [
            f"    {name}_rows({source}, p + {w_at[i]}, p + {b_at[i]}, z + {z_at[i]}, {n_in}, "
            f"{n_out});",
            f"    to = a + {z_at[i]};",
            f"    for (j = 0; j < {n_out}; j++)",
            f"        to[j] = z[{z_at[i]} + j];",
            *activation_lines(functions, net.output if i == last else net.activations[i], n_out),
        ]
    for i in reversed(range(last + 1)):
        n_in, n_out = shapes[i]
        source = "x" if i == 0 else f"a + {z_at[i - 1]}"
        backward += [
            f"    {name}_gradient({source}, d + {z_at[i]}, g + {w_at[i]}, g + {b_at[i]}, {n_in}, "
            f"{n_out});"
        ]
        if i:
            slope = functions.slope(net.activations[i - 1])
            below = z_at[i - 1]
            backward += [
                f"    {name}_errors(d + {z_at[i]}, p + {w_at[i]}, d + {below}, {n_in}, {n_out});",
                f"    for (j = 0; j < {n_in}; j++)",
                f"        d[{below} + j] *= {slope}(z[{below} + j], a[{below} + j]);",
            ]
    if net.output == "sigmoid":
        functions.value("softplus")
    loss = functions._expression(_LOSSES[net.output].replace("@log", real.function("log")))
    n_out = net.sizes[-1]
    parts = [
        real.array(f"{name}_start", np.asarray(network.parameters, real.dtype)),
        f"#define {upper}_N_PARAMETERS {net.n_parameters}\n"
        f"typedef struct {{\n    {t} parameters[{upper}_N_PARAMETERS];\n"
        f"    {t} gradient[{upper}_N_PARAMETERS];\n"
        + (f"    {t} moments[{states} * {upper}_N_PARAMETERS];\n" if states else "")
        + (f"    {t} beta_1_power, beta_2_power;\n" if states else "")
        + f"    {t} z[{units}], a[{units}], d[{units}];\n}} {name}_state;\n",
        _fill(_COMMON, name, t),
        *functions.text,
    ]
    if net.output == "softmax":
        parts.append(softmax(name, real))
    parts.append(
        f"static inline void {name}_forward({name}_state *s, const {t} *x)\n{{\n"
        f"    const {t} *p = s->parameters;\n    {t} *z = s->z, *a = s->a, *to;\n    int j;\n"
        + "\n".join(forward)
        + "\n}\n"
    )
    parts.append(
        f"/* The output layer for one row, with the parameters as they are now. */\n"
        f"static inline void {name}_now({name}_state *s, const {t} *x, {t} *y)\n{{\n    int j;\n"
        f"    {name}_forward(s, x);\n    for (j = 0; j < {n_out}; j++)\n"
        f"        y[j] = s->a[{z_at[-2]} + j];\n}}\n"
    )
    parts.append(
        f"/* Add the gradient of one row; its loss. */\n"
        f"static inline {t} {name}_row({name}_state *s, const {t} *x, const {t} *y)\n{{\n"
        f"    const {t} *p = s->parameters;\n    const {t} *z = s->z, *a = s->a;\n"
        f"    {t} *d = s->d, *g = s->gradient;\n    {t} loss = 0;\n    int j;\n"
        f"    (void)p;\n    (void)z;\n    {name}_forward(s, x);\n"
        f"    for (j = 0; j < {n_out}; j++) {{\n"
        f"        d[{z_at[-2]} + j] = a[{z_at[-2]} + j] - y[j];\n"
        f"        loss += {name}_loss(z[{z_at[-2]} + j], a[{z_at[-2]} + j], y[j]);\n    }}\n"
        + "\n".join(backward)
        + "\n    return loss;\n}\n"
    )
    parts.insert(
        -2,
        f"static inline {t} {name}_loss({t} z, {t} a, {t} t)\n{{\n    (void)z;\n    (void)a;\n"
        f"    return {loss};\n}}\n",
    )
    parts.append(_fill(_STEP, name, t).replace("UPDATE", _fill(_UPDATES[rule], name, t).rstrip()))
    moments = _fill(_NO_MOMENTS, name, t) if states else ""
    return _typed("\n".join(parts).replace("MOMENTS", moments), real)


def _fill(text: str, name: str, kind: str) -> str:
    return text.replace("NAME", name).replace("REAL", kind).replace("COUNT", f"{name.upper()}_N")


def _typed(text: str, real: Real) -> str:
    constants = {"one": 1.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    text = text.replace("@sqrt", real.function("sqrt"))
    for name, value in constants.items():
        text = text.replace(f"@{name}", real.number(value))
    return text


_COMMON = """\
static inline void NAME_rows(const REAL *x, const REAL *w, const REAL *b, REAL *z, int n_in,
                             int n_out)
{
    int i, j;
    for (j = 0; j < n_out; j++)
        z[j] = b[j];
    for (i = 0; i < n_in; i++, w += n_out)
        for (j = 0; j < n_out; j++)
            z[j] += x[i] * w[j];
}

static inline void NAME_gradient(const REAL *x, const REAL *d, REAL *w, REAL *b, int n_in,
                                 int n_out)
{
    int i, j;
    for (j = 0; j < n_out; j++)
        b[j] += d[j];
    for (i = 0; i < n_in; i++, w += n_out)
        for (j = 0; j < n_out; j++)
            w[j] += x[i] * d[j];
}

static inline void NAME_errors(const REAL *d, const REAL *w, REAL *below, int n_in, int n_out)
{
    int i, j;
    for (i = 0; i < n_in; i++, w += n_out) {
        REAL sum = 0;
        for (j = 0; j < n_out; j++)
            sum += w[j] * d[j];
        below[i] = sum;
    }
}
"""
_STEP = """\
/* The parameters of the network that was exported, before any step. */
static inline void NAME_init(NAME_state *s)
{
    int i;
    for (i = 0; i < COUNT_PARAMETERS; i++)
        s->parameters[i] = NAME_start[i];
MOMENTS}

/* One step on n rows of inputs and targets; the mean loss before it. */
static inline REAL NAME_train(NAME_state *s, const REAL *x, const REAL *y, int n,
                              REAL learning_rate)
{
    REAL loss = 0;
    int i;
    for (i = 0; i < COUNT_PARAMETERS; i++)
        s->gradient[i] = 0;
    for (i = 0; i < n; i++)
        loss += NAME_row(s, x + (long)i * COUNT_IN, y + (long)i * COUNT_OUT);
UPDATE
    return loss / (REAL)n;
}
"""
_NO_MOMENTS = """\
    for (i = 0; i < 2 * COUNT_PARAMETERS; i++)
        s->moments[i] = 0;
    s->beta_1_power = s->beta_2_power = @one;
"""
_UPDATES = {
    "sgd": """\
    for (i = 0; i < COUNT_PARAMETERS; i++)
        s->parameters[i] -= learning_rate * (s->gradient[i] / (REAL)n);
""",
    "adam": """\
    s->beta_1_power *= @beta_1;
    s->beta_2_power *= @beta_2;
    for (i = 0; i < COUNT_PARAMETERS; i++) {
        REAL g = s->gradient[i] / (REAL)n;
        REAL *first = s->moments + i, *second = s->moments + COUNT_PARAMETERS + i;
        *first += (@one - @beta_1) * (g - *first);
        *second += (@one - @beta_2) * (g * g - *second);
        s->parameters[i] -= learning_rate * (*first / (@one - s->beta_1_power)) /
                            (@sqrt(*second / (@one - s->beta_2_power)) + @epsilon);
    }
""",
}
