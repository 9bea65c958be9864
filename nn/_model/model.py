"""A model: the network as ``MLP.save`` writes it, with its preprocessing as metadata."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .. import serialization
from .._files import shown
from .._typing import Array
from ..datasets._encoding import Findings, encode
from ..datasets._frames import table_of
from ..mlp import MLP
from . import stored
from .preprocessing import Preprocessing

FILE_NAME = "model.safetensors"


@dataclass(frozen=True)
class Model:
    """A network with what lies between it and rows as people have them.

    Parameters
    ----------
    network : MLP
        Takes inputs that are scaled and encoded already.
    preprocessing : Preprocessing
        ``columns`` that are read, ``target_names`` that are predicted.
    """

    network: MLP
    preprocessing: Preprocessing

    def predict(self, data: Any) -> Array:
        """Classes by name, or real values in the unit of the target.

        Parameters
        ----------
        data : data frame, dict of columns, list of dicts, or rows
            Values as they stand in a table like the one that the model was trained on: numbers,
            text, dates. Rows without names have the values of ``preprocessing.columns`` in order.

        Returns
        -------
        (n,) or (n, n_targets) array
            One for each row of ``data``.
        """
        output = self.outputs(self.features(data))
        prepare = self.preprocessing
        if prepare.task == "classification":
            return np.array(prepare.target_names)[prepare.classes(output)]
        values = prepare.values(output.astype(np.float64))
        return values[:, 0] if values.shape[1] == 1 else values

    def predict_proba(self, data: Any) -> Array:
        """Probabilities of the classes, shape (n, n_classes), in the order of ``target_names``.

        Parameters
        ----------
        data : data frame, dict of columns, list of dicts, or rows
            As in :meth:`predict`.

        Returns
        -------
        (n, n_classes) array
            Each row adds up to 1.

        Raises
        ------
        ValueError
            Where outputs are no probabilities.
        """
        if not self.has_probabilities:
            raise ValueError("this model's outputs are no probabilities of classes")
        return self.preprocessing.probabilities(self.outputs(self.features(data)))

    @property
    def has_probabilities(self) -> bool:
        """Whether outputs are probabilities of the classes; others are scores of any scale."""
        if self.preprocessing.task != "classification":
            return False
        output, n_out = self.network.architecture.output, self.network.architecture.sizes[-1]
        return bool(output == "softmax" or (output == "sigmoid" and n_out == 1))

    def features(self, data: Any) -> Array:
        """Features of rows, as :meth:`outputs` takes them.

        Parameters
        ----------
        data : data frame, dict of columns, list of dicts, or rows
            As in :meth:`predict`.

        Returns
        -------
        (n, n_features) array
            Not scaled.

        Raises
        ------
        ValueError
            For values that the columns do not take, or images of another size.
        """
        prepare = self.preprocessing
        if prepare.image_shape is not None:
            x = np.asarray(data)
            x = x.reshape(len(x), -1)
            if x.shape[1] != prepare.n_features or x.dtype.kind not in "fiub":
                raise ValueError(
                    f"this model takes images of {prepare.n_features} pixels, got {x.shape[1]} "
                    f"values of {x.dtype}"
                )
            return x
        table = table_of(data, "the data", [column.name for column in prepare.columns])
        findings = Findings(strict=False)
        x = encode(table, prepare.columns, findings)
        if findings.bad:
            raise ValueError(next(iter(findings.bad.values())))
        for name, values in findings.unknown.items():
            warnings.warn(
                f"{sum(values.values())} values of {name!r} are none of the categories that the "
                f"model knows, such as {next(iter(values))!r}",
                UserWarning,
                stacklevel=3,
            )
        return x

    def outputs(self, x: Array) -> Array:
        """Outputs of the network, shape (n, n_out), for features that are not scaled.

        Parameters
        ----------
        x : (n, n_features) array
            What :meth:`features` has given.

        Returns
        -------
        (n, n_out) array
            Probabilities, or real values in the unit of the target.
        """
        return np.asarray(self.network.predict(self.preprocessing.inputs(x, self.network.dtype)))

    def raw_network(self) -> MLP:
        """A network for features that are not scaled, whose outputs are values of the targets.

        The scaling of inputs becomes a part of its first layer, that of real targets a part of its
        last one. Text, dates and missing values must be features already
        (``preprocessing.columns`` says how).

        Returns
        -------
        MLP
            A new network; the model keeps its own.

        Raises
        ------
        ValueError
            Where several outputs describe one target.
        """
        prepare = self.preprocessing
        if prepare.loss is not None:
            raise ValueError(
                f"the outputs of this model describe a distribution ({prepare.loss}), and a "
                "network alone has no place for its scale: predict with the model"
            )
        network = copy.deepcopy(self.network)
        weights = network.weights[0].astype(np.float64)
        scaled = weights / np.broadcast_to(prepare.scale, len(weights))[:, None]
        moved = np.broadcast_to(prepare.offset, len(weights)) @ scaled
        network.weights[0], network.biases[0] = scaled, network.biases[0] - moved
        if prepare.task == "regression":
            network.weights[-1] = network.weights[-1] * prepare.target_scale
            network.biases[-1] = network.biases[-1] * prepare.target_scale + prepare.target_offset
        return network

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, all of it or nothing.

        Parameters
        ----------
        path : str or path
            File to write.
        """
        entries = {serialization.PREPROCESSING: stored.to_text(self.preprocessing)}
        serialization.save(self.network, path, entries)

    @classmethod
    def load(cls, path: str | os.PathLike[str], n_threads: int | None = None) -> Model:
        """Read a model; see :func:`fastmlp.load_model`.

        Parameters
        ----------
        path : str or path
            File to read.
        n_threads : int, optional
            Threads of the network.

        Returns
        -------
        Model
            Ready to predict.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Where the file is damaged, or holds a network alone.
        """
        file = Path(path)
        if file.is_dir():
            if not (file / FILE_NAME).is_file():
                raise FileNotFoundError(f"the folder {shown(file)} holds no {FILE_NAME}")
            file = file / FILE_NAME
        elif not file.exists():
            raise FileNotFoundError(f"no such file or folder: {shown(file)}")
        found = serialization.read(file)
        text = found.metadata.get(serialization.PREPROCESSING)
        if text is None:
            raise ValueError(
                f"{shown(file)} holds a network, but not how to prepare data for it (it was not "
                "written by fastmlp train); use MLP.load in Python"
            )
        try:
            preprocessing = stored.from_text(text, found.architecture)
        except ValueError as error:
            raise ValueError(f"{shown(file)}: {error}") from error
        return cls(MLP._restored(found, n_threads=n_threads), preprocessing)


def load_model(path: str | os.PathLike[str], *, n_threads: int | None = None) -> Model:
    """Read a model that ``fastmlp train`` has written: a network and the preparation of its data.

    Parameters
    ----------
    path : path
        The file, or the folder that it lies in.
    n_threads : int, optional
        As of :class:`fastmlp.MLP`.

    Returns
    -------
    Model
        ``model.predict(frame)`` takes rows as they are: data frames, dictionaries, lists.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is damaged, or holds a network alone.

    Examples
    --------
    >>> import contextlib, io
    >>> import fastmlp
    >>> from fastmlp.cli import main
    >>> with contextlib.redirect_stdout(io.StringIO()):
    ...     status = main(["train", "digits", "--epochs", "1", "--out", "digits"])
    >>> model = fastmlp.load_model("digits")
    >>> model.network.architecture.sizes
    (64, 100, 10)
    """
    return Model.load(path, n_threads)


def can_save() -> bool:
    """Whether the package for the file format is installed."""
    return find_spec("safetensors") is not None
