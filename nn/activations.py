"""Activations, with their formulas and derivatives, as functions on arrays.

>>> import numpy as np
>>> from fastmlp import activations
>>> relu = activations.get("relu")
>>> relu(np.array([-1.0, 2.0])), relu.derivative(np.array([-1.0, 2.0]))
(array([0., 2.]), array([0., 1.]))
>>> print(activations.get("silu").formula)
z / (1 + exp(-z))

``hidden`` and ``output`` list the names for the layers of a network; :func:`custom` makes an
activation of a function written in NumPy. Constants are PyTorch's defaults. At a kink the
left derivative is used (for ``hardtanh``: 0 at both kinks); at ±∞ the values are the limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CustomActivation
from numpy.typing import ArrayLike

from . import _naming
from ._typing import Array

__all__ = ["Activation", "custom", "get", "hidden", "output"]


#: Names for hidden layers.
hidden = kernels.ACTIVATIONS
#: Names for the output layer.
output = kernels.OUTPUTS


@dataclass(frozen=True)
class Activation:
    """One activation σ.

    Parameters
    ----------
    name : str
        What ``MLP(activation=…)`` takes.
    formula, derivative_formula : str
        ``σ(z)`` and ``σ'(z)``; ``a`` stands for ``σ(z)``.
    expression : callable
        ``σ(z)`` in NumPy as graphs trace it, with ``np.where`` at kinks, so that the derivative
        there is the kernels'. It is written apart from them, and checks them.
    source : str
        Where it was proposed; empty for what has always been there.
    """

    name: str
    formula: str
    derivative_formula: str
    expression: Callable[[Any], Any] = field(repr=False, compare=False)
    source: str = ""

    def __call__(self, z: ArrayLike) -> Array:
        """``σ(z)``, of any shape, by the live backend; in float32 where ``z`` is, else in float64.

        ``softmax`` goes over the last axis.
        """
        z, rows = _rows(z)
        return kernels.activate(rows, self.name).reshape(z.shape)

    def derivative(self, z: ArrayLike) -> Array:
        """``σ'(z)``, of any shape; ``softmax``, whose derivative is a matrix, has none here.

        Parameters
        ----------
        z : array-like
            Pre-activations.

        Returns
        -------
        array
            Of the shape of ``z``.

        Raises
        ------
        TypeError
            For softmax.
        """
        if self.name == "softmax":
            raise TypeError(
                "the derivative of softmax is the matrix diag(a) - a aᵀ of each row, "
                "not a number for each score"
            )
        z, rows = _rows(z)
        if self.name == "exp":
            return self(z)
        kept = rows if kernels.needs_scores(self.name) else kernels.activate(rows, self.name)
        slope = kernels.activation_backward(np.ones_like(rows), kept, self.name)
        return slope.reshape(z.shape)


def _rows(z: ArrayLike) -> tuple[Array, Array]:
    """The array, and the same numbers as the rows that kernels take."""
    array = np.asarray(z)
    array = array if array.dtype == np.float32 else array.astype(np.float64)
    n = array.shape[-1] if array.ndim else 1
    return array, array.reshape(array.size // max(n, 1), n)


_ROOT = math.sqrt(2 / math.pi)
_LAMBDA, _ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _gelu(z: Any) -> Any:
    from .autodiff._node import apply  # whoever traces has it

    return z * apply("normal_distribution", z)


_ALL = (
    Activation(
        "identity",
        "z",
        "1",
        lambda z: z,
    ),
    Activation(
        "sigmoid",
        "1 / (1 + exp(-z))",
        "a (1 - a)",
        lambda z: 1 / (1 + np.exp(-z)),
    ),
    Activation(
        "tanh",
        "tanh(z)",
        "1 - a²",
        lambda z: np.tanh(z),
    ),
    Activation(
        "hardtanh",
        "min(max(z, -1), 1)",
        "1 where -1 < z < 1, else 0",
        lambda z: np.where(np.abs(z) < 1, z, np.sign(z)),
    ),
    Activation(
        "relu",
        "max(z, 0)",
        "1 where z > 0, else 0",
        lambda z: np.where(z > 0, z, 0.0),
    ),
    Activation(
        "leaky_relu",
        "z where z > 0, else 0.01 z",
        "1 where z > 0, else 0.01",
        lambda z: np.where(z > 0, z, 0.01 * z),
        "A. Maas, A. Hannun, A. Ng, 2013",
    ),
    Activation(
        "elu",
        "z where z > 0, else exp(z) - 1",
        "1 where z > 0, else exp(z)",
        lambda z: np.where(z > 0, z, np.expm1(z)),
        "D. Clevert, T. Unterthiner, S. Hochreiter, 2016",
    ),
    Activation(
        "selu",
        "λ z where z > 0, else λ α (exp(z) - 1); λ = 1.0507…, α = 1.6733…",
        "λ where z > 0, else λ α exp(z)",
        lambda z: _LAMBDA * np.where(z > 0, z, _ALPHA * np.expm1(z)),
        "G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, 2017",
    ),
    Activation(
        "softplus",
        "log(1 + exp(z))",
        "1 / (1 + exp(-z))",
        lambda z: np.log1p(np.exp(z)),
        "C. Dugas, Y. Bengio and others, 2001",
    ),
    Activation(
        "softsign",
        "z / (1 + |z|)",
        "(1 - |a|)²",
        lambda z: z / (1 + np.abs(z)),
        "J. Turian, J. Bergstra, Y. Bengio, 2009",
    ),
    Activation(
        "silu",
        "z / (1 + exp(-z))",
        "s + z s (1 - s) with s = 1 / (1 + exp(-z))",
        lambda z: z * (1 / (1 + np.exp(-z))),
        "D. Hendrycks, K. Gimpel, 2016; also called swish",
    ),
    Activation(
        "gelu",
        "z Φ(z), Φ the distribution function of the normal distribution",
        "Φ(z) + z exp(-z² / 2) / √(2π)",
        _gelu,
        "D. Hendrycks, K. Gimpel, 2016",
    ),
    Activation(
        "gelu_tanh",
        "½ z (1 + tanh(√(2/π) (z + 0.044715 z³)))",
        "½ (1 + t) + ½ z (1 - t²) √(2/π) (1 + 0.134145 z²), t the tanh",
        lambda z: 0.5 * z * (1 + np.tanh(_ROOT * (z + 0.044715 * z**3))),
        "D. Hendrycks, K. Gimpel, 2016",
    ),
    Activation(
        "mish",
        "z tanh(log(1 + exp(z)))",
        "t + z (1 - t²) / (1 + exp(-z)), t the tanh",
        lambda z: z * np.tanh(np.log1p(np.exp(z))),
        "D. Misra, 2020",
    ),
    Activation(
        "softmax",
        "exp(z_j) / Σ_k exp(z_k)",
        "diag(a) - a aᵀ",
        lambda z: np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)),
    ),
    Activation(
        "exp",
        "exp(z)",
        "a",
        lambda z: np.exp(z),
    ),
)
_BY_NAME = {activation.name: activation for activation in _ALL}


def named(name: str) -> Activation:
    """The activation of a name of the kernels."""
    return _BY_NAME[name]


def get(activation: str | Activation | CustomActivation) -> Activation | CustomActivation:
    """Return an activation itself, or the one of that name.

    Parameters
    ----------
    activation : str, Activation or CustomActivation
        A name such as ``"relu"``, or an object.

    Returns
    -------
    Activation or CustomActivation
        With formula and derivative.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything but a name or an activation.

    Examples
    --------
    >>> from fastmlp import activations
    >>> activations.get("leaky_relu").name
    'leaky_relu'
    """
    if isinstance(activation, (Activation, CustomActivation)):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"activation must be a name or an activation, got {activation!r}")
    return _BY_NAME[_naming.find("activation", activation, _BY_NAME)]


def custom(
    f: Callable[[Any], Any],
    derivative: Callable[[Any], Any] | None = None,
    *,
    name: str | None = None,
) -> CustomActivation:
    """An activation for hidden layers from a function written in NumPy.

    Its derivative comes from its computation graph. With Numba installed the two are compiled to
    vector instructions, which every engine runs inside its own loops.

    Parameters
    ----------
    f : callable
        ``z -> σ(z)``, elementwise; :func:`fastmlp.autodiff.supported` lists what it may use.
    derivative : callable, optional
        ``z -> σ'(z)``, in place of the graph's. Then ``f`` may use anything, and is compiled only
        where both can be traced.
    name : str, optional
        Under which networks are saved; by default the function's own.

    Returns
    -------
    CustomActivation
        For ``activation=`` of :class:`fastmlp.MLP` and the estimators. It can be pickled where
        ``f`` can. Loading a network needs an activation of the same name, made before.

    Raises
    ------
    TypeError
        Where ``f`` uses something without a derivative rule, named with what has one.
    ValueError
        Where ``f`` is not elementwise, or the name is that of a built-in activation.

    Notes
    -----
    ``f`` is traced once: numbers and arrays that it takes from outside are those of that moment.
    The derivative at kinks: see :mod:`fastmlp.autodiff`; ``np.where`` decides it as you like.
    Softplus and sigmoid may be written as they are, ``log(1 + exp(z))``: they do not overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, activations
    >>> mish = activations.custom(lambda z: z * np.tanh(np.log1p(np.exp(z))), name="my mish")
    >>> MLP([4, 8, 1], activation=mish)
    MLP(4-8-1, my mish, identity, float32, 49 parameters)
    """
    from ._graphs import custom as _custom  # brings automatic differentiation along

    return _custom.activation(f, derivative, name=name)
