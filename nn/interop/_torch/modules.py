"""Modules of PyTorch made of networks."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from . import nn, torch


def classes() -> Any:
    """Our classes derived from torch's: a module that can be imported where torch is."""
    return import_module(".classes", __package__)


#: How a module of each name is made; ``None`` where none is needed.
_MODULES: dict[str, Any] = {
    "identity": None,
    "sigmoid": lambda: nn.Sigmoid(),
    "tanh": lambda: nn.Tanh(),
    "hardtanh": lambda: nn.Hardtanh(),
    "relu": lambda: nn.ReLU(),
    "leaky_relu": lambda: nn.LeakyReLU(),
    "elu": lambda: nn.ELU(),
    "selu": lambda: nn.SELU(),
    # Ours goes on with its logarithm where torch's, beyond 20, is the straight line.
    "softplus": lambda: nn.Softplus(threshold=50),
    "silu": lambda: nn.SiLU(),
    "gelu": lambda: nn.GELU(),
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "mish": lambda: nn.Mish(),
    "softsign": lambda: nn.Softsign(),
    "exp": lambda: classes().Exp(),
    "softmax": lambda: nn.Softmax(dim=-1),
}


def to_module(net: Any) -> Any:
    """See :meth:`fastmlp.MLP.to_torch`.

    Parameters
    ----------
    net : MLP
        What is copied.

    Returns
    -------
    torch.nn.Sequential
        As of ``MLP.to_torch``.
    """
    modules: list[Any] = []
    names = (*net.architecture.activations, net.architecture.output)
    for w, b, activation in zip(net.weights, net.biases, names, strict=True):
        linear = nn.Linear(
            *w.shape, dtype=torch.float64 if w.dtype == np.float64 else torch.float32
        )
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(w.T)))
            linear.bias.copy_(torch.from_numpy(b.copy()))
        modules.append(linear)
        known = isinstance(activation, str) and activation in _MODULES
        make = _MODULES[activation] if known else lambda a=activation: classes().Expression(a)
        if make is not None:
            modules.append(make())
    return nn.Sequential(*modules)
