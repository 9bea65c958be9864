"""Saving and loading networks as safetensors files.

A file holds the tensors ``weights.0``, ``biases.0``, ``weights.1``, … and in its metadata the
format's name and version and the architecture as JSON: nothing in it can run code. A custom
activation stands there by its name, and must have been made again before the file is read.
Whatever else a file should carry (the preprocessing of its data) is further metadata.

A file is opened once. Its header is compared with what it announces before any tensor is read.
"""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from fastmlp.kernels import ACTIVATIONS, Architecture, CustomActivation

from ._files import open_regular, shown, write
from ._typing import Array

if TYPE_CHECKING:
    from ._network.network import Network

FORMAT = "fastmlp.MLP"
FORMAT_VERSION = 1
#: Metadata of a model that ``fastmlp train`` has written: how rows become inputs.
PREPROCESSING = "fastmlp.cli.preprocessing"
DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
#: What safetensors calls them.
_TENSOR_DTYPES = {"F32": DTYPES["float32"], "F64": DTYPES["float64"]}
#: Bytes of a header at most, as in safetensors.
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class StoredNetwork:
    """What a file holds: the network's parts by name, and other metadata."""

    architecture: Architecture
    dtype: np.dtype[Any]
    tensors: dict[str, Array]
    metadata: dict[str, str] = field(default_factory=dict)


def save(
    network: Network, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write ``network`` to ``path``, all of it or nothing, with further ``metadata``."""
    safe = safetensors()
    architecture = {
        "sizes": list(network.architecture.sizes),
        "activations": [_name(activation) for activation in network.architecture.activations],
        "output": network.architecture.output,
        "dtype": network.dtype.name,
    }
    entries = {
        **(metadata or {}),
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "architecture": json.dumps(architecture),
    }
    tensors = {f"weights.{i}": w for i, w in enumerate(network.weights)}
    tensors |= {f"biases.{i}": b for i, b in enumerate(network.biases)}
    write(path, safe.numpy.save(tensors, metadata=entries))


def read(path: str | os.PathLike[str]) -> StoredNetwork:
    """Read and check a file.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is damaged or holds no network of this package.
    """
    safe = safetensors()
    with open_regular(path) as file:
        try:
            found, start = header(file)
        except ValueError as error:
            raise ValueError(f"{shown(path)} is not a safetensors file: {error}") from None
        try:
            metadata = metadata_of(found.pop("__metadata__", None))
            architecture, dtype = _architecture(metadata)
            _check_tensors(architecture, dtype, found)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{shown(path)} is not a fastmlp network: {error}") from error
        size = os.fstat(file.fileno()).st_size
        if size != start + architecture.n_parameters * dtype.itemsize:
            raise ValueError(
                f"{shown(path)} is not a safetensors file: it announces "
                f"{architecture.n_parameters} values and holds {size - start} bytes of them"
            )
        file.seek(0)
        content = file.read(size)
    try:
        tensors = safe.numpy.load(content)
    except safe.SafetensorError as error:
        raise ValueError(f"{shown(path)} is not a safetensors file: {error}") from error
    return StoredNetwork(architecture, dtype, tensors, metadata)


def header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where the tensors begin."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise ValueError(f"it has {size} bytes, fewer than a header")
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, _LONGEST_HEADER):
        raise ValueError(f"it announces a header of {length} bytes and has {size}")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its header is no JSON ({type(error).__name__})") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header, 8 + length


def metadata_of(found: Any) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise ValueError("its metadata must map names to text")
    return found


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
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its architecture cannot be read ({error!r})") from error
    return architecture, dtype


def _check_tensors(
    architecture: Architecture, dtype: np.dtype[Any], header: dict[str, Any]
) -> None:
    """Compare what the header announces with the architecture, before anything is made of it."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (n_in, n_out) in enumerate(architecture.layer_shapes):
        shapes |= {f"weights.{i}": (n_in, n_out), f"biases.{i}": (n_out,)}
    if set(header) != set(shapes):
        raise ValueError(f"it must hold the tensors {_few(shapes)}, got {_few(header)}")
    for name, shape in shapes.items():
        entry = header[name] if isinstance(header[name], dict) else {}
        found, kind = entry.get("shape"), entry.get("dtype")
        if found != list(shape) or _TENSOR_DTYPES.get(str(kind)) != dtype:
            raise ValueError(
                f"{name} must be {dtype} of shape {shape}, got {str(kind)[:20]} of "
                f"{str(found).replace('[', '(').replace(']', ')')[:60]}"
            )


def _few(names: Iterable[str], limit: int = 8) -> str:
    """Names for an error message: a file may announce any number of any length."""
    ordered = sorted(names)
    shown_names = ", ".join(name[:40] for name in ordered[:limit])
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return (shown_names or "none") + more


def safetensors() -> Any:
    """The library, or an ``ImportError`` that says how to install it."""
    try:
        import safetensors
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ImportError(
            "saving and loading networks needs safetensors: pip install 'fastmlp[io]'"
        ) from error
    return safetensors
