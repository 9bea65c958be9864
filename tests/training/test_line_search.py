"""Line searches: the conditions that they promise, on functions with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastmlp.line_search import armijo, wolfe

FUNCTIONS = {
    "quadratic": lambda a: ((a - 3) ** 2, 2 * (a - 3)),
    "steep": lambda a: ((a - 1e-4) ** 2 * 1e6, 2e6 * (a - 1e-4)),
    "flat": lambda a: (-a / (a * a + 2), (a * a - 2) / (a * a + 2) ** 2),  # Moré–Thuente, beta=2
    "wavy": lambda a: (math.sin(5 * a) / 4 - a + a * a / 8, 5 * math.cos(5 * a) / 4 - 1 + a / 4),
    "exponential": lambda a: (math.exp(min(a, 700)) - 2 * a, math.exp(min(a, 700)) - 2),
}


@pytest.mark.parametrize("step", [1e-4, 0.1, 1.0, 10.0, 1e4])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_wolfe_fulfils_its_conditions(name, step):
    phi = FUNCTIONS[name]
    value, slope = phi(0.0)
    if slope >= 0:
        phi_up = phi
        phi = lambda a: (phi_up(-a)[0], -phi_up(-a)[1])  # noqa: E731
        slope = -slope
    for c2 in (0.9, 0.1):
        found = wolfe(phi, value, slope, step=step, c1=1e-4, c2=c2)
        assert found.step > 0
        assert (found.value, found.slope) == phi(found.step)
        assert found.value <= value + 1e-4 * found.step * slope
        assert abs(found.slope) <= -c2 * slope


@pytest.mark.parametrize("name", [name for name, phi in FUNCTIONS.items() if phi(0.0)[1] < 0])
def test_armijo_takes_the_first_step_that_is_enough(name):
    phi = FUNCTIONS[name]
    value, slope = phi(0.0)
    found = armijo(phi, value, slope, step=8.0, c1=0.1, shrink=0.5)
    tried = [8.0 * 0.5**k for k in range(found.evaluations)]
    enough = [phi(a)[0] <= value + 0.1 * a * slope for a in tried]
    assert enough == [False] * (len(tried) - 1) + [True]
    assert found.step == tried[-1]


def test_a_step_beyond_the_domain_is_too_long():
    def phi(a):
        return (-math.log(1 - a) - 3 * a, 1 / (1 - a) - 3) if a < 1 else (math.nan, math.nan)

    for search in (armijo, wolfe):
        found = search(phi, *phi(0.0), step=4.0)
        assert 0 < found.step < 1
        assert found.value < 0


def test_no_step_where_the_function_only_rises():
    for search in (armijo, wolfe):
        found = search(lambda a: (1 + a, 1.0), 1.0, -1.0)
        assert found.step == 0
        assert found.value == 1


def test_near_a_minimum_slopes_decide_what_values_cannot():
    # 1 + a² in float32: the values cannot be told apart, the slopes can.
    def phi(step):
        a = 1e-5 - step
        return float(np.float32(1) + np.float32(a * a)), -2 * a

    value, slope = phi(0.0)
    assert phi(1e-5)[0] == value
    assert wolfe(phi, value, slope, step=1e-5).step == 0
    found = wolfe(phi, value, slope, step=1e-5, tolerance=1e-6)
    assert found.step == 1e-5


@pytest.mark.parametrize("search", [armijo, wolfe])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slope": 0.0}, "must fall"),
        ({"slope": math.nan}, "must fall"),
        ({"step": 0.0}, "step"),
        ({"c1": 1.5}, "c1"),
    ],
)
def test_wrong_arguments(search, arguments, message):
    with pytest.raises(ValueError, match=message):
        search(**{"phi": lambda a: (a, 1.0), "value": 0.0, "slope": -1.0, **arguments})


def test_newton_with_wolfe_finds_the_minimum_of_rosenbrock():
    optimize = pytest.importorskip("scipy.optimize")
    x = np.array([-1.2, 1.0])
    for _ in range(30):
        gradient = optimize.rosen_der(x)
        if np.linalg.norm(gradient) < 1e-8:
            break
        direction = -np.linalg.solve(optimize.rosen_hess(x), gradient)
        slope = gradient @ direction
        if slope >= 0:
            direction, slope = -gradient, -(gradient @ gradient)

        def phi(a, x=x, d=direction):
            return optimize.rosen(x + a * d), float(optimize.rosen_der(x + a * d) @ d)

        x = x + wolfe(phi, optimize.rosen(x), slope, c2=0.5).step * direction
    np.testing.assert_allclose(x, [1, 1], atol=1e-7)
