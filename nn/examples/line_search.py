"""Constant steps against line searches: a quadratic that can be seen, and a network.

On the narrow valley of ``f(a, b) = ½ (a² + 12 b²)`` a constant step has to be small, or it jumps
from slope to slope; Armijo's and Wolfe's conditions find steps of their own. On the network the
same searches, and L-BFGS, which also chooses the direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fastmlp import MLP, History
from fastmlp.line_search import armijo, wolfe
from fastmlp.optimizers import LBFGS, GradientDescent

from . import _common
from .multinomial import spirals

CURVATURE = np.array([1.0, 12.0])
START = np.array([-9.0, 1.6])


def descend(step: Callable[[Callable[[float], tuple[float, float]], Any], float]) -> Any:
    """Points of steepest descent on the quadratic; ``step`` decides how far to go."""
    points = [START]
    while len(points) < 60 and np.linalg.norm(CURVATURE * points[-1]) > 1e-3:
        point, gradient = points[-1], CURVATURE * points[-1]

        def phi(size: float, point: Any = point, gradient: Any = gradient) -> tuple[float, float]:
            new = point - size * gradient
            return 0.5 * float(CURVATURE @ new**2), -float((CURVATURE * new) @ gradient)

        points.append(point - step(phi, gradient) * gradient)
    return np.array(points)


SEARCHES: dict[str, Callable[..., float]] = {
    "constant step 0.15": lambda phi, gradient: 0.15,
    "Armijo": lambda phi, gradient: armijo(phi, *phi(0.0), step=1.0, c1=0.1).step,
    "strong Wolfe": lambda phi, gradient: wolfe(phi, *phi(0.0), step=1.0, c2=0.1).step,
}
METHODS = {
    "gradient descent, constant 0.5": GradientDescent(0.5),
    "gradient descent, Armijo": GradientDescent(1.0, line_search="armijo"),
    "gradient descent, Wolfe": GradientDescent(1.0, line_search="wolfe"),
    "L-BFGS": LBFGS(),
}


def main(arguments: Sequence[str] | None = None) -> dict[str, History]:
    """Run the example; return the histories of the network."""
    options = _common.options(__doc__, arguments)
    print("f(a, b) = ½ (a² + 12 b²):")
    paths = {name: descend(step) for name, step in SEARCHES.items()}
    for name, points in paths.items():
        value = 0.5 * CURVATURE @ points[-1] ** 2
        print(f"  {name:<20} {len(points) - 1:3} steps to {value:.2g}")

    x, y = spirals(300, 0.15, np.random.default_rng(0))
    print("a network of 2-16-3 neurons:")
    histories: dict[str, History] = {}
    for name, optimizer in METHODS.items():
        network = MLP([2, 16, 3], "tanh", "softmax", dtype=np.float64, random_state=0)
        histories[name] = network.fit(x, y, optimizer=optimizer, epochs=200, l2=1e-4)
        history = histories[name]
        print(f"  {name:<31} loss {history.loss[-1]:.4f} after {history.epochs} iterations")
    if _common.can_draw():
        _common.save(draw(paths, histories), options.out, "line_search")
    return histories


def draw(paths: dict[str, Any], histories: dict[str, History]) -> Any:
    """The three paths on the quadratic, and the losses of the network."""
    from fastmlp.plot import _style, learning_curves

    left, right = _style.panels(2, (13.0, 4.8))
    a, b = np.meshgrid(np.linspace(-10, 3, 200), np.linspace(-2.9, 2.9, 120))
    levels = np.geomspace(0.2, 80, 12)
    left.contour(a, b, 0.5 * (a**2 + 12 * b**2), levels, colors="#B8C4CE", linewidths=1)
    for (name, points), colour in zip(paths.items(), _style.COLOURS[:3], strict=True):
        left.plot(
            *points.T, "o-", color=colour, lw=1.8, ms=4, label=f"{name}, {len(points) - 1} steps"
        )
    left.plot(*START, "o", ms=9, color="white", mec=_style.INK, mew=1.4)
    left.plot(0, 0, "*", ms=13, color=_style.INK, mec="white")
    _style.dress(left, "a quadratic", "a", "b", grid=False)
    left.set_aspect("equal")
    left.legend(
        frameon=False,
        labelcolor=_style.INK,
        loc="lower center",
        ncols=3,
        bbox_to_anchor=(0.5, -0.42),
        columnspacing=1.0,
    )
    learning_curves(histories, ax=right)
    right.set(xlabel="iteration", ylabel="loss")
    _style.legend(right, loc="lower right", bbox_to_anchor=(1.0, 0.08))
    right.set_title("a network", loc="left", color=_style.INK, fontsize=11, fontweight="bold")
    return left.figure


if __name__ == "__main__":
    main()
