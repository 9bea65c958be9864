"""A network for each group of rows: :class:`GroupedMLP`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._inputs import arrays, numbers, tables
from .._streams.rows import is_source
from .._typing import Array
from ..history import History
from ..mlp import MLP
from . import files
from .crew import Crew, threads_of
from .fitting import fit_many

FORMAT = "fastmlp.GroupedMLP"


class GroupedMLP:
    """One network for each group of rows: each series, shop, patient or region its own.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, ``(n_in, …, n_out)``, of every network.
    activation, output, dtype : optional
        As for :class:`fastmlp.MLP`.
    shared_epochs : int, default 0
        Epochs of one network on all rows, from whose parameters those of the groups start: what
        groups have in common is learnt from all of them. 0 lets each group start on its own.
    min_rows : int, default 1
        Groups with fewer rows have no network of their own and are answered by the shared one.
    random_state : int, numpy.random.Generator or None
        Draws the seeds of the networks.
    n_threads, init : optional
        As for :class:`fastmlp.MLP`.

    Attributes
    ----------
    networks : dict of label → MLP
    shared : MLP or None
        The network that all groups have started from.
    labels : list
        All groups that were there, sorted, with those that are too small.
    histories : dict of label → History
        Of the shared network under ``None``.

    Raises
    ------
    ValueError
        For settings out of range, or ``min_rows`` above 1 without a shared network.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import GroupedMLP
    >>> rng = np.random.default_rng(0)
    >>> x, shop = rng.uniform(-1, 1, (600, 1)), rng.choice(["north", "south", "east"], 600)
    >>> y = np.where(shop == "north", x[:, 0], x[:, 0] ** 2)
    >>> model = GroupedMLP([1, 16, 1], shared_epochs=5, random_state=0)
    >>> _ = model.fit(x, y, shop, epochs=40, learning_rate=0.01)
    >>> model.predict([[-0.5], [-0.5]], ["north", "south"]).ravel().round(1)
    array([-0.5,  0.2], dtype=float32)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Any = "relu",
        output: str = "identity",
        dtype: DTypeLike = np.float32,
        shared_epochs: int = 0,
        min_rows: int = 1,
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
        self.architecture, self.dtype = first.architecture, first.dtype
        self.shared_epochs = numbers.count("shared_epochs", shared_epochs, 0)
        self.min_rows = numbers.count("min_rows", min_rows, 1)
        if self.min_rows > 1 and not self.shared_epochs:
            raise ValueError("min_rows leaves groups to the shared network: give shared_epochs")
        self.random_state, self.n_threads = random_state, n_threads
        self.networks: dict[Any, MLP] = {}
        self.shared: MLP | None = None
        self.labels: list[Any] = []
        self.histories: dict[Any, History] = {}

    def __repr__(self) -> str:
        names = "-".join(map(str, self.architecture.sizes))
        state = f"{len(self.networks)} groups" if self.labels else "not fitted"
        return f"GroupedMLP({names}, {state})"

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | str,
        groups: ArrayLike | str,
        *,
        sample_weight: ArrayLike | None = None,
        progress: Any = False,
        **options: Any,
    ) -> dict[Any, History]:
        """Make new networks and train each on the rows of its group.

        Parameters
        ----------
        X : (n, n_in) array-like, or data frame
            Rows of all groups, in any order.
        y : array-like, or name of a column of X
            As in :meth:`fastmlp.MLP.fit`.
        groups : (n,) array-like of numbers or text, or name of a column of X
            The group of each row.
        sample_weight : (n,) array-like, optional
            Factor of each row, not negative.
        progress : bool or function
            As in :func:`fastmlp.fit_many`.
        **options
            Those of :meth:`fastmlp.MLP.fit`; the shared network has them too, but ``epochs``.

        Returns
        -------
        dict of label → History
            Learning curves of each group's network, and of the shared one under ``None``.

        Raises
        ------
        TypeError, ValueError
            Before anything is changed.
        """
        x, target, found = _data(X, y, groups)
        labels, codes = np.unique(found, return_inverse=True)
        if len(found) != len(x):
            raise ValueError(
                f"groups must hold one label for each of {len(x)} rows, got {len(found)}"
            )
        # The rows of a group lie side by side: its network is trained on them where they are.
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=len(labels))
        ends = np.cumsum(counts)
        weight = None if sample_weight is None else np.asarray(sample_weight)[order]
        rows = [
            slice(end - n, end) for end, n in zip(ends, counts, strict=True) if n >= self.min_rows
        ]
        own = [
            label for label, n in zip(labels.tolist(), counts, strict=True) if n >= self.min_rows
        ]
        shared, networks = self._new_networks(len(own))
        data = {"X": x[order], "y": target[order], "sample_weight": weight, "progress": progress}
        histories: dict[Any, History] = {}
        if shared is not None:
            given = {**options, "epochs": self.shared_epochs}
            histories[None] = fit_many([shared], n_threads=self.n_threads, **{**data, **given})[0]
            for net in networks:
                net.parameters[...] = shared.parameters
        found_histories = fit_many(networks, rows=rows, n_threads=self.n_threads, **data, **options)
        histories |= dict(zip(own, found_histories, strict=True))
        self.networks, self.shared = dict(zip(own, networks, strict=True)), shared
        self.labels, self.histories = labels.tolist(), histories
        return histories

    def _new_networks(self, k: int) -> tuple[MLP | None, list[MLP]]:
        root = self.random_state
        if not isinstance(root, np.random.Generator):
            root = np.random.default_rng(root)
        first, *seeds = root.spawn(k + 1)
        shared = MLP(**self._network, random_state=first) if self.shared_epochs else None
        return shared, [MLP(**self._network, random_state=seed) for seed in seeds]

    def predict(self, X: ArrayLike, groups: ArrayLike | str) -> Array:
        """Values of the output layer, each row's by the network of its group.

        Parameters
        ----------
        X : (n, n_in) array-like, or data frame
            With a column of groups, where that is given by its name.
        groups : (n,) array-like, or name of a column of X
            The group of each row.

        Returns
        -------
        (n, n_out) array
            In the order of the rows.

        Raises
        ------
        ValueError
            For a group that was not there in ``fit``, unless there is a shared network, which
            then answers.
        """
        if not self.labels:
            raise ValueError("this GroupedMLP has no networks yet: call fit before")
        x, _, found = _data(X, None, groups)
        x = arrays.rows(x, self.architecture.sizes[0], self.dtype)
        if len(found) != len(x):
            raise ValueError(
                f"groups must hold one label for each of {len(x)} rows, got {len(found)}"
            )
        labels, codes = np.unique(found, return_inverse=True)
        asked = labels.tolist()
        answering = [self.networks.get(label, self.shared) for label in asked]
        unknown = [label for label, net in zip(asked, answering, strict=True) if net is None]
        if unknown:
            raise ValueError(f"no network has been trained for the group {unknown[0]!r}")
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(labels)))
        outputs = np.empty((len(x), self.architecture.sizes[-1]), self.dtype)
        starts = [0, *ends[:-1].tolist()]

        def answer(i: int) -> None:
            rows, net = order[starts[i] : ends[i]], answering[i]
            assert net is not None
            outputs[rows] = net.predict(x[rows])

        crew = Crew(np.diff([0, *ends]).tolist(), threads_of(self.n_threads), answer)
        if float(len(x)) * self.architecture.n_parameters < 1e7:
            crew.alone()
        crew.run()
        return outputs

    # Storage

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all networks and their labels to one safetensors file.

        Parameters
        ----------
        path : str or path
            File to write; what it held is replaced at once, or not at all.

        Raises
        ------
        ValueError
            Where it is not fitted.
        OSError
            Where the file cannot be written.
        """
        if not self.labels:
            raise ValueError("this GroupedMLP has no networks yet: call fit before")
        networks = [*self.networks.values(), *([] if self.shared is None else [self.shared])]
        entry = {
            "labels": self.labels,
            "networks": list(self.networks),
            "shared": self.shared is not None,
            "sizes": list(self.architecture.sizes),
        }
        files.save(path, FORMAT, networks, entry)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, n_threads: int | None = None) -> GroupedMLP:
        """Read what :meth:`save` has written, to predict with; histories are not in it.

        Parameters
        ----------
        path : str or path
            File to read.
        n_threads : int, optional
            Threads of all networks together.

        Returns
        -------
        GroupedMLP
            Ready to predict.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Where the file is damaged or holds something else.
        """

        def made(networks: list[MLP], entry: dict[str, Any]) -> GroupedMLP:
            names, labels, shared = entry["networks"], entry["labels"], entry["shared"]
            listed = isinstance(names, list) and isinstance(labels, list)
            if not listed or not labels or len(names) + bool(shared) != len(networks):
                raise ValueError("it must hold one network for each of its groups")
            if not all(type(name) in (str, int, bool) for name in (*names, *labels)):
                raise ValueError("groups must be whole numbers or text")
            if not set(names) <= set(labels) or not (shared or set(names) == set(labels)):
                raise ValueError("its networks must be those of its groups")
            first = networks[0]
            if any(net.architecture != first.architecture for net in networks):
                raise ValueError("its networks must have one architecture")
            model = cls(
                first.architecture.sizes, output=first.architecture.output, dtype=first.dtype,
                n_threads=n_threads,
            )  # fmt: skip
            model.architecture, model.labels = first.architecture, labels
            model.shared = networks.pop() if shared else None
            model.networks = dict(zip(names, networks, strict=True))
            return model

        return files.load(path, FORMAT, made, n_threads)


def _check_labels(labels: Array, n: int) -> None:
    if len(labels) != n:
        raise ValueError(f"groups must hold one label for each of {n} rows, got {len(labels)}")


def _data(X: Any, y: Any, groups: Any) -> tuple[Array, Any, Array]:
    """Rows, targets and labels; of a data frame ``y`` and ``groups`` may be columns."""
    if is_source(X):
        raise TypeError("GroupedMLP takes arrays or a data frame, and X is a source of blocks")
    names = [value for value in (y, groups) if isinstance(value, str)]
    if names and not tables.is_table(X):
        raise TypeError(f"{names[0]!r} names a column, and X is no data frame")
    if names:
        x, taken = tables.apart(X, names)
        by_name = dict(zip(names, taken, strict=True))
        y = by_name[y] if isinstance(y, str) else y
        groups = by_name[groups] if isinstance(groups, str) else groups
    else:
        x = arrays.numeric(X, "X")
    labels = np.asarray(groups)
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels):
        labels = labels.astype(str)
    if labels.ndim != 1 or labels.dtype.kind not in "iubU":
        raise TypeError(
            "groups must hold whole numbers or text, one for each row, got an array of "
            f"{labels.dtype} with shape {labels.shape}"
        )
    return x, None if y is None else arrays.numeric(y, "y"), labels
