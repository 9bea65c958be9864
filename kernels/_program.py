"""Straight-line code for one element, of which native code of custom functions is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

#: Steps on numbers, named and defined as NumPy's functions; ``sigmoid(x) = 1 / (1 + exp(-x))``.
ELEMENTWISE_STEPS = (
    *("negative", "absolute", "sign", "square", "sqrt", "floor", "ceil", "rint", "trunc"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sigmoid"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2"),
    *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "logaddexp", "clip"),
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "isnan", "where"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
)
#: Steps over the outputs of a row.
REDUCTION_STEPS = ("sum", "max", "min")


class Step(NamedTuple):
    """One operation on values that are already there.

    ``operation`` is ``"constant"`` (the one of ``values``, or one for each output) or a name of
    ``ELEMENTWISE_STEPS`` or ``REDUCTION_STEPS``. Comparisons and what is logical give conditions,
    which only ``where`` (its first operand) and logical steps take. ``operands`` count the
    program's inputs first, then its steps.

    Parameters
    ----------
    operation : str
        ``"constant"``, or a name of ``ELEMENTWISE_STEPS`` or ``REDUCTION_STEPS``.
    operands : tuple of int
        Numbers of the values that it takes.
    values : tuple of float
        Of a constant: one number, or one for each output.
    """

    operation: str
    operands: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Program:
    """Straight-line code for one element of a block; reductions run over the outputs of its row.

    Parameters
    ----------
    n_inputs : int
        1 (``z``) or 2 (``z``, ``y``).
    steps : tuple of Step
        In an order in which operands come before their use.
    outputs : tuple of int
        The value (of a loss: of a row) and its derivative by ``z``.
    """

    n_inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
