"""Where the generators of a run stand: read, and set back."""

from __future__ import annotations

from typing import Any

import numpy as np


def position(generator: Any) -> Any:
    """Where a generator stands."""
    if isinstance(generator, np.random.RandomState):
        return generator.get_state()
    return None if generator is None else generator.bit_generator.state


def set_position(generator: Any, position: Any) -> None:
    """Let a generator go on from where it, or an equal one, has stood."""
    if isinstance(generator, np.random.RandomState):
        generator.set_state(position)
    else:
        generator.bit_generator.state = position
