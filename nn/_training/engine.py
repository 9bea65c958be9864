"""What makes a trainer's steps: a trainer of the kernels, made anew where steps get more rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import Array
from . import plan

if TYPE_CHECKING:
    from .._network.network import Network

#: Moments (``None``: those before the first step), step count, and what a line search remembers.
Start = tuple[Array | None, int, Any]


class Engine:
    """The engine of one network's steps.

    It is made when the number of rows of a step is known. The network's parameters are the truth:
    where somebody changes them between two calls, the next step starts from there.

    Attributes
    ----------
    seed : int or None
        Seed of dropout, drawn with the first engine.
    start : tuple
        What the next engine starts with, where there is none.
    """

    def __init__(self, network: Network, known: plan.Settings) -> None:
        self._network, self._known = network, known
        self._steps: Any = None
        self._size = 0
        #: The parameters as they were left, while no run goes on.
        self.shown: Array = network.parameters.copy()
        self._running = False
        #: Makes a step on arrays that need no closer look; ``None`` where there is no such way.
        self.run_step: Callable[..., float | None] | None = None
        self.seed: int | None = None
        self.start: Start = (None, 0, None)

    def take_over(self, steps: Any, size: int) -> None:
        """Start from the network's parameters with what has made the steps of an earlier run."""
        steps.load(self._network.parameters)
        self._steps, self._size, self.run_step, self.seed = steps, size, steps.run_step, 0

    def given_away(self) -> tuple[Any, int] | None:
        """What :meth:`take_over` takes; a seed of dropout is part of it, and none of two runs."""
        if self._steps is None or self._known.searches or self._known.engine.dropout:
            return None
        return self._steps, self._size

    @property
    def step(self) -> int:
        """Updates so far."""
        return int(self.start[1] if self._steps is None else self._steps.step)

    def prepared(self, size: int, at_least: bool = False) -> Any:
        """The kernels' trainer, for steps of so many rows, as the network is now."""
        network, steps = self._network, self._steps
        fits = self._size >= size if at_least else self._size == size
        if steps is None or not (fits or self._known.searches):
            start, parameters = self.rest(), self.parameters()
            if self.seed is None:
                self.seed = plan.draw_seed(network, self._known)
            steps = plan.engine(network, self._known, size, self.seed)
            self._load(steps, parameters, start)
            self._steps, self._size = steps, size
            self.run_step = None if self._known.searches else steps.run_step
        elif self._edited():
            self._load(steps, network.parameters, self.rest())
        return steps

    @staticmethod
    def _load(steps: Any, parameters: Array, start: Start) -> None:
        moments, step, memory = start
        steps.load(parameters, moments, step)
        if memory is not None:
            steps.remember(memory)

    def rest(self) -> Start:
        """Moments, step count and memory as of the last step."""
        steps = self._steps
        if steps is None:
            return self.start
        if self._known.slots is None:
            return None, steps.step, steps.memory()
        n = self._network.parameters.size
        moments = np.empty((len(self._known.slots), n), self._network.dtype)
        steps.store(np.empty(n, self._network.dtype), moments)
        return moments, steps.step, None

    def parameters(self) -> Array:
        """The parameters that the next step starts from, as a copy.

        They are the network's, unless a stop rule has restored better ones there.
        """
        if self._steps is None or self._running or self._edited():
            return self._network.parameters.copy()
        parameters = np.empty_like(self._network.parameters)
        self._steps.store(parameters)
        return parameters

    def _edited(self) -> bool:
        """Whether somebody has changed the network since it was left."""
        if self._running:
            return False
        # Compared as bytes, so that NaN equals itself.
        now = self._network.parameters
        return not np.array_equal(self.shown.view(np.uint8), now.view(np.uint8))

    def show(self) -> None:
        """Bring the network up to date."""
        self._steps.store(self._network.parameters)
        self.leave()

    def begin_run(self) -> None:
        """Let a loop bring the network up to date, until it leaves it."""
        self._running, self.run_step = True, None

    def leave(self) -> None:
        """Take the network's parameters as what was shown of the last step."""
        self._running = False
        self.shown[...] = self._network.parameters
        if self._steps is not None and not self._known.searches:
            self.run_step = self._steps.run_step

    def restart(self, start: Start, seed: int | None) -> None:
        """Start anew from the network's parameters and these moments."""
        self._steps, self.run_step, self.start, self.seed = None, None, start, seed
        self.leave()
