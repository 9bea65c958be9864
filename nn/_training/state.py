"""The state of a trainer: read, set, written to files and read from there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .._network.network import Network
from .._typing import Array
from ..history import History
from ..schedules._rates import Rates
from . import checkpoint, place, plan
from .engine import Engine
from .options import Options

if TYPE_CHECKING:
    from ..stopping._watches import Watch


class Resumable:
    """What a :class:`fastmlp.Trainer` knows of its run, so that the run can go on elsewhere."""

    def __init__(
        self,
        network: Network,
        options: Options,
        loss: Any = None,
        optimizer: Any = "adam",
        kept: tuple[plan.Settings, Any, int] | None = None,
    ) -> None:
        self._network, self._options = network, options
        self._known = kept[0] if kept else plan.settings(network, loss, optimizer, options)
        self.history = History()
        self._rates = Rates(self._known.learning_rate, self._known.schedule, options.epochs, 1)
        #: Stop rules at work, and what they are to remember where they are not yet.
        self._watches: list[tuple[str, Watch]] = []
        self._remembered: list[dict[str, Any]] = []
        self._order: Array | None = None
        self._subset: Array | None = None
        #: How far the next epoch has come already.
        self._within: place.Place | None = None
        self._engine = Engine(network, self._known)
        if kept:
            self._engine.take_over(*kept[1:])
        self._parameters = network.parameters
        self._factors = bool(getattr(self._known.loss, "factors", ()))
        self._unweighted = options.class_weight is None and not self._factors
        self._low, self._high = self._known.plain_targets

    @property
    def state(self) -> dict[str, Any]:
        """All that the next step or epoch depends on, as a dict of arrays, numbers and dicts.

        ``parameters`` ``(n_parameters,)``, ``moments`` (by the names of the optimizer's vectors,
        each ``(n_parameters,)``), ``step``, ``order`` ``(n,)`` of the rows in the last epoch,
        ``generator``, ``seed`` (of dropout), ``learning_rate``, ``schedule``, ``stop``,
        ``history``, ``memory`` of an optimizer with line search, and ``within``, how far an epoch
        has come of which a checkpoint was written. It is a copy; one that was
        read from an equal trainer can be assigned. An assignment of anything else raises
        ``ValueError`` and changes nothing.
        """
        moments, step, memory = self._engine.rest()
        named = {} if moments is None else dict(zip(self._known.slots or (), moments, strict=True))
        state: dict[str, Any] = checkpoint.copy(
            {
                "parameters": self._engine.parameters(),
                "moments": named,
                "step": step,
                "memory": memory,
                "order": self._order,
                "subset": self._subset,
                "seed": self._engine.seed,
                "generator": self._network._generator.bit_generator.state,
                "learning_rate": self._rates.learning_rate,
                "schedule": self._rates.state(),
                "stop": [watch.state() for _, watch in self._watches] or self._remembered,
                "history": self.history.to_dict(),
                "within": None if self._within is None else self._within.state(),
            }
        )
        return state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        state = checkpoint.copy(state)
        network, known = self._network, self._known
        checkpoint.check(state, network, known)
        rates = Rates(known.learning_rate, known.schedule, self._options.epochs, 1)
        rates.learning_rate = float(state["learning_rate"])
        rates.restore(state["schedule"])
        history = History.from_dict(state["history"])
        within, n_in = state.get("within"), network.architecture.sizes[0]
        within = None if within is None else place.of_state(within, n_in, network.dtype)
        moments = None  # those before the first step
        if state["moments"]:
            moments = np.array([state["moments"][slot] for slot in known.slots or ()])
        # Nothing below fails.
        network._generator.bit_generator.state = state["generator"]
        network.parameters[...] = state["parameters"]
        self._engine.restart((moments, int(state["step"]), state["memory"]), state["seed"])
        self._order, self._subset = state["order"], state["subset"]
        self._rates, self._watches, self._remembered = rates, [], state["stop"]
        self.history, self._within = history, within

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :attr:`state` to a safetensors file, all of it or nothing.

        Parameters
        ----------
        path : str or path
            File to write.

        Raises
        ------
        ImportError
            Where safetensors is not installed (``pip install 'fastmlp[io]'``).
        """
        checkpoint.save(path, self.state, self._network, self._known)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from what :meth:`save` has written; nothing of the file can run code.

        Parameters
        ----------
        path : str or path
            File to read.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Where the file is damaged, or of another architecture, dtype or optimizer; nothing is
            changed then.
        """
        self.state = checkpoint.load(path, self._network, self._known)
