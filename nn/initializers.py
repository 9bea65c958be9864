"""Initialisers: how the weights of a layer are drawn before training.

``MLP([784, 100, 10], init="he_normal")``, or an object, or a list with one for each layer, in which
arrays stand for themselves: ``init=["orthogonal", W2]``, ``init=[(W1, b1), (W2, b2)]``.

=======================================  =====================================================
class                                    weights of a layer with ``n_in`` inputs, ``n_out`` outputs
=======================================  =====================================================
``GlorotUniform``, ``GlorotNormal``      variance ``2 / (n_in + n_out)``
``HeUniform``, ``HeNormal``              variance ``2 / n_in``
``LecunUniform``, ``LecunNormal``        variance ``1 / n_in``
``Orthogonal``                           orthonormal rows or columns, times ``gain``
``RandomNormal``, ``RandomUniform``      normal or uniform, as their constants say
``Zeros``                                0
=======================================  =====================================================

Uniform numbers lie in ``±√(3 variance)``. Biases start at zero, unless arrays are given.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from fastmlp.kernels import Architecture, CustomActivation, activation_spec

from . import _naming
from ._typing import Array

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "Zeros",
    "get",
]


class Initializer(ABC):
    """Base of initialisers; one gives :meth:`draw`, and its name in snake_case is a string."""

    #: Every initialiser by its name.
    registry: ClassVar[dict[str, type[Initializer]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.__name__.startswith("_"):
            Initializer.registry[re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()] = cls

    # Those without constants are plain classes: making a dataclass takes a third of a millisecond.
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        constants = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({constants})"

    @abstractmethod
    def draw(self, generator: np.random.Generator, n_in: int, n_out: int) -> Array:
        """Weights, float64 ``(n_in, n_out)``: equal seeds give equal networks in both dtypes.

        Parameters
        ----------
        generator : numpy.random.Generator
            Makes the draws.
        n_in, n_out : int
            Inputs and neurons of the layer.

        Returns
        -------
        (n_in, n_out) float64 array
            The weights.
        """


class _Scaled(Initializer):
    @abstractmethod
    def variance(self, n_in: int, n_out: int) -> float:
        """Variance of the weights."""


class _Uniform(_Scaled):
    def draw(self, generator: np.random.Generator, n_in: int, n_out: int) -> Array:
        bound = math.sqrt(3 * self.variance(n_in, n_out))
        return generator.uniform(-bound, bound, (n_in, n_out))


class _Normal(_Scaled):
    def draw(self, generator: np.random.Generator, n_in: int, n_out: int) -> Array:
        return generator.normal(0, math.sqrt(self.variance(n_in, n_out)), (n_in, n_out))


class _Glorot(_Scaled):
    def variance(self, n_in: int, n_out: int) -> float:
        return 2 / (n_in + n_out)


class _He(_Scaled):
    def variance(self, n_in: int, n_out: int) -> float:
        return 2 / n_in


class _Lecun(_Scaled):
    def variance(self, n_in: int, n_out: int) -> float:
        return 1 / n_in


class GlorotUniform(_Glorot, _Uniform):
    """Uniform in ``±√(6 / (n_in + n_out))``, for sigmoid, tanh and linear layers.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    """


class GlorotNormal(_Glorot, _Normal):
    """Normal with variance ``2 / (n_in + n_out)``; source as for :class:`GlorotUniform`."""


class HeUniform(_He, _Uniform):
    """Uniform in ``±√(6 / n_in)``, for ReLU and its relatives.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.
    """


class HeNormal(_He, _Normal):
    """Normal with variance ``2 / n_in``; source as for :class:`HeUniform`."""


class LecunUniform(_Lecun, _Uniform):
    """Uniform in ``±√(3 / n_in)``.

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998; for SELU: G. Klambauer
    et al., "Self-normalizing neural networks", 2017.
    """


class LecunNormal(_Lecun, _Normal):
    """Normal with variance ``1 / n_in``; sources as for :class:`LecunUniform`."""


@dataclass(frozen=True, eq=False, repr=False)
class Orthogonal(Initializer):
    """Orthonormal columns (rows, where there are fewer inputs than outputs), times ``gain``.

    Parameters
    ----------
    gain : float, default 1
        Factor of all weights.

    References
    ----------
    A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014.
    """

    gain: float = 1.0

    def draw(self, generator: np.random.Generator, n_in: int, n_out: int) -> Array:
        tall = generator.standard_normal((max(n_in, n_out), min(n_in, n_out)))
        q, r = np.linalg.qr(tall)
        # Without these signs the decomposition prefers some directions over others.
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        weights: Array = self.gain * (q if n_in >= n_out else q.T)
        return weights


@dataclass(frozen=True, eq=False, repr=False)
class RandomNormal(Initializer):
    """Normal numbers, whatever the sizes of the layer.

    Parameters
    ----------
    mean : float, default 0
        Mean of the weights.
    stddev : float, default 0.05
        Their standard deviation.
    """

    mean: float = 0.0
    stddev: float = 0.05

    def __post_init__(self) -> None:
        if not (self.stddev >= 0 and math.isfinite(self.stddev)):
            raise ValueError(f"stddev must be a finite number, not negative, got {self.stddev!r}")

    def draw(self, generator: np.random.Generator, n_in: int, n_out: int) -> Array:
        return generator.normal(self.mean, self.stddev, (n_in, n_out))


@dataclass(frozen=True, eq=False, repr=False)
class RandomUniform(Initializer):
    """Uniform numbers, whatever the sizes of the layer.

    Parameters
    ----------
    minval, maxval : float, default -0.05, 0.05
        The bounds.
    """

    minval: float = -0.05
    maxval: float = 0.05

    def __post_init__(self) -> None:
        if not self.minval <= self.maxval:
            raise ValueError(f"minval must not exceed maxval, got {self.minval} > {self.maxval}")

    def draw(self, generator: np.random.Generator, n_in: int, n_out: int) -> Array:
        return generator.uniform(self.minval, self.maxval, (n_in, n_out))


class Zeros(Initializer):
    """All weights 0: for linear models. Hidden neurons that start equal stay equal."""

    def draw(self, generator: np.random.Generator, n_in: int, n_out: int) -> Array:
        return np.zeros((n_in, n_out))


def get(init: str | Initializer) -> Initializer:
    """Return an initialiser itself, or the one of that name with its default constants.

    Parameters
    ----------
    init : str or Initializer
        A name such as ``"he_normal"``, or an object.

    Returns
    -------
    Initializer
        With its constants.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything else.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import initializers
    >>> initializers.get("he_normal")
    HeNormal()
    """
    if isinstance(init, Initializer):
        return init
    if not isinstance(init, str):
        raise TypeError(
            "init must be a name, an object such as fastmlp.initializers.HeNormal(), or a list "
            f"with one for each layer, got {init!r}"
        )
    known = Initializer.registry
    return known[_naming.find("init", init, known, "fastmlp.initializers")]()


def default(activation: str | CustomActivation) -> Initializer:
    """The one that keeps the variance of signals through a layer with this activation."""
    init = activation_spec(activation).init
    if init == "he":
        return HeUniform()
    return LecunUniform() if init == "lecun" else GlorotUniform()


def of_layers(init: Any, architecture: Architecture) -> list[Initializer | tuple[Array, Array]]:
    """What each layer starts with: an initialiser, or given weights and bias, checked."""
    shapes = architecture.layer_shapes
    if init is None:
        names = (*architecture.activations, architecture.output)
        return [default(name) for name in names]
    if isinstance(init, np.ndarray) or not isinstance(init, Sequence) or isinstance(init, str):
        init = [init] * len(shapes)
    if len(init) != len(shapes):
        raise ValueError(
            f"init must be one for all layers or a list of {len(shapes)}, got {len(init)}"
        )
    return [
        _of_layer(i, value, *shape)
        for i, (value, shape) in enumerate(zip(init, shapes, strict=True))
    ]


def _of_layer(layer: int, value: Any, n_in: int, n_out: int) -> Initializer | tuple[Array, Array]:
    if isinstance(value, (str, Initializer)):
        return get(value)
    weights, bias = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
    arrays = []
    for name, array, shape in (
        ("weights", weights, (n_in, n_out)),
        ("bias", np.zeros(n_out) if bias is None else bias, (n_out,)),
    ):
        given = np.asarray(array)
        if given.dtype.kind not in "fiub":
            raise TypeError(
                f"init[{layer}] must be a name, an object of fastmlp.initializers, weights or "
                f"(weights, bias), got {value!r}"
            )
        if given.shape != shape:
            raise ValueError(f"{name} of init[{layer}] must have shape {shape}, got {given.shape}")
        arrays.append(given)
    return arrays[0], arrays[1]
