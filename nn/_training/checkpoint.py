"""The state of a training run in files: trees of arrays and numbers, as safetensors.

A tree is a dict, list, array, number, text or ``None``. In a file its arrays are tensors, named by
where they stand in it, and all the rest is JSON in the metadata: nothing in a file can run code.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .. import serialization
from .._files import open_regular, shown, write
from .._typing import Array

if TYPE_CHECKING:
    from .._network.network import Network
    from .plan import Settings

FORMAT = "fastmlp.Trainer"
FORMAT_VERSION = 1
#: Stands for an array in JSON, with its tensor's name.
_TENSOR = "tensor"
_DTYPES = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64))


def copy(tree: Any) -> Any:
    """A copy with arrays of its own."""
    if isinstance(tree, dict):
        return {key: copy(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [copy(value) for value in tree]
    return tree.copy() if isinstance(tree, np.ndarray) else tree


def save(
    path: str | os.PathLike[str],
    state: dict[str, Any],
    network: Network,
    known: Settings,
    notes: dict[str, str] | None = None,
) -> None:
    """Write a state, what it is the state of, and notes of the caller's; all of it or nothing."""
    safetensors = serialization.safetensors()
    tensors: dict[str, Array] = {}
    entries = {
        **(notes or {}),
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "run": json.dumps(_description(network, known)),
        "state": json.dumps(_pack(state, "", tensors)),
    }
    write(path, safetensors.numpy.save(tensors, metadata=entries))


def load(path: str | os.PathLike[str], network: Network, known: Settings) -> dict[str, Any]:
    """Read a state, and compare what it is the state of.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is damaged, or of another architecture, dtype or optimizer.
    """
    safetensors = serialization.safetensors()
    with open_regular(path) as file:
        metadata = _metadata(path, file)
        file.seek(0)
        content = file.read()
    try:
        if metadata.get("format_version") != str(FORMAT_VERSION):
            raise ValueError(
                f"this version of fastmlp reads format version {FORMAT_VERSION}, got "
                f"{metadata.get('format_version')!r}"
            )
        tensors = safetensors.numpy.load(content)
        described = json.loads(metadata["run"])
        state = _unpack(json.loads(metadata["state"]), tensors)
        if not isinstance(described, dict) or not isinstance(state, dict):
            raise ValueError("its metadata are no JSON objects")
    except (safetensors.SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{shown(path)} cannot be read as a training run: {error}") from None
    for name, expected in _description(network, known).items():
        if described.get(name) != expected:
            raise ValueError(
                f"{shown(path)} is of a run with {name} {described.get(name)!r}, and this one has "
                f"{expected!r}"
            )
    try:
        check(state, network, known)
    except ValueError as error:
        raise ValueError(f"{shown(path)} cannot be read as a training run: {error}") from None
    return state


def notes_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """The notes that a file was written with, among its other words; its arrays are not read."""
    with open_regular(path) as file:
        return _metadata(path, file)


def _metadata(path: str | os.PathLike[str], file: BinaryIO) -> dict[str, str]:
    """The words of a file, which must be one of a training run."""
    try:
        header, _ = serialization.header(file)
        metadata: dict[str, str] = serialization.metadata_of(header.get("__metadata__"))
    except ValueError as error:
        raise ValueError(f"{shown(path)} is not a safetensors file: {error}") from None
    found = metadata.get("format")
    if found != FORMAT:
        raise ValueError(
            f"{shown(path)} holds no training run: its format must be {FORMAT!r}, got {found!r}"
        )
    return metadata


def check(state: dict[str, Any], network: Network, known: Settings) -> None:
    """Raise ``ValueError`` unless a state can be that of this run."""
    n, dtype = network.parameters.size, network.dtype
    try:
        _check_vector("parameters", state["parameters"], n, dtype)
        slots = list(known.slots or ())
        if list(state["moments"]) not in (slots, []):
            raise ValueError(f"moments must be {slots}, got {list(state['moments'])}")
        for slot, moments in state["moments"].items():
            _check_vector(slot, moments, n, dtype)
        if not isinstance(state["step"], (int, np.integer)) or state["step"] < 0:
            raise ValueError(f"step must be an integer, not negative, got {state['step']!r}")
        for name in ("order", "subset"):
            rows = state[name]
            if rows is not None and not np.array_equal(np.unique(rows), np.sort(rows)):
                raise ValueError(f"{name} must hold each row once")
        own = network._generator.bit_generator.state
        if state["generator"]["bit_generator"] != own["bit_generator"]:
            raise ValueError(
                f"generator must be a {own['bit_generator']} as the network's, got "
                f"{state['generator']['bit_generator']!r}"
            )
        if len(state["stop"]) not in (0, len(known.stop)):
            raise ValueError(
                f"stop must have {len(known.stop)} entries, one for each stop rule, got "
                f"{len(state['stop'])}"
            )
        for rule, found in zip(known.stop, state["stop"], strict=False):
            if set(found) != set(rule.watch().state()):
                raise ValueError(f"stop must hold the state of {rule!r}, got {sorted(found)}")
        type(network._generator.bit_generator)().state = state["generator"]
        for name in ("seed", "memory", "learning_rate", "schedule", "history"):
            state[name]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"state must be that of an equal trainer, got {error!r}") from None


def check_rows(state: dict[str, Any], n: int) -> None:
    """Raise ``ValueError`` where a run that goes on gets another number of rows."""
    order = state.get("order")
    if isinstance(order, np.ndarray) and state.get("subset") is None and len(order) != n:
        raise ValueError(f"the run to resume has {len(order)} rows, got {n}")


def _check_vector(name: str, value: Any, n: int, dtype: np.dtype[Any]) -> None:
    if not isinstance(value, np.ndarray) or value.shape != (n,) or value.dtype != dtype:
        got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else value
        raise ValueError(f"{name} must be {dtype} of shape ({n},), got {got!r:.80}")


def _description(network: Network, known: Settings) -> dict[str, Any]:
    """What a state is the state of, in words that JSON keeps."""
    net = network.architecture
    described: dict[str, Any] = {
        "sizes": list(net.sizes),
        "activations": [str(activation) for activation in net.activations],
        "output": net.output,
        "dtype": network.dtype.name,
        "optimizer": type(known.rule).__name__,
    }
    if known.slots is not None:
        rule = known.rule.update_rule()
        described["update rule"] = {"name": rule.name, **rule.constants}
    return described


def _pack(tree: Any, place: str, tensors: dict[str, Array]) -> Any:
    """The tree for JSON; its arrays go to ``tensors``."""
    if isinstance(tree, dict):
        return {key: _pack(value, f"{place}{key}.", tensors) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_pack(value, f"{place}{i}.", tensors) for i, value in enumerate(tree)]
    if isinstance(tree, np.ndarray):
        tensors[place[:-1]] = np.ascontiguousarray(tree)
        return {_TENSOR: place[:-1]}
    return tree.item() if isinstance(tree, np.generic) else tree


def _unpack(tree: Any, tensors: dict[str, Array]) -> Any:
    if isinstance(tree, dict):
        if list(tree) == [_TENSOR]:
            found = tensors[str(tree[_TENSOR])]
            if found.dtype not in _DTYPES:
                raise ValueError(f"it has a tensor of {found.dtype}")
            return found
        return {key: _unpack(value, tensors) for key, value in tree.items()}
    return [_unpack(value, tensors) for value in tree] if isinstance(tree, list) else tree
