"""The straight-line code of activations that a target library has no function for."""

from __future__ import annotations

import functools
from typing import Any

from fastmlp.kernels import CustomActivation


@functools.cache
def steps_of(activation: str | CustomActivation, target: str) -> Any:
    """The program of an activation: value and derivative of one element.

    Parameters
    ----------
    activation : str or CustomActivation
    target : str
        Where it is to go, for the message.

    Raises
    ------
    ValueError
        Where there is none: a custom activation that cannot be traced, or that uses operations
        without a step.
    """
    if isinstance(activation, str):
        from .. import activations
        from .._graphs import custom

        program: Any = custom.Elementwise(activations.named(activation).expression).program()
    else:
        program = activation.program()
    if program is None:
        raise ValueError(
            f"activation {str(activation)!r} cannot go to {target}: it has no expression of "
            "elementwise operations (fastmlp.activations.custom of a function that can be traced)"
        )
    return program
