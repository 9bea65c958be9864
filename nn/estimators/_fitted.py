"""Fitted arrays that belong to the caller, and one flat vector that belongs to the engine."""

from __future__ import annotations

import copy
import functools
import operator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from fastmlp.kernels import Architecture, active

from .._inputs.arrays import all_finite
from .._training import keeping
from .._typing import Array
from . import _names
from ._sklearn.compat import BaseEstimator

if TYPE_CHECKING:
    from .._cluster.cluster import Cluster

#: What is made again from the rest where it is needed, and never copied or pickled.
_MADE_AGAIN = (
    *("_flat", "_layers", "_views", "_networks", "_ready", "_lock", "_halt", "_checked"),
    *("_random_state", "_own_random", "_kept_trainer"),
)
_FLOAT32 = np.dtype(np.float32)


class Ready(NamedTuple):
    """What a prediction needs besides its rows, and under which settings that was made."""

    network: Any
    dtype: np.dtype[Any]
    n_in: int
    settings: tuple[Any, ...]


def _sizes(coefs: list[Array], intercepts: list[Array]) -> tuple[int, ...]:
    """Neurons of the layers that these weights and biases are of."""
    shapes = [np.shape(w) for w in coefs]
    widths = [np.shape(b)[-1:] for b in intercepts]  # biases may also be row vectors
    chained = all(below[1:] == above[:1] for below, above in pairwise(shapes))
    if not chained or widths != [shape[1:] for shape in shapes]:
        raise ValueError(
            f"coefs_ and intercepts_ do not fit each other: shapes {shapes} and {widths}"
        )
    return (shapes[0][0], *(shape[1] for shape in shapes))


@functools.lru_cache(maxsize=256)
def _architecture(sizes: tuple[int, ...], hidden: Any, out: str) -> Architecture:
    """The network of layers of these sizes."""
    return Architecture(sizes, _names.activations(hidden, len(sizes) - 2), out)


class FittedArrays(BaseEstimator):
    """``coefs_`` and ``intercepts_``: lists of views into one flat vector, until someone replaces
    an entry.

    The lists are the truth. Edits in place change the vector itself; where an entry is another
    array (or the whole list another list), every call packs the lists anew, so that edits of that
    array take effect as well.
    """

    coefs_: list[Array]
    intercepts_: list[Array]
    activation: Any
    out_activation_: str
    backend: str | None
    n_threads: int | None
    pickle_optimizer: bool
    _random_state: Any

    def _owns_views(self) -> bool:
        """Whether the lists still hold the views that this object made."""
        views = self.__dict__.get("_views")
        return (
            views is not None
            and len(views) == len(self.coefs_) + len(self.intercepts_)
            and all(map(operator.is_, views, (*self.coefs_, *self.intercepts_)))
        )

    def _packed(self) -> Array:
        """All parameters in one vector: the engine's own where it still is what the lists show."""
        if self._owns_views():
            flat: Array = self._flat
            return flat
        arrays = [np.asarray(a) for a in (*self.coefs_, *self.intercepts_)]
        dtype = np.float32 if all(a.dtype == np.float32 for a in arrays) else np.float64
        return np.concatenate([a.ravel() for a in arrays]).astype(dtype, copy=False)

    @property
    def parameters(self) -> Array:
        """All weights, then all biases, in one vector: what ``fastmlp.callbacks`` look at."""
        return self._packed()

    def _adopt(self, flat: Array) -> None:
        """Make the lists views of ``flat``, whose layout is that of the present lists."""
        architecture = self._architecture()
        self._hold(flat, architecture.sizes, *architecture.views(flat))

    def _hold(
        self, flat: Array, sizes: tuple[int, ...], coefs: list[Array], intercepts: list[Array]
    ) -> None:
        """Take these views of ``flat`` for the lists, of layers of these sizes."""
        self._flat, self._layers = flat, sizes
        self.coefs_, self.intercepts_ = coefs, intercepts
        self._views = (*coefs, *intercepts)
        # Filled by the first prediction, in which no attribute may be set.
        self._ready: list[Ready] = []
        self.__dict__.setdefault("_networks", [])

    def _write_back(self, flat: Array) -> None:
        """Write new values into the arrays of the lists, as they are; replace read-only ones."""
        if self._owns_views():
            self._flat[...] = flat
            return
        for arrays, values in zip(
            (self.coefs_, self.intercepts_), self._architecture().views(flat), strict=True
        ):
            for i, value in enumerate(values):
                own = arrays[i]
                if isinstance(own, np.ndarray) and own.flags.writeable and own.dtype.kind == "f":
                    own[...] = value
                else:
                    arrays[i] = value.copy()

    def _architecture(self, output: str | None = None) -> Architecture:
        owned = self._owns_views()
        sizes = self._layers if owned else _sizes(self.coefs_, self.intercepts_)
        return self._architecture_of(sizes, output)

    def _architecture_of(self, sizes: tuple[int, ...], output: str | None = None) -> Architecture:
        """The network of layers of these sizes, as the parameters say."""
        make = _architecture if self.activation.__class__ is str else _architecture.__wrapped__
        return make(sizes, self.activation, output or self._output())

    def _output(self) -> str:
        """The engine's name of the output activation."""
        if self.out_activation_ not in _names.OUTPUTS:
            raise ValueError(
                f"out_activation_ must be one of {tuple(_names.OUTPUTS)} for training, "
                f"got {self.out_activation_!r}"
            )
        return _names.OUTPUTS[self.out_activation_]

    def _network(self, dtype: Any, output: str | None = None) -> Any:
        """The backend's network object; the last ones are kept."""
        architecture = self._architecture(output)
        key = (_names.backend(self.backend), self.n_threads, architecture, np.dtype(dtype))
        kept: list[tuple[Any, Any]] = self.__dict__.setdefault("_networks", [])
        for known, network in kept:
            if known == key:
                return network
        network = _names.network(self, architecture, dtype)
        kept[:] = [(key, network), *kept[:3]]
        return network

    def _trainer(
        self,
        going_on: bool,
        architecture: Architecture,
        *args: Any,
        cluster: Cluster | None = None,
        **options: Any,
    ) -> Any:
        """A trainer of the backend: that of the last fit, where all that it was made for is equal.

        It is kept where fits go on (``going_on``), and where it is small.
        """
        if cluster is not None:
            return _names.trainer(self.backend, architecture, *args, cluster=cluster, **options)
        key = (_names.backend(self.backend), architecture, args, options)
        kept = self.__dict__.get("_kept_trainer")
        if kept is not None and kept[0] == key:
            return kept[1]
        trainer = _names.trainer(self.backend, architecture, *args, **options)
        batch = options["batch_size"] * max(architecture.sizes)
        small = architecture.n_parameters <= keeping.PARAMETERS and batch <= keeping.BATCH
        self._kept_trainer = (key, trainer) if going_on or small else None
        if small and not going_on:
            keeping.hold(self, "_kept_trainer")
        return trainer

    # Predictions of a few rows: what need not be checked again is not

    def _settings(self) -> tuple[Any, ...]:
        return (self.activation, self.out_activation_, self.backend, self.n_threads)

    def _prepare(self) -> None:
        """Note what the fast way of a prediction needs, where the lists are this object's views."""
        settings, ready = (*self._settings(), active()), self.__dict__.get("_ready")
        if ready is None or not self._owns_views() or (ready and ready[0].settings == settings):
            return
        net = self._network(self._flat.dtype)
        ready[:] = [Ready(net, self._flat.dtype, len(self.coefs_[0]), settings)]

    def _fast_outputs(self, X: Any) -> Array | None:
        """Outputs for a plain array of few finite rows; ``None`` where anything is unusual."""
        found: list[Ready] | None = self.__dict__.get("_ready")
        if not found:
            return None
        ready = found[0]
        if (
            X.__class__ is not np.ndarray
            # float32 rows and float64 parameters meet in float64.
            or not (X.dtype is ready.dtype or X.dtype is _FLOAT32)
            or X.ndim != 2
            or not 0 < X.size <= 4096
            or X.shape[1] != ready.n_in
            or "feature_names_in_" in self.__dict__
            or self.__dict__.get("n_features_in_") != ready.n_in
            or not self._owns_views()
            or (*self._settings(), active()) != ready.settings
            or not all_finite(X)
        ):
            return None
        x = X if X.dtype is ready.dtype else X.astype(ready.dtype)
        outputs: Array = ready.network.predict(self._flat, x)
        return outputs

    # Copies hold the optimizer's state; pickles unless they are to be small

    def _state(self) -> dict[str, Any]:
        parent: Any = super().__getstate__()
        state = {name: value for name, value in parent.items() if name not in _MADE_AGAIN}
        state["_owned"] = "coefs_" in state and self._owns_views()
        return state

    def __getstate__(self) -> dict[str, Any]:
        state = self._state()
        if "_optimizer" in state and not self.pickle_optimizer:
            state["_optimizer"] = state["_optimizer"].without_state()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        owned = state.pop("_owned", False)
        super().__setstate__(state)
        if owned:
            self._adopt(self._packed())

    def __copy__(self) -> Any:
        """A copy that can be trained on its own, as this object would be."""
        new = self.__class__.__new__(self.__class__)
        state = {k: v.copy() if isinstance(v, list) else v for k, v in self._state().items()}
        if "_optimizer" in state:
            state["_optimizer"] = state["_optimizer"].copy()
        new.__setstate__(state)
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        new = self.__class__.__new__(self.__class__)
        memo[id(self)] = new
        new.__setstate__(copy.deepcopy(self._state(), memo))
        return new
