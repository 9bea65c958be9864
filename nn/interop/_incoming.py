"""What takes networks over from other libraries, imported when it is called."""

from __future__ import annotations

from typing import Any

from ._onnx.reader import from_onnx

__all__ = ["from_keras", "from_onnx", "from_torch"]


def from_torch(module: Any, dtype: Any = None) -> Any:
    """A network from a module of PyTorch: see :func:`fastmlp.interop.torch.from_module`.

    Parameters
    ----------
    module : torch.nn.Module
        Linear layers with activations between them.
    dtype : float32 or float64, optional
        By default the module's own.

    Returns
    -------
    MLP
        With copies of the parameters.

    Examples
    --------
    >>> import fastmlp
    >>> net = fastmlp.MLP([2, 3, 1], random_state=0)
    >>> fastmlp.from_torch(net.to_torch()).architecture.sizes
    (2, 3, 1)
    """
    from . import torch

    return torch.from_module(module, dtype)


def from_keras(model: Any, dtype: Any = None) -> Any:
    """A network from a Keras model: see :func:`fastmlp.interop.keras.from_model`.

    Parameters
    ----------
    model : keras.Model
        Dense layers, one after the other.
    dtype : float32 or float64, optional
        By default the model's own.

    Returns
    -------
    MLP
        With copies of the parameters.

    Examples
    --------
    >>> import fastmlp
    >>> net = fastmlp.MLP([2, 3, 1], random_state=0)
    >>> fastmlp.from_keras(net.to_keras()).architecture.sizes
    (2, 3, 1)
    """
    from . import keras

    return keras.from_model(model, dtype)
