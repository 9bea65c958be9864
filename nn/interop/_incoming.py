"""What takes networks over from other libraries, imported when it is called."""

from __future__ import annotations

from typing import Any

from ._onnx.reader import from_onnx

__all__ = ["from_keras", "from_onnx", "from_torch"]


def from_torch(module: Any, dtype: Any = None) -> Any:
    """A network from a module of PyTorch: see :func:`fastmlp.interop.torch.from_module`."""
    from . import torch

    return torch.from_module(module, dtype)


def from_keras(model: Any, dtype: Any = None) -> Any:
    """A network from a Keras model: see :func:`fastmlp.interop.keras.from_model`."""
    from . import keras

    return keras.from_model(model, dtype)
