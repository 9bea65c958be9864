"""Activations and their derivatives as expressions of C."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from fastmlp.kernels import CustomActivation

from .._steps import steps_of
from .language import Real
from .vectors import Variant

#: σ(z). Words of the set below are functions of ``math.h``, numbers become literals of the type.
_VALUES = {
    "sigmoid": "z < 0 ? exp(z) / (1 + exp(z)) : 1 / (1 + exp(-z))",
    "tanh": "tanh(z)",
    "hardtanh": "z < -1 ? -1 : z > 1 ? 1 : z",
    "relu": "z < 0 ? 0 : z",
    "leaky_relu": "z > 0 ? z : 0.01 * z",
    "elu": "z > 0 ? z : expm1(z)",
    "selu": "z > 0 ? 1.0507009873554804934 * z : 1.7580993408473768600 * expm1(z)",
    "softplus": "z > 0 ? z + log1p(exp(-z)) : log1p(exp(z))",
    "silu": "(z < -1000 ? -1000 : z) * @sigmoid(z)",
    "gelu": "(z < -1000 ? -1000 : z) * (0.5 * erfc(-0.70710678118654752440 * z))",
    "gelu_tanh": "(z < -1000 ? -1000 : z) * "
    "@sigmoid(1.5957691216057307876 * (z + 0.044715 * z * z * z))",
    "mish": "(z < -1000 ? -1000 : z) * tanh(@softplus(z))",
    "softsign": "z > 1000000000 ? 1 : z < -1000000000 ? -1 : z / (1 + fabs(z))",
    "exp": "exp(z)",
}
#: σ'(z), from z and ``a = σ(z)``.
_SLOPES = {
    "identity": "1",
    "sigmoid": "a * (1 - a)",
    "tanh": "1 - a * a",
    "hardtanh": "z > -1 && z < 1 ? 1 : 0",
    "relu": "z > 0 ? 1 : 0",
    "leaky_relu": "z > 0 ? 1 : 0.01",
    "elu": "z > 0 ? 1 : a + 1",
    "selu": "z > 0 ? 1.0507009873554804934 : a + 1.7580993408473768600",
    "softplus": "@sigmoid(z)",
    "silu": "@sigmoid(z) + a * (1 - @sigmoid(z))",
    "gelu": "0.5 * erfc(-0.70710678118654752440 * z) + "
    "z * (exp(-0.5 * z * z) * 0.39894228040143267794)",
    "softsign": "(1 - fabs(a)) * (1 - fabs(a))",
}
_FUNCTIONS = ("exp", "expm1", "log1p", "tanh", "erfc", "fabs")
#: What an activation is written with.
_NEEDS = {"silu": "sigmoid", "gelu_tanh": "sigmoid", "mish": "softplus"}


class Functions:
    """The activations of one header, each written once."""

    def __init__(self, name: str, real: Real) -> None:
        self.name, self.real = name, real
        self._written: dict[Any, str] = {}
        #: Functions of one number.
        self.text: list[str] = []
        #: Activations that have a function of vectors.
        self.vectors: list[str] = []
        #: Function over memory to that of a number, and to the activation if it has one of vectors.
        self._runs: dict[str, tuple[str, str | None]] = {}

    def run(self, activation: str | CustomActivation) -> str | None:
        """Name of the C function that applies ``σ`` to memory, without the prefix of a variant.

        ``None`` for the identity.
        """
        if activation == "softmax":
            self.run("exp")
            self._runs["softmax"] = "", None
            return "softmax"
        plain = self.value(activation)
        if plain is None:
            return None
        name = f"run_{plain.removeprefix(self.name + '_')}"
        known = activation if isinstance(activation, str) else None
        if name not in self._runs and known is not None:
            self.vectors.append(known)
        self._runs[name] = plain, known
        return name

    def over_memory(self, variant: Variant) -> str:
        """The functions of :meth:`run`, for a variant."""
        return "\n".join(
            variant.softmax() if name == "softmax" else variant.run(name, *of)
            for name, of in self._runs.items()
        )

    def value(self, activation: str | CustomActivation) -> str | None:
        """Name of the C function ``σ(z)``; ``None`` for the identity."""
        return None if activation == "identity" else self._function(activation, "")

    def slope(self, activation: str | CustomActivation) -> str:
        """Name of the C function ``σ'(z, a)``."""
        if activation == "softplus":
            self.value("sigmoid")
        return self._function(activation, "_slope")

    def _function(self, activation: str | CustomActivation, kind: str) -> str:
        key = (activation, kind)
        if key in self._written:
            return self._written[key]
        table = _SLOPES if kind else _VALUES
        expression = table.get(activation) if isinstance(activation, str) else None
        for needed in (_NEEDS.get(str(activation)),):
            if needed and expression is not None:
                self.value(needed)
        stem = activation if isinstance(activation, str) else f"custom_{len(self._written)}"
        function = self._written[key] = f"{self.name}_{stem}{kind}"
        body = (
            f"    return {self._expression(expression)};"
            if expression is not None
            else self._program(activation, 1 if kind else 0)
        )
        kind_of = self.real.name
        arguments = f"{kind_of} z, {kind_of} a" if kind else f"{kind_of} z"
        unused = "".join(
            f"    (void){word};\n"
            for word in ("za" if kind else "z")
            if not re.search(rf"\b{word}\b", body)
        )
        self.text.append(
            f"static inline {kind_of} {function}({arguments})\n{{\n{unused}{body}\n}}\n"
        )
        return function

    def _expression(self, text: str) -> str:
        """An expression of the tables in this type."""
        text = text.replace("@", f"{self.name}_")
        text = re.sub(
            r"(?<![\w.])\d+(\.\d+)?", lambda match: self.real.number(float(match[0])), text
        )
        names = "|".join(_FUNCTIONS)
        return re.sub(rf"(?<!\w)({names})\(", lambda m: f"{self.real.function(m[1])}(", text)

    def _program(self, activation: Any, output: int) -> str:
        """Straight-line code of an expression."""
        program = steps_of(activation, "C")
        kind, lines, values = self.real.name, [], ["z"]
        for step in program.steps:
            operands = [values[i] for i in step.operands]
            if step.operation == "constant":
                text = self.real.number(step.values[0])
            else:
                text = _step(step.operation, operands, self.real)
            values.append(f"t{len(values)}")
            truth = step.operation in _TRUTHS
            lines.append((values[-1], f"const {'int' if truth else kind}", text))
        needed, kept = {values[program.outputs[output]]}, []
        for name, what, text in reversed(lines):
            if name in needed:
                kept.append(f"    {what} {name} = {text};")
                needed |= set(re.findall(r"\bt\d+\b", text))
        kept = kept[::-1]
        return "\n".join([*kept, f"    return {values[program.outputs[output]]};"])


_TRUTHS = (
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "isnan"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
)
_OPERATORS = {
    **{"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<"},
    **{"less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="},
    **{"logical_and": "&&", "logical_or": "||", "logical_xor": "!="},
}
#: NumPy's name to that of ``math.h``; where there is none the two are the same.
_MATH = {
    **{"absolute": "fabs", "power": "pow", "arcsin": "asin", "arccos": "acos", "arctan": "atan"},
    **{"arctan2": "atan2", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"},
}


def _step(operation: str, x: list[str], real: Real) -> str:
    """One step as an expression; its operands are names, used as often as needed."""
    exp, log1p, fabs = map(real.function, ("exp", "log1p", "fabs"))
    one = real.number(1)
    special = {
        "negative": "-{0}",
        "square": "{0} * {0}",
        "sign": f"{{0}} > 0 ? {one} : {{0}} < 0 ? -{one} : {{0}}",
        "sigmoid": f"{{0}} < 0 ? {exp}({{0}}) / ({one} + {exp}({{0}})) : "
        f"{one} / ({one} + {exp}(-{{0}}))",
        "maximum": "{0} != {0} || {0} > {1} ? {0} : {1}",
        "minimum": "{0} != {0} || {0} < {1} ? {0} : {1}",
        "clip": "{0} < {1} ? {1} : {0} > {2} ? {2} : {0}",
        "logaddexp": f"({{0}} > {{1}} ? {{0}} : {{1}}) + {log1p}({exp}(-{fabs}({{0}} - {{1}})))",
        "isnan": "{0} != {0}",
        "where": "{0} ? {1} : {2}",
        "logical_not": "!{0}",
    }
    if operation in special:
        return special[operation].format(*x)
    if operation in _OPERATORS:
        return f"{x[0]} {_OPERATORS[operation]} {x[1]}"
    return f"{real.function(_MATH.get(operation, operation))}({', '.join(x)})"


def numbers_of(dtype: Any) -> Real:
    """The C type of a dtype."""
    return Real(np.dtype(dtype))
