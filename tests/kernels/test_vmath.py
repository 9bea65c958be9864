"""exp, log, tanh, sigmoid and their kin of the compiled kernels: accuracy, special values.

float32 is held against NumPy's float64 functions, float64 against its long double ones; the normal
distribution's tail, of which NumPy has none, in float64 by tests/native/functions.c. Set
``FASTMLP_TEST_EVERY_FLOAT=1`` to run through all 2³² float32 numbers (minutes) instead of a sample.
"""

import math
import os

import numpy as np
import pytest

core = pytest.importorskip(
    "fastmlp.kernels.compiled._core", reason="extension not built", exc_type=ImportError
)

EVERY_FLOAT = os.environ.get("FASTMLP_TEST_EVERY_FLOAT", "") not in ("", "0")
ULPS = {np.float32: 3.0, np.float64: 4.0}
ULPS_OF = {"sqrt": 1.0}
WIDER = {np.float32: np.float64, np.float64: np.longdouble}


def sigmoid(x):
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


erfc = np.frompyfunc(math.erfc, 1, 1)


def normal_tail(x):
    return 0.5 * erfc(x / math.sqrt(2)).astype(np.float64)


FUNCTIONS = {
    "exp": (np.exp, -np.inf, np.inf),
    "log": (np.log, -np.inf, np.inf),
    "tanh": (np.tanh, -np.inf, np.inf),
    "sigmoid": (sigmoid, -np.inf, np.inf),
    "log1p": (np.log1p, 0, 1),
    "expm1": (np.expm1, -np.inf, 0),
    "softplus": (lambda x: np.logaddexp(x.dtype.type(0), x), -np.inf, np.inf),
    "normal_tail": (normal_tail, 0, np.inf),
    "sqrt": (np.sqrt, -np.inf, np.inf),
}
CASES = [
    (name, dtype)
    for name in FUNCTIONS
    for dtype in ULPS
    if (name, dtype) != ("normal_tail", np.float64)
]


def float32_sample():
    """Chunks of float32 numbers: every bit pattern, or every 4099th (a prime)."""
    step = 1 if EVERY_FLOAT else 4099
    for start in range(0, 2**32, 2**26):
        bits = np.arange(start + (-start) % step, min(start + 2**26, 2**32), step, dtype=np.uint64)
        yield bits.astype(np.uint32).view(np.float32)


def float64_sample():
    """Uniform and log-uniform numbers of both signs, subnormals, and the edges of exp."""
    rng = np.random.default_rng(0)
    sign = rng.choice([-1.0, 1.0], 100_000)
    yield rng.uniform(-750, 720, 100_000)
    yield rng.uniform(-20, 20, 100_000)
    yield rng.uniform(0, 2, 100_000)
    yield sign * 10.0 ** rng.uniform(-323, 308, 100_000)
    yield np.array([-745.2, -745.13, -708.4, 709.78, 709.79, 0.625, -0.625, 19.1, 1.0])


def errors(name, x, dtype):
    """Distance of each result from the true value in units in the last place of the result."""
    function, low, high = FUNCTIONS[name]
    x = x[~((x < low) | (x > high))]
    got = core._vector_function(name, x)
    with np.errstate(all="ignore"):
        want = function(x.astype(WIDER[dtype]))
        assert np.array_equal(np.isnan(got), np.isnan(want)), f"{name}: NaN in other places"
        rounded = want.astype(dtype)
        exact = (got == rounded) | np.isnan(want)  # infinities among them
        ulp = np.spacing(np.abs(rounded)).astype(WIDER[dtype])
        return x, np.where(exact, 0, np.abs(got.astype(WIDER[dtype]) - want) / ulp)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_accuracy(name, dtype):
    worst, where, compared = 0.0, None, 0
    for x in float32_sample() if dtype is np.float32 else float64_sample():
        x, error = errors(name, x, dtype)
        compared += error.size
        if error.size and error.max() > worst:
            worst, where = float(error.max()), x[error.argmax()]
    allowed = ULPS_OF.get(name, ULPS[dtype])
    assert worst <= allowed, f"{name} is off by {worst:.2f} ULP at {where!r}"
    assert compared, "nothing was compared"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([-inf, -0.0, 0.0, inf, nan], dtype)
    expected = {
        "exp": [0, 1, 1, inf, nan],
        "log": [nan, -inf, -inf, inf, nan],
        "tanh": [-1, -0.0, 0.0, 1, nan],
        "sigmoid": [0, 0.5, 0.5, 1, nan],
        "softplus": [0, np.log(2), np.log(2), inf, nan],
        "sqrt": [nan, -0.0, 0.0, inf, nan],
    }
    for name, values in expected.items():
        result = core._vector_function(name, x)
        np.testing.assert_array_equal(result, np.array(values, dtype), err_msg=name)
        assert np.signbit(result[1]) == np.signbit(np.array(values, dtype)[1]), name
    expected = {"expm1": [-1, 0, 0], "log1p": [0, 0], "normal_tail": [0.5, 0.5, 0]}
    arguments = {"expm1": x[:3], "log1p": x[1:3], "normal_tail": x[1:4]}
    for name, values in expected.items():
        result = core._vector_function(name, arguments[name])
        np.testing.assert_array_equal(result, np.array(values, dtype), err_msg=name)
        assert np.isnan(core._vector_function(name, x[4:])), name
