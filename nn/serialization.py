"""Saving and loading networks as safetensors files.

A file holds the tensors ``weights.0``, ``biases.0``, ``weights.1``, … and in its metadata the
format's name and version and the architecture as JSON: nothing in it can run code. A custom
activation stands there by its name, and must have been made again before the file is read.
"""

from __future__ import annotations

import json
import operator
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp.kernels import ACTIVATIONS, Architecture, CustomActivation

if TYPE_CHECKING:
    from .mlp import MLP

FORMAT = "fastmlp.MLP"
FORMAT_VERSION = 1
DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}


def save(network: MLP, path: str | os.PathLike[str]) -> None:
    """Write ``network`` to ``path``, all of it or nothing."""
    safetensors = _safetensors()
    architecture = {
        "sizes": list(network.architecture.sizes),
        "activations": [_name(activation) for activation in network.architecture.activations],
        "output": network.architecture.output,
        "dtype": network.dtype.name,
    }
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "architecture": json.dumps(architecture),
    }
    tensors = {f"weights.{i}": w for i, w in enumerate(network.weights)}
    tensors |= {f"biases.{i}": b for i, b in enumerate(network.biases)}
    target = Path(path)
    # A crash while writing must not leave half a file under the name of a good one.
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(safetensors.numpy.save(tensors, metadata=metadata))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> tuple[Architecture, np.dtype[Any], dict[str, Any]]:
    """Read and check a file; return its architecture, dtype and tensors by name."""
    safetensors = _safetensors()
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {os.fspath(path)!r}")
    try:
        with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{os.fspath(path)!r} is not a safetensors file: {error}") from error
    try:
        architecture, dtype = _architecture(metadata)
        _check_tensors(architecture, dtype, tensors)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} is not a fastmlp network: {error}") from error
    return architecture, dtype, tensors


def _name(activation: str | CustomActivation) -> str:
    """An activation's name; functions are not written to files."""
    name = str(activation)
    if not name.isprintable() or name.startswith("<"):
        raise ValueError(
            "a network is saved with the names of its activations, and a custom one has none: "
            "fastmlp.activations.custom(f, name=...)"
        )
    return name


def _activation(name: Any) -> str | CustomActivation:
    """What a name in a file stands for."""
    if name in ACTIVATIONS or not isinstance(name, str):
        return name  # type: ignore[no-any-return]
    from ._graphs import custom

    return custom.by_name(name)


def _architecture(metadata: dict[str, str]) -> tuple[Architecture, np.dtype[Any]]:
    if metadata.get("format") != FORMAT:
        raise ValueError(f"its metadata must say format {FORMAT!r}, got {metadata.get('format')!r}")
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ValueError(
            f"this version of fastmlp reads format version {FORMAT_VERSION}, "
            f"got {metadata.get('format_version')!r}"
        )
    try:
        entries = json.loads(metadata["architecture"])
        architecture = Architecture(
            tuple(operator.index(size) for size in entries["sizes"]),
            tuple(_activation(name) for name in entries["activations"]),
            entries["output"],
        )
        dtype = DTYPES[entries["dtype"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its architecture cannot be read ({error!r})") from error
    return architecture, dtype


def _check_tensors(
    architecture: Architecture, dtype: np.dtype[Any], tensors: dict[str, Any]
) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (n_in, n_out) in enumerate(architecture.layer_shapes):
        shapes |= {f"weights.{i}": (n_in, n_out), f"biases.{i}": (n_out,)}
    if set(tensors) != set(shapes):
        raise ValueError(f"it must hold the tensors {sorted(shapes)}, got {sorted(tensors)}")
    for name, shape in shapes.items():
        found = tensors[name]
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(
                f"{name} must be {dtype} of shape {shape}, got {found.dtype} of {found.shape}"
            )


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "saving and loading networks needs safetensors: pip install 'fastmlp[io]'"
        ) from error
    return safetensors
