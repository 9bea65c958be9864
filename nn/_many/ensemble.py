"""An ensemble of networks: their mean, and how far they differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._cluster.cluster import Cluster
from .._inputs import numbers
from .._network import construction
from .._streams.rows import by_blocks, is_source
from .._typing import Array
from ..data._source import as_source
from ..history import History
from ..mlp import MLP
from . import files, of_sources, settings
from .arguments import each
from .fitting import fit_many
from .prediction import predict_many
from .selection import greedy, moments

FORMAT = "fastmlp.MLPEnsemble"


class MLPEnsemble:
    """Networks that are trained side by side and answer together.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, ``(n_in, …, n_out)``; ``fit(vary={"sizes": […]})`` may try others.
    n_networks : int, default 16
        How many there are.
    activation, output, dtype : optional
        As for :class:`fastmlp.MLP`.
    random_state : int, numpy.random.Generator or None
        Draws the seeds of the networks, their settings and their rows.
    n_threads, init : optional
        As for :class:`fastmlp.MLP`.

    Attributes
    ----------
    networks : list of MLP
        After ``fit``.
    counts : (n_networks,) array of int
        How often each counts in the mean: 1, or what a selection has chosen.
    settings : list of dict
        What was drawn for each by ``vary``.
    rows : list of arrays, or None
        The rows that each was trained on, with ``bootstrap``.
    histories : list of History

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLPEnsemble
    >>> X = np.linspace(-2, 2, 80)[:, None]
    >>> ensemble = MLPEnsemble([1, 16, 1], n_networks=8, activation="tanh", random_state=0)
    >>> _ = ensemble.fit(X, np.sin(2 * X), epochs=60, bootstrap=True)
    >>> mean, spread = ensemble.predict([[0.5], [6.0]], return_std=True)
    >>> bool(spread[1, 0] > spread[0, 0])  # far from all rows the networks disagree
    True
    """

    def __init__(
        self,
        sizes: Sequence[int],
        n_networks: int = 16,
        *,
        activation: Any = "relu",
        output: str = "identity",
        dtype: DTypeLike = np.float32,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
        init: Any = None,
    ) -> None:
        self._network: dict[str, Any] = {
            "sizes": sizes,
            "activation": activation,
            "output": output,
            "dtype": dtype,
            "n_threads": n_threads,
            "init": init,
        }
        first = MLP(**self._network, random_state=0)  # checks them
        self.sizes, self.output = first.architecture.sizes, first.architecture.output
        self.n_networks = numbers.count("n_networks", n_networks, 1)
        self.random_state, self.n_threads = random_state, n_threads
        self.networks: list[MLP] = []
        self.counts: Array = np.zeros(0, np.intp)
        self.settings: list[dict[str, Any]] = []
        self.rows: list[Array] | None = None
        self.histories: list[History] = []

    def __repr__(self) -> str:
        names = "-".join(map(str, self.sizes))
        state = f"{np.count_nonzero(self.counts)} count" if self.networks else "not fitted"
        return f"MLPEnsemble({names}, {self.n_networks} networks, {state})"

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        validation_data: Any = None,
        bootstrap: bool = False,
        vary: Mapping[str, Any] | None = None,
        select: str | None = None,
        progress: Any = False,
        **options: Any,
    ) -> list[History]:
        """Make new networks and train them.

        Parameters
        ----------
        X, y : array-like, or a source alone
            As in :meth:`fastmlp.MLP.fit`.
        validation_data : (X, y), (X, y, sample_weight) or source, optional
            Rows to select on; with a stop rule or metrics also what those look at.
        bootstrap : bool, default False
            Train each network on as many rows, drawn with replacement.
        vary : dict, optional
            Name → list of values, or a distribution (``fastmlp.model_selection.loguniform`` and
            its like, or one of scipy.stats): each network gets one value, drawn at random. Names
            are those of options of ``fit``, and ``sizes``, ``activation`` and ``init``.
        select : "greedy" or None
            ``"greedy"`` keeps the networks whose mean is best on the validation rows: R. Caruana
            et al., *Ensemble selection from libraries of models*, ICML 2004, with replacement.
        progress : bool or function
            As in :func:`fastmlp.fit_many`.
        **options
            Those of :func:`fastmlp.fit_many`, the same for all networks.

        Returns
        -------
        list of History
            One for each network.

        Raises
        ------
        TypeError, ValueError
            Before anything is changed.
        """
        if select not in (None, "greedy"):
            raise ValueError(f"select must be 'greedy' or None, got {select!r}")
        if select and validation_data is None:
            raise ValueError("select='greedy' needs validation_data to select on")
        space = settings.check_vary(vary)
        if both := sorted(set(space) & set(options)):
            raise ValueError(f"{both[0]} is given as an option and in vary")
        networks, drawn, generators = self._drawn(space, options.get("comm"))
        rows = None
        if bootstrap and y is None:
            raise ValueError("bootstrap draws rows of an array, and X is a source")
        if bootstrap:
            n = X.shape[0] if hasattr(X, "shape") else len(X)
            rows = [np.sort(generator.integers(n, size=n)) for generator in generators]
        given: dict[str, Any] = {
            name: each([one[name] for one in drawn])
            for name in space
            if name not in settings.OF_NETWORKS
        }
        looked_at = options.get("stop") is not None or options.get("metrics") or "stop" in given
        if validation_data is not None and looked_at:
            given["validation_data"] = validation_data
        histories = fit_many(
            networks,
            X,
            y,
            rows=rows,
            n_threads=self.n_threads,
            progress=progress,
            **options,
            **given,
        )
        counts = np.ones(len(networks), np.intp)
        if select:
            counts = self._select(networks, validation_data, options)
        self.networks, self.counts, self.settings = networks, counts, drawn
        self.rows, self.histories = rows, histories
        return histories

    def _drawn(
        self, space: Mapping[str, Any], comm: Any
    ) -> tuple[list[MLP], list[dict[str, Any]], list[Any]]:
        """New networks, their settings, and a generator for the rows of each."""
        root = self.random_state
        if not isinstance(root, np.random.Generator):
            root = np.random.default_rng(root)
        networks, drawn, generators = [], [], []
        sequence: Any = root.bit_generator.seed_seq
        if comm is not None:
            sequence = Cluster(comm, None).same_seeds(sequence)
        for seeds in sequence.spawn(self.n_networks):
            of_settings, of_network, of_rows = map(np.random.default_rng, seeds.spawn(3))
            found = settings.draw(space, of_settings)
            own = {name: found[name] for name in settings.OF_NETWORKS if name in found}
            networks.append(MLP(**{**self._network, **own}, random_state=of_network))
            drawn.append(found)
            generators.append(of_rows)
        shapes = {(net.architecture.sizes[0], net.architecture.sizes[-1]) for net in networks}
        if shapes != {(self.sizes[0], self.sizes[-1])}:
            raise ValueError(
                f"vary['sizes'] must keep {self.sizes[0]} inputs and {self.sizes[-1]} outputs"
            )
        return networks, drawn, generators

    def _select(self, networks: list[MLP], validation_data: Any, options: Any) -> Array:
        """How often each network counts, from the validation rows."""
        net, smoothing = networks[0], options.get("label_smoothing", 0.0)
        loss = net._loss(options.get("loss"), smoothing, options.get("missing_targets", "error"))
        if is_source(validation_data):
            rows, target, weights = validation_data, *of_sources.targets(net, validation_data, loss)
        else:
            x, y, *weight = validation_data
            rows, target, weights, _ = net._batch(x, y, loss, *weight)
        outputs = predict_many(networks, rows, n_threads=self.n_threads)
        return greedy(outputs, target, loss, self.output, weights)[0]

    # What they say together

    def predict_all(self, X: ArrayLike) -> Array:
        """Values of the output layer of every network, ``(n_networks, n, n_out)``.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.

        Returns
        -------
        (n_networks, n, n_out) array
            Also of networks that do not count in the mean.
        """
        self._check_fitted()
        return predict_many(self.networks, X, n_threads=self.n_threads)

    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Mean of the networks that count.

        Parameters
        ----------
        X : (n, n_in) array-like, or source
            Rows; those of a source block by block.
        return_std : bool, default False
            Also return their standard deviation: how far the networks differ, which tells rows
            unlike those of training from others. Noise of the targets is not in it.

        Returns
        -------
        mean : (n, n_out) array
            Weighed by ``counts``.
        std : (n, n_out) array
            Only with ``return_std``.
        """
        self._check_fitted()
        if is_source(X):
            both = by_blocks(as_source(X), lambda x: np.stack(self.predict(x, True), axis=1), None)
            return (both[:, 0], both[:, 1]) if return_std else both[:, 0]
        counting = [net for net, count in zip(self.networks, self.counts, strict=True) if count]
        weights = self.counts[self.counts > 0] / self.counts.sum()
        outputs = predict_many(counting, X, n_threads=self.n_threads)
        mean, std = moments(outputs, weights)
        return (mean, std) if return_std else mean

    def predict_classes(self, X: ArrayLike) -> Array:
        """The class that the mean chooses, ``(n,)``; of one output 0 or 1.

        Parameters
        ----------
        X : (n, n_in) array-like
            Rows.

        Returns
        -------
        (n,) array of int
            Class numbers ``0 … n_out - 1``.
        """
        mean = self.predict(X)
        if mean.shape[1] == 1:
            return np.asarray(mean[:, 0] > (0.5 if self.output == "sigmoid" else 0)).astype(np.intp)
        return np.asarray(mean.argmax(axis=1))

    def _check_fitted(self) -> None:
        if not self.networks:
            raise ValueError("this MLPEnsemble has no networks yet: call fit before")

    # Storage

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all networks and how often each counts to one safetensors file.

        Parameters
        ----------
        path : str or path
            File to write; what it held is replaced at once, or not at all.

        Raises
        ------
        ValueError, OSError
            Where it is not fitted, an activation has no name, or the file cannot be written.
        """
        self._check_fitted()
        entry = {"counts": self.counts.tolist(), "sizes": list(self.sizes)}
        files.save(path, FORMAT, self.networks, entry)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, n_threads: int | None = None) -> MLPEnsemble:
        """Read an ensemble that :meth:`save` has written; histories and settings are not in it.

        Parameters
        ----------
        path : str or path
            File to read.
        n_threads : int, optional
            Threads of the ensemble in all.

        Returns
        -------
        MLPEnsemble
            Ready to predict.

        Raises
        ------
        FileNotFoundError, ValueError
            Where there is no such file, or it is damaged or holds something else.
        """

        def made(networks: list[MLP], entry: dict[str, Any]) -> MLPEnsemble:
            counts = np.array(entry["counts"], np.intp)
            if counts.shape != (len(networks),) or counts.min(initial=0) < 0 or not counts.any():
                raise ValueError(f"it must say how often each of {len(networks)} networks counts")
            first, layers = networks[0].architecture, [net.architecture.sizes for net in networks]
            if any((sizes[0], sizes[-1]) != (first.sizes[0], first.sizes[-1]) for sizes in layers):
                raise ValueError(f"its networks must have equal inputs and outputs, got {layers}")
            ensemble = cls(
                first.sizes, len(networks), output=first.output, dtype=networks[0].dtype,
                n_threads=n_threads,
            )  # fmt: skip
            # No network of the sizes for a new fit is made here: nobody vouches for them.
            asked = construction.architecture(entry["sizes"], "relu", first.output)
            ensemble.sizes = ensemble._network["sizes"] = asked.sizes
            ensemble.networks, ensemble.counts = networks, counts
            return ensemble

        return files.load(path, FORMAT, made, n_threads)
