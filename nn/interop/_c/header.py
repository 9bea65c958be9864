"""Networks as C99 headers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import _files
from ..._inputs import arrays
from ..._typing import Array
from . import floats, integers, predictions, training
from .language import Real, is_identifier

TYPES = ("float32", "float64", "int8")


@dataclass(frozen=True)
class Header:
    """A network as C.

    Attributes
    ----------
    text : str
        The header.
    name : str
        With which its names begin.
    loss : fastmlp.interop._c.integers.Loss or None
        What int8 costs on the calibration rows; print it.
    """

    text: str
    name: str
    loss: integers.Loss | None = None

    def __str__(self) -> str:
        return self.text


def network(
    net: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    type: str | None = None,
    name: str | None = None,
    calibration: Any = None,
    self_test: Any = None,
    training: bool | str = False,
) -> Header:
    """See :meth:`fastmlp.MLP.to_c`."""
    kind = net.dtype.name if type is None else type
    if kind not in TYPES:
        raise ValueError(f"type must be one of {TYPES}, got {type!r}")
    name = _name(name, path)
    rule = _rule(training, kind)
    real = Real(np.float64 if kind == "float64" else np.float32)
    loss, quantised = None, None
    if kind == "int8":
        x, y = _rows(net, calibration)
        quantised = integers.Quantised(net, x)
        loss = integers.measured(net, quantised, x, y)
        code = integers.predictor(name, quantised)
    else:
        if calibration is not None:
            raise ValueError(f"calibration rows are for type 'int8', got type {kind!r}")
        code = floats.predictor(name, net, real)
    if rule is not None:
        code += "\n" + _training(name, net, real, rule)
    if self_test is not None:
        code += "\n" + _self_test(name, net, real, self_test, quantised)
    header = Header(_frame(name, net, kind, code, loss, rule), name, loss)
    if path is not None:
        _files.write(path, header.text.encode())
    return header


def _training(name: str, net: Any, real: Real, rule: str) -> str:
    # Names of its own: a prediction is a different function there.
    return training.code(f"{name}_training", net, real, rule)


def _name(name: str | None, path: Any) -> str:
    if name is None:
        stem = "net" if path is None else Path(path).stem
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem)
        return f"net_{name}" if not is_identifier(name) else name
    if not is_identifier(name):
        raise ValueError(f"name must begin names of C (letters, digits, _), got {name!r}")
    return name


def _rule(wanted: bool | str, kind: str) -> str | None:
    if wanted is False:
        return None
    rule = "sgd" if wanted is True else wanted
    if rule not in training.RULES:
        raise ValueError(f"training must be one of {training.RULES}, True or False, got {wanted!r}")
    if kind == "int8":
        raise ValueError("training needs type 'float32' or 'float64', got 'int8'")
    return rule


def _rows(net: Any, calibration: Any) -> tuple[Array, Any]:
    if calibration is None:
        raise ValueError("type 'int8' needs calibration=X, or (X, y): rows as they will come")
    x, y = calibration if isinstance(calibration, tuple) else (calibration, None)
    rows: Array = arrays.rows(x, net.architecture.sizes[0], net.dtype, "calibration")
    if len(rows) == 0 or not np.isfinite(rows).all():
        raise ValueError("calibration must have at least one row, and finite numbers")
    return rows, y


def _self_test(name: str, net: Any, real: Real, rows: Any, quantised: Any) -> str:
    """Rows and what they give, with a function that compares."""
    x = arrays.rows(rows, net.architecture.sizes[0], net.dtype, "self_test")
    if len(x) == 0:
        raise ValueError("self_test must have at least one row")
    y = net.predict(x) if quantised is None else quantised.predict(x)
    text = _SELF_TEST.replace("FABS", real.function("fabs")).replace("REAL", real.name)
    text = text.replace("NAME_N", f"{name.upper()}_N").replace("NAME", name)
    stored = real.array(f"{name}_test_x", x) + real.array(f"{name}_test_y", y)
    return stored + text.replace("ROWS", str(len(x)))


_SELF_TEST = """\
/* Largest difference from the rows above, as a share of their largest value. */
static inline REAL NAME_self_test(void)
{
    REAL y[NAME_N_OUT], worst = 0, top = 0;
    int i, j;
    for (i = 0; i < ROWS; i++) {
        NAME_predict(NAME_test_x + i * NAME_N_IN, y);
        for (j = 0; j < NAME_N_OUT; j++) {
            const REAL expected = NAME_test_y[i * NAME_N_OUT + j];
            const REAL apart = FABS(y[j] - expected);
            worst = apart > worst || apart != apart ? apart : worst;
            top = FABS(expected) > top ? FABS(expected) : top;
        }
    }
    return top > 0 ? worst / top : worst;
}
"""


_MACROS = """\
 * GCC and clang give the bits of MLP.predict. Where the processor has no instruction for a fused
 * product and sum, -DFASTMLP_UNFUSED rounds twice in the place of computing it: faster, other bits.
 * -DFASTMLP_PLAIN_C keeps to loops and math.h, as for other compilers.
"""


def _frame(
    name: str, net: Any, kind: str, code: str, loss: integers.Loss | None, rule: str | None
) -> str:
    upper, sizes = name.upper(), net.architecture.sizes
    first, second = predictions.scratch_sizes(sizes)
    shown = repr(net).replace("*/", "* /")
    about = f"/* {shown}, {kind}. Written by fastmlp; C99, no memory is allocated.\n"
    if loss is not None:
        about += f" * {loss}.\n"
    t = "double" if kind == "float64" else "float"
    about += (
        f" *\n * {name}_predict(x, y) reads {sizes[0]} and writes {sizes[-1]} numbers; any number "
        f"of threads may call it.\n * {name}_predict_with(x, y, scratch) takes {upper}_SCRATCH "
        f"{t}s from the caller instead of the stack.\n"
    )
    if kind != "int8":
        about += _MACROS
    if rule is not None:
        about += (
            f" * {name}_training_init(state), {name}_training_train(state, x, y, n, learning_rate) "
            f"and\n * {name}_training_now(state, x, y) learn from n rows by {rule} and predict.\n"
        )
    return (
        f"{about} */\n#ifndef FASTMLP_{upper}_H\n#define FASTMLP_{upper}_H\n\n#include <float.h>\n"
        f"#include <math.h>\n#include <stdint.h>\n\n#define {upper}_N_IN {sizes[0]}\n"
        f"#define {upper}_N_OUT {sizes[-1]}\n"
        f"#define {upper}_SCRATCH {max(first + second, 1)}\n"
        + (
            f"#define {upper}_TRAINING_N_IN {sizes[0]}\n"
            f"#define {upper}_TRAINING_N_OUT {sizes[-1]}\n"
            if rule
            else ""
        )
        + f"\n{code}\n#endif\n"
    )
