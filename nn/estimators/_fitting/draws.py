"""Draws of a ``numpy.random.Generator`` from where a ``RandomState`` is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def generator_of(random_state: np.random.RandomState) -> Iterator[np.random.Generator]:
    """A generator that draws on from where a ``RandomState`` is, which then goes on after it.

    By what NumPy documents: the state as a dict, and the bit generator of that name.
    """
    state: Any = random_state.get_state(legacy=False)
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = {name: state[name] for name in bits.state}
    yield np.random.Generator(bits)
    random_state.set_state({**state, **bits.state})
