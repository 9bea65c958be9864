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
from .._inputs import numbers
from .._typing import Array
from ..history import History
from ..schedules._rates import Rates
from . import place, plan

if TYPE_CHECKING:
    from .._network.network import Network
    from .plan import Settings

FORMAT = "fastmlp.Trainer"
#: Version 1 is of states between two epochs, which every version of fastmlp reads.
FORMAT_VERSIONS = ("1", "2")
#: Stands for an array in JSON, with its tensor's name.
_TENSOR = "tensor"
_DTYPES = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64))

#: Steps at most: beyond them a float64 no longer counts by ones.
_MOST_STEPS = 2**53


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
        "format_version": FORMAT_VERSIONS[state.get("within") is not None],
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
        if metadata.get("format_version") not in FORMAT_VERSIONS:
            raise ValueError(
                f"this version of fastmlp reads format versions {', '.join(FORMAT_VERSIONS)}, got "
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


# What a state must be: found out before it takes the place of another, so that nothing is changed
# by one that is refused, and no later epoch stumbles over it.


def check(state: dict[str, Any], network: Network, known: Settings) -> None:
    """Raise ``ValueError`` unless a state can be that of this run."""
    try:
        numbers.count("step", state["step"], 0)
        _check_vectors(state, network, known)
        if state["step"] > _MOST_STEPS:
            raise ValueError(f"step must be at most {_MOST_STEPS}, got {state['step']}")
        if state["seed"] is not None and numbers.count("seed", state["seed"], 0) >= 2**64:
            raise ValueError(f"seed must be below 2**64, got {state['seed']}")
        rate = numbers.number("learning_rate", state["learning_rate"])
        if not 0 <= rate < np.inf:
            raise ValueError(f"learning_rate must be finite and not negative, got {rate}")
        _check_orders(state)
        _check_generator(state["generator"], network)
        rates = Rates(known.learning_rate, known.schedule, 1, 1)
        _check_remembered("schedule", state["schedule"], rates, network)
        _check_stop(state["stop"], network, known)
        _check_memory(state["memory"], network, known)
        if state.get("within") is not None:
            place.of_state(state["within"], network.architecture.sizes[0], network.dtype)
        History.from_dict(state["history"])
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"state must be that of an equal trainer, got {error!r:.200}") from None


def check_rows(state: dict[str, Any], n: int, batch_size: int) -> None:
    """Raise ``ValueError`` where a run that goes on gets another number of rows.

    ``batch_size`` is that of its steps, which may change between two epochs only.
    """
    order, subset, within = (state.get(name) for name in ("order", "subset", "within"))
    if within is not None and within["batch_size"] != batch_size:
        raise ValueError(
            f"the run to resume was cut within an epoch with batch_size={within['batch_size']}, "
            f"got {batch_size}"
        )
    if isinstance(order, np.ndarray) and subset is None and len(order) != n:
        raise ValueError(f"the run to resume has {len(order)} rows, got {n}")
    if isinstance(subset, np.ndarray) and subset.max(initial=-1) >= n:
        raise ValueError(f"the run to resume has row {subset.max()}, got {n} rows")


def _check_vectors(state: dict[str, Any], network: Network, known: Settings) -> None:
    """Parameters and moments."""
    _check_vector("parameters", state["parameters"], network)
    slots = list(known.slots or ())
    # Before the first step there are none yet.
    if list(state["moments"]) not in ((slots, []) if state["step"] == 0 else (slots,)):
        raise ValueError(f"moments must be {slots}, got {list(state['moments'])!r:.200}")
    for slot, moments in state["moments"].items():
        _check_vector(slot, moments, network)


def _check_vector(name: str, value: Any, network: Network) -> None:
    n, dtype = network.parameters.size, network.dtype
    if not isinstance(value, np.ndarray) or value.shape != (n,) or value.dtype != dtype:
        got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else value
        raise ValueError(f"{name} must be {dtype} of shape ({n},), got {got!r:.80}")


def _check_orders(state: dict[str, Any]) -> None:
    """Which rows are trained on, where not on all, and in which order."""
    order, subset = state["order"], state["subset"]
    for name, rows in (("order", order), ("subset", subset)):
        if rows is None:
            continue
        if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind != "i":
            raise ValueError(f"{name} must be an array of row numbers, got {rows!r:.80}")
        if rows.min(initial=0) < 0 or len(np.unique(rows)) < len(rows):
            raise ValueError(f"{name} must hold each row once")
    if order is not None and order.max(initial=-1) >= len(order):
        raise ValueError(f"order must hold the rows below {len(order)}, got {order.max()}")


def _check_generator(found: Any, network: Network) -> None:
    own = network._generator.bit_generator
    kind = own.state["bit_generator"]
    if found["bit_generator"] != kind:
        raise ValueError(
            f"generator must be a {kind} as the network's, got {found['bit_generator']!r:.80}"
        )
    type(own)().state = found


def _check_remembered(name: str, found: Any, owner: Any, network: Network) -> None:
    """What an object gives as its ``state()``, which another of its kind is to ``restore``."""
    usual = owner.state()
    if set(found) != set(usual):
        raise ValueError(f"{name} must hold {sorted(usual)}, got {sorted(found)!r:.80}")
    for key, value in found.items():
        if key == "parameters" and value is not None:
            _check_vector(key, value, network)
        elif isinstance(usual[key], (int, float)):
            numbers.number(key, value)
        elif usual[key] is not None and not isinstance(value, type(usual[key])):
            raise ValueError(f"{key} of {name} must not be {value!r:.80}")
    owner.restore(found)


def _check_stop(found: Any, network: Network, known: Settings) -> None:
    if not isinstance(found, list) or len(found) not in (0, len(known.stop)):
        raise ValueError(
            f"stop must have {len(known.stop)} entries, one for each stop rule, got {found!r:.80}"
        )
    for rule, one in zip(known.stop, found, strict=False):
        _check_remembered(f"stop of {rule!r}", one, rule.watch(), network)


def _check_memory(memory: Any, network: Network, known: Settings) -> None:
    """What a line search has learnt; others learn nothing beside their moments."""
    if memory is None:
        return
    if not known.searches:
        raise ValueError(f"memory is of optimizers with line search, got {memory!r:.80}")
    for array in _arrays(memory):
        if array.shape != network.parameters.shape or array.dtype.kind != "f":
            raise ValueError(f"memory must hold vectors like the parameters, got {array!r:.80}")
    steps = plan.engine(network, known, 1, 0)
    steps.load(network.parameters, None, 0)
    steps.remember(memory)


def _arrays(tree: Any) -> list[Array]:
    if isinstance(tree, np.ndarray):
        return [tree]
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [array for part in inner for array in _arrays(part)]
