"""Several networks in one safetensors file.

Network ``i`` is the tensor ``networks.i``, its flat vector of parameters; the metadata hold the
format, and as JSON the architectures and whatever else belongs to them. Nothing in a file can run
code. The header is compared with what it announces before any tensor is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from fastmlp.kernels import Architecture

from .. import serialization
from .._files import open_regular, shown, write
from .._network import construction
from .._network.network import Network
from .._typing import Array
from ..mlp import MLP

VERSION = "1"

Made = TypeVar("Made")


def save(
    path: str | os.PathLike[str], kind: str, networks: Sequence[Network], entry: dict[str, Any]
) -> None:
    """Write networks to ``path``, all of them or nothing, with an ``entry`` for JSON."""
    safetensors = serialization.safetensors()
    architectures = [
        {
            "sizes": list(net.architecture.sizes),
            "activations": [serialization._name(name) for name in net.architecture.activations],
            "output": net.architecture.output,
            "dtype": net.dtype.name,
        }
        for net in networks
    ]
    metadata = {
        "format": kind,
        "format_version": VERSION,
        "architectures": json.dumps(architectures),
        "entry": json.dumps(entry),
    }
    tensors = {f"networks.{i}": net.parameters for i, net in enumerate(networks)}
    write(path, safetensors.numpy.save(tensors, metadata=metadata))


def load(
    path: str | os.PathLike[str],
    kind: str,
    make: Callable[[list[MLP], dict[str, Any]], Made],
    n_threads: int | None = None,
) -> Made:
    """What ``make`` makes of the networks and the entry that :func:`save` has written.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is damaged, or holds something else, also in the eyes of ``make``.
    """
    safetensors = serialization.safetensors()
    with open_regular(path) as file:
        try:
            header, start = serialization.header(file)
            networks, entry = _announced(header, kind)
            size = os.fstat(file.fileno()).st_size - start
            if size != (wanted := sum(n * dtype.itemsize for _, n, dtype in networks)):
                raise ValueError(f"it announces {wanted} bytes of parameters and holds {size}")
            file.seek(0)
            tensors = safetensors.numpy.load(file.read())
            made = [
                _network(architecture, dtype, tensors[f"networks.{i}"], n_threads)
                for i, (architecture, _, dtype) in enumerate(networks)
            ]
            return make(made, entry)
        except (*_DAMAGED, safetensors.SafetensorError) as e:
            text = f"it has no {e}" if isinstance(e, KeyError) else str(e)[:300]
            raise ValueError(f"{shown(path)} is not a file of {kind}: {text}") from e


#: What comes of reading a header that does not hold what it should.
_DAMAGED = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError)
#: A network as a header announces it: what it is, how many parameters it has, of which type.
_Announced = tuple[Architecture, int, "np.dtype[Any]"]


def _announced(header: dict[str, Any], kind: str) -> tuple[list[_Announced], dict[str, Any]]:
    """Networks as a header describes them, of which none has been made yet, and the entry."""
    metadata = serialization.metadata_of(header.pop("__metadata__", None))
    if metadata.get("format") != kind:
        raise ValueError(f"its format must be {kind!r}, got {metadata.get('format')!r}")
    if metadata.get("format_version") != VERSION:
        raise ValueError(
            f"this version of fastmlp reads version {VERSION}, "
            f"got {metadata.get('format_version')!r}"
        )
    described, entry = json.loads(metadata["architectures"]), json.loads(metadata["entry"])
    if not isinstance(described, list) or not isinstance(entry, dict):
        raise ValueError("its metadata must hold a list of architectures, and an entry")
    if set(header) != {f"networks.{i}" for i in range(len(described))}:
        raise ValueError(f"it must hold {len(described)} networks, got {len(header)} tensors")
    kinds = {name: kind for kind, name in serialization._TENSOR_DTYPES.items()}
    networks = []
    for i, one in enumerate(described):
        activations = [serialization._activation(name) for name in one["activations"]]
        architecture = construction.architecture(one["sizes"], activations, one["output"])
        dtype, n = serialization.DTYPES[one["dtype"]], architecture.n_parameters
        tensor = header[f"networks.{i}"]
        if not isinstance(tensor, dict) or (tensor.get("shape"), tensor.get("dtype")) != (
            [n],
            kinds[dtype],
        ):
            raise ValueError(f"network {i} must have {n} parameters of {dtype}, got {tensor}"[:200])
        networks.append((architecture, n, dtype))
    return networks, entry


def _network(
    architecture: Architecture, dtype: np.dtype[Any], tensor: Array, n_threads: int | None
) -> MLP:
    """The network of these parameters."""
    network = MLP.__new__(MLP)
    parameters = np.array(tensor, dtype)
    network._setup(architecture, parameters, construction.generator(None), n_threads)
    return network
