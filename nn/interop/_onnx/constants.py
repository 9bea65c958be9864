"""Constants of an ONNX graph: unpacked when they are needed, and never more than the file holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._typing import Array
from .._chain import MOST_PARAMETERS


class Constants:
    """Initializers of a graph, and what its ``Constant`` nodes hold, by name."""

    def __init__(self, graph: Any, onnx: Any) -> None:
        self.onnx = onnx
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._arrays: dict[str, Array] = {}
        for node in graph.node:
            if node.op_type != "Constant" or len(node.output) != 1:
                continue
            for attribute in node.attribute:
                if attribute.name == "value":
                    self.tensors[node.output[0]] = attribute.t
                elif attribute.name == "value_float":
                    self._arrays[node.output[0]] = np.array(attribute.f, np.float32)
                elif attribute.name == "value_floats":
                    self._arrays[node.output[0]] = np.array(attribute.floats, np.float32)

    def array(self, name: str, most: int | None = None) -> Array | None:
        """The constant of that name; ``None`` where there is none, or it has more values."""
        if name in self._arrays:
            return self._arrays[name]
        tensor = self.tensors.get(name)
        if tensor is None:
            return None
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError(f"{name!r} lies outside of the file, which is not read")
        if any(length < 0 for length in tensor.dims):
            raise ValueError(f"the tensor {name!r} has the negative shape {list(tensor.dims)[:8]}")
        n = math.prod(tensor.dims)
        if most is not None and n > most:
            return None
        if n > MOST_PARAMETERS:
            raise ValueError(f"the tensor {name!r} announces {n} values, above {MOST_PARAMETERS}")
        try:
            array: Array = self.onnx.numpy_helper.to_array(tensor)
        except Exception as error:  # of many classes, from protobuf and NumPy
            raise ValueError(f"the tensor {name!r} is damaged: {error}") from error
        if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
            array = array.astype(np.float32)
        self._arrays[name] = array
        return array

    def weights(self, name: str, where: str) -> Array:
        """A matrix of floats."""
        array = self.array(name)
        if array is None or array.ndim != 2 or array.dtype.kind != "f":
            raise ValueError(f"the weights of {where} must be a constant matrix of floats")
        return array

    def bias(self, name: str, n_out: int, where: str) -> Array:
        """One float, or one for each output."""
        array = self.array(name)
        if array is None or array.dtype.kind != "f" or array.size not in (1, n_out):
            raise ValueError(f"the bias of {where} must be {n_out} constant floats")
        return np.broadcast_to(array.ravel(), (n_out,)).copy()
