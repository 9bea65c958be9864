"""Several networks in one safetensors file.

Network ``i`` is the tensor ``networks.i``, its flat vector of parameters; the metadata hold the
format, and as JSON the architectures and whatever else belongs to them. Nothing in a file can run
code. The header is compared with what it announces before any tensor is read.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import serialization
from .._files import open_regular, shown, write
from .._network.network import Network
from ..mlp import MLP

VERSION = "1"


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
    path: str | os.PathLike[str], kind: str, n_threads: int | None = None
) -> tuple[list[MLP], dict[str, Any]]:
    """Read what :func:`save` has written: the networks, and the entry.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is damaged, or holds something else.
    """
    safetensors = serialization.safetensors()
    with open_regular(path) as file:
        try:
            header, start = serialization.header(file)
            networks, entry = _announced(header, kind, n_threads)
            size = os.fstat(file.fileno()).st_size - start
            if size != (wanted := sum(net.parameters.nbytes for net in networks)):
                raise ValueError(f"it announces {wanted} bytes of parameters and holds {size}")
            file.seek(0)
            tensors = safetensors.numpy.load(file.read())
        except (ValueError, RecursionError, KeyError, TypeError, safetensors.SafetensorError) as e:
            text = f"it has no {e}" if isinstance(e, KeyError) else str(e)[:300]
            raise ValueError(f"{shown(path)} is not a file of {kind}: {text}") from e
    for i, net in enumerate(networks):
        net.parameters[...] = tensors[f"networks.{i}"]
    return networks, entry


def _announced(
    header: dict[str, Any], kind: str, n_threads: int | None
) -> tuple[list[MLP], dict[str, Any]]:
    """Networks as a header describes them, their parameters still zero, and the entry."""
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
    networks = []
    for i, one in enumerate(described):
        tensor, sizes = header[f"networks.{i}"], one["sizes"]
        activations = [serialization._activation(name) for name in one["activations"]]
        dtype = serialization.DTYPES[one["dtype"]]
        n = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))
        kinds = {name: kind for kind, name in serialization._TENSOR_DTYPES.items()}
        if tensor.get("shape") != [n] or tensor.get("dtype") != kinds[dtype]:
            raise ValueError(f"network {i} must have {n} parameters of {dtype}, got {tensor}"[:200])
        networks.append(_empty(sizes, activations, one["output"], dtype, n_threads))
    return networks, entry


def _empty(
    sizes: Any, activations: Any, output: str, dtype: np.dtype[Any], n_threads: int | None
) -> MLP:
    """A network whose parameters are zero."""
    from .._network import construction

    architecture = construction.architecture(sizes, activations, output)
    network = MLP.__new__(MLP)
    parameters = np.zeros(architecture.n_parameters, dtype)
    network._setup(architecture, parameters, construction.generator(None), n_threads)
    return network
