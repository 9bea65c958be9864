"""The model's file: the network as ``MLP.save`` writes it, plus its preprocessing as metadata."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from fastmlp import MLP, serialization

from .._files import shown
from .._typing import Array
from ._preprocessing import Preprocessing

FILE_NAME = "model.safetensors"


@dataclass(frozen=True)
class Model:
    """A network with what lies between it and a file of data."""

    network: MLP
    preprocessing: Preprocessing

    def predict(self, x: Array) -> Array:
        """Outputs of the network, shape (n, n_out), for features as they stand in a file."""
        return np.asarray(self.network.predict(self.preprocessing.inputs(x, self.network.dtype)))

    def save(self, path: Path) -> None:
        """Write the file, all of it or nothing."""
        entries = {serialization.PREPROCESSING: self.preprocessing.to_json()}
        serialization.save(self.network, path, entries)

    @classmethod
    def load(cls, path: str | Path, n_threads: int | None = None) -> Model:
        """Read a model from its file, or from the folder that ``fastmlp train`` made."""
        path = Path(path)
        if path.is_dir():
            if not (path / FILE_NAME).is_file():
                raise FileNotFoundError(f"the folder {path} holds no {FILE_NAME}")
            path = path / FILE_NAME
        elif not path.exists():
            raise FileNotFoundError(f"no such file or folder: {shown(path)}")
        stored = serialization.read(path)
        text = stored.metadata.get(serialization.PREPROCESSING)
        if text is None:
            raise ValueError(
                f"{shown(path)} holds a network, but not how to prepare data for it (it was not "
                "written by fastmlp train); use MLP.load in Python"
            )
        network = MLP._restored(stored, n_threads=n_threads)
        return cls(network, Preprocessing.from_json(text))


def can_save() -> bool:
    """Whether the package for the file format is installed."""
    return find_spec("safetensors") is not None
