"""The loss around a network, and the way down to it.

Left, a network of four parameters of which two are trained and the others are frozen: the picture
is the whole cost, and every step of batch descent is orthogonal to the contour it starts from.
Right, a network of hundreds of parameters on the plane in which its path is longest: contours of
the same kind, but the path is only its shadow on this plane.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastmlp import MLP
from fastmlp.callbacks import ParameterPath
from fastmlp.optimizers import SGD, Adam

from . import _common
from .multinomial import spirals
from .regression import NOISE, TRUE, curve


def main(arguments: Sequence[str] | None = None) -> tuple[float, float]:
    """Run the example; return the losses of both networks."""
    options = _common.options(__doc__, arguments)
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 3, (80, 1))
    y = curve(x, **TRUE) + rng.normal(0, NOISE, x.shape)
    small = MLP(
        [1, 1, 1],
        "tanh",
        dtype=np.float64,
        init=[(np.array([[0.4]]), np.array([1.3])), (np.array([[1.5]]), np.array([0.5]))],
    )
    small_path = ParameterPath()
    small.fit(
        *(x, y),
        optimizer=SGD(0.5),
        batch_size="full",
        epochs=60,
        trainable=[True, False],
        callbacks=small_path,
    )
    print(f"four parameters, two of them trained: loss {small.loss(x, y):.5f}")

    x2, y2 = spirals(300, 0.15, rng)
    large = MLP([2, 16, 3], "tanh", "softmax", dtype=np.float64, random_state=0)
    large_path = ParameterPath()
    large.fit(x2, y2, optimizer=Adam(0.01), epochs=60, callbacks=large_path)
    print(f"{large.parameters.size} parameters: loss {large.loss(x2, y2):.5f}")
    if _common.can_draw():
        from fastmlp.plot import _style, loss_surface

        left, right = _style.panels(2, (13.0, 5.6))
        # W¹ and b¹ are parameters 0 and 2 of the vector (weights first, then biases).
        loss_surface(small, x, y, directions=(0, 2), path=small_path.points, ax=left)
        loss_surface(
            large, x2, y2, directions="path", path=large_path.points, ax=right, resolution=51
        )
        _style.dress(left, "two of four parameters", "weight w", "bias b", grid=False)
        _style.dress(right, f"{large.parameters.size} parameters, on one plane", grid=False)
        right.set(xlabel="first direction of the path", ylabel="second direction of the path")
        _common.save(left.figure, options.out, "loss_surface")
    return small.loss(x, y), large.loss(x2, y2)


if __name__ == "__main__":
    main()
