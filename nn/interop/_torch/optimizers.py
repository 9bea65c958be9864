"""State of PyTorch's optimizers in our layout, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array
from . import nn, torch
from .modules import classes

#: Names of the state beside the parameters, in the order of our moments.
_SLOTS = {"Adam": ("exp_avg", "exp_avg_sq"), "AdamW": ("exp_avg", "exp_avg_sq")}


def _slots(optimizer: Any) -> tuple[str, ...]:
    kind = type(optimizer).__name__
    group = optimizer.param_groups[0]
    if kind in _SLOTS:
        return _SLOTS[kind] + (("max_exp_avg_sq",) if group.get("amsgrad") else ())
    if kind == "SGD":
        return ("momentum_buffer",) if group["momentum"] else ()
    raise TypeError(f"optimizer must be torch's Adam, AdamW or SGD, got {kind}")


def _parameters(module: Any) -> list[tuple[Any, bool]]:
    """Parameters in the order of our flat vector, and whether they are transposed."""
    if isinstance(module, classes().Module):
        return [(module.flat, False)]
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if any(part.bias is None for part in linear):
        raise ValueError("every Linear layer must have a bias")
    return [(part.weight, True) for part in linear] + [(part.bias, False) for part in linear]


def _factor(optimizer: Any, name: str) -> float:
    """From torch's state to ours: our velocity has the learning rate in it."""
    if name != "momentum_buffer":
        return 1.0
    group = optimizer.param_groups[0]
    if group.get("dampening"):
        raise ValueError(f"SGD must have no dampening, got {group['dampening']}")
    return -float(group["lr"])


def moments(optimizer: Any, module: Any) -> tuple[Array, int]:
    """State of an optimizer of torch, in our layout.

    Parameters
    ----------
    optimizer : torch.optim.Adam, AdamW or SGD
        With or without steps so far.
    module : torch.nn.Module
        Whose parameters it trains: of :meth:`fastmlp.MLP.to_torch`, a :class:`Module`, or one that
        :func:`fastmlp.from_torch` takes.

    Returns
    -------
    moments : (n_slots, n_parameters) array
        As ``fastmlp.kernels.UPDATE_RULES`` names them: zero before the first step.
    step : int
        Steps so far; of SGD, which does not count them, 0 before the first one and else 1.
    """
    names, parts = _slots(optimizer), _parameters(module)
    rows: list[Array] = []
    step = 0
    for name in names:
        found = []
        for parameter, transposed in parts:
            state = optimizer.state.get(parameter, {})
            value = state.get(name)
            value = torch.zeros_like(parameter) if value is None else value
            found.append((value.T if transposed else value).detach().numpy().ravel())
            counted = state.get("step", 1 if name == "momentum_buffer" and state else 0)
            step = max(step, int(counted))
        rows.append(np.concatenate(found) * _factor(optimizer, name))
    n = sum(parameter.numel() for parameter, _ in parts)
    dtype = parts[0][0].detach().numpy().dtype
    return np.array(rows, dtype).reshape(len(rows), n), step


def set_moments(optimizer: Any, module: Any, moments: Array, step: int) -> None:
    """Give an optimizer of torch a state in our layout, as :func:`moments` returns it.

    Parameters
    ----------
    optimizer : torch.optim.Adam, AdamW or SGD
        What is changed.
    module : torch.nn.Module
        Whose parameters it trains, as for :func:`moments`.
    moments : (n_slots, n_parameters) array
        As :func:`moments` returns them.
    step : int
        Steps so far.

    Raises
    ------
    ValueError
        For another shape.
    """
    names, parts = _slots(optimizer), _parameters(module)
    n = sum(parameter.numel() for parameter, _ in parts)
    moments = np.asarray(moments)
    if moments.shape != (len(names), n):
        raise ValueError(f"moments must have shape ({len(names)}, {n}), got {moments.shape}")
    for name, row in zip(names, moments, strict=True):
        start = 0
        for parameter, transposed in parts:
            piece = row[start : start + parameter.numel()] / _factor(optimizer, name)
            values = torch.from_numpy(piece)
            start += parameter.numel()
            shape = tuple(parameter.shape)[::-1] if transposed else tuple(parameter.shape)
            values = values.reshape(shape).to(parameter.dtype)
            state = optimizer.state[parameter]
            state[name] = (values.T if transposed else values).contiguous()
            if name != "momentum_buffer":
                state["step"] = torch.tensor(float(step))
