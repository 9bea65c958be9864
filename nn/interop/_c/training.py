"""One step of SGD or Adam in C, on parameters that lie in a structure of the caller.

The loss is the one whose output error is ``a - y``: half the squared error for identity, binary
cross-entropy for sigmoid, cross-entropy for softmax, Poisson for exp. Parameters, gradient and
moments are flat vectors in the layout of ``MLP.parameters``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .functions import Functions
from .language import Real

RULES = ("sgd", "adam")
_LOSSES = {
    "identity": "0.5 * (a - t) * (a - t)",
    "sigmoid": "@softplus(z) - t * z",
    "softmax": "t > 0 ? -t * @log(a) : 0",
    "exp": "a - t * z",
}


@dataclass(frozen=True)
class _Plan:
    """Where everything of a network lies in the vectors of the structure."""

    name: str
    net: Any
    real: Real
    weights: list[int]
    biases: list[int]
    #: Of pre-activations, activations and errors of each layer, and their number.
    units: list[int]

    @property
    def last(self) -> int:
        return len(self.net.activations)

    def source(self, layer: int) -> str:
        return "x" if layer == 0 else f"a + {self.units[layer - 1]}"

    def c(self, text: str, **values: Any) -> str:
        """A piece of C with names, types and places filled in."""
        for key, value in {"OUTPUT": self.units[-2], **values}.items():
            text = text.replace(key, str(value))
        return _fill(text, self.name, self.real.name)


def _plan(name: str, network: Any, real: Real) -> _Plan:
    shapes = network.architecture.layer_shapes
    weights = [0, *accumulate(n * m for n, m in shapes)]
    biases = [weights[-1], *(weights[-1] + s for s in accumulate(m for _, m in shapes))]
    units = [0, *accumulate(m for _, m in shapes)]
    return _Plan(name, network.architecture, real, weights, biases, units)


def code(name: str, network: Any, real: Real, rule: str) -> str:
    """The structure, its beginning, predictions and the step."""
    plan, functions = _plan(name, network, real), Functions(name, real)
    n_moments = {"sgd": 0, "adam": 2}[rule]
    forward = _forward_lines(plan, functions)
    backward = _backward_lines(plan, functions)
    if plan.net.output == "sigmoid":
        functions.value("softplus")
    loss = functions._expression(_LOSSES[plan.net.output].replace("@log", real.function("log")))
    sizes = {"N_PARAMETERS_": plan.net.n_parameters, "MOMENTS_": n_moments}
    sizes |= {"UNITS_": plan.units[-1], "N_OUT_": plan.net.sizes[-1]}
    parts = [
        real.array(f"{name}_start", np.asarray(network.parameters, real.dtype)),
        plan.c(_STATE.replace("ADAM_", _STATE_OF_ADAM if n_moments else ""), **sizes),
        plan.c(_COMMON),
        *functions.text,
        *([_softmax(name, real)] if plan.net.output == "softmax" else []),
        plan.c(_FORWARD).replace("LINES_", forward),
        plan.c(_LOSS).replace("LOSS_", loss),
        plan.c(_NOW, **sizes),
        plan.c(_ROW, **sizes).replace("LINES_", backward),
        plan.c(_STEP).replace("UPDATE", plan.c(_UPDATES[rule]).rstrip()),
    ]
    begin = plan.c(_NO_MOMENTS) if n_moments else ""
    return _typed("\n".join(parts).replace("MOMENTS", begin), real)


def _softmax(name: str, real: Real) -> str:
    """A function that turns scores into probabilities, in place."""
    t = real.name
    return (
        f"static inline void {name}_softmax({t} *y, int n)\n{{\n    {t} top = y[0], sum = 0;\n"
        f"    int j;\n    for (j = 1; j < n; j++)\n        if (y[j] > top)\n"
        f"            top = y[j];\n    for (j = 0; j < n; j++)\n"
        f"        sum += y[j] = {real.function('exp')}(y[j] - top);\n"
        f"    for (j = 0; j < n; j++)\n        y[j] /= sum;\n}}\n"
    )


def _activation_lines(functions: Functions, activation: Any, n: int) -> list[str]:
    """Statements that apply an activation to ``to``."""
    if activation == "softmax":
        return [f"    {functions.name}_softmax(to, {n});"]
    function = functions.value(activation)
    if function is None:
        return []
    return [f"    for (j = 0; j < {n}; j++)", f"        to[j] = {function}(to[j]);"]


def _forward_lines(plan: _Plan, functions: Functions) -> str:
    """Pre-activations and activations, layer by layer."""
    lines: list[str] = []
    for i, (n_in, n_out) in enumerate(pairwise(plan.net.sizes)):
        activation = plan.net.output if i == plan.last else plan.net.activations[i]
        at = plan.units[i]
        lines += [
            f"    {plan.name}_rows({plan.source(i)}, p + {plan.weights[i]}, p + {plan.biases[i]}, "
            f"z + {at}, {n_in}, {n_out});",
            f"    to = a + {at};",
            f"    for (j = 0; j < {n_out}; j++)",
            f"        to[j] = z[{at} + j];",
            *_activation_lines(functions, activation, n_out),
        ]
    return "\n".join(lines)


def _backward_lines(plan: _Plan, functions: Functions) -> str:
    """Gradients and errors, from the output layer down."""
    lines: list[str] = []
    for i, (n_in, n_out) in reversed([*enumerate(pairwise(plan.net.sizes))]):
        at = plan.units[i]
        lines += [
            f"    {plan.name}_gradient({plan.source(i)}, d + {at}, g + {plan.weights[i]}, "
            f"g + {plan.biases[i]}, {n_in}, {n_out});"
        ]
        if i:
            slope, below = functions.slope(plan.net.activations[i - 1]), plan.units[i - 1]
            lines += [
                f"    {plan.name}_errors(d + {at}, p + {plan.weights[i]}, d + {below}, {n_in}, "
                f"{n_out});",
                f"    for (j = 0; j < {n_in}; j++)",
                f"        d[{below} + j] *= {slope}(z[{below} + j], a[{below} + j]);",
            ]
    return "\n".join(lines)


def _fill(text: str, name: str, kind: str) -> str:
    return text.replace("NAME", name).replace("REAL", kind).replace("COUNT", f"{name.upper()}_N")


def _typed(text: str, real: Real) -> str:
    constants = {"one": 1.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    text = text.replace("@sqrt", real.function("sqrt"))
    for name, value in constants.items():
        text = text.replace(f"@{name}", real.number(value))
    return text


_STATE = """\
#define COUNT_PARAMETERS N_PARAMETERS_
typedef struct {
    REAL parameters[COUNT_PARAMETERS];
    REAL gradient[COUNT_PARAMETERS];
ADAM_    REAL z[UNITS_], a[UNITS_], d[UNITS_];
} NAME_state;
"""
_STATE_OF_ADAM = """\
    REAL moments[MOMENTS_ * COUNT_PARAMETERS];
    REAL beta_1_power, beta_2_power;
"""
_FORWARD = """\
static inline void NAME_forward(NAME_state *s, const REAL *x)
{
    const REAL *p = s->parameters;
    REAL *z = s->z, *a = s->a, *to;
    int j;
LINES_
}
"""
_LOSS = """\
static inline REAL NAME_loss(REAL z, REAL a, REAL t)
{
    (void)z;
    (void)a;
    return LOSS_;
}
"""
_NOW = """\
/* The output layer for one row, with the parameters as they are now. */
static inline void NAME_now(NAME_state *s, const REAL *x, REAL *y)
{
    int j;
    NAME_forward(s, x);
    for (j = 0; j < N_OUT_; j++)
        y[j] = s->a[OUTPUT + j];
}
"""
_ROW = """\
/* Add the gradient of one row; its loss. */
static inline REAL NAME_row(NAME_state *s, const REAL *x, const REAL *y)
{
    const REAL *p = s->parameters;
    const REAL *z = s->z, *a = s->a;
    REAL *d = s->d, *g = s->gradient;
    REAL loss = 0;
    int j;
    (void)p;
    (void)z;
    NAME_forward(s, x);
    for (j = 0; j < N_OUT_; j++) {
        d[OUTPUT + j] = a[OUTPUT + j] - y[j];
        loss += NAME_loss(z[OUTPUT + j], a[OUTPUT + j], y[j]);
    }
LINES_
    return loss;
}
"""
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
