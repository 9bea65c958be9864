"""The model's file: the network as ``MLP.save`` writes it, plus its preprocessing as metadata."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from fastmlp import MLP

from .._typing import Array
from ._preprocessing import Preprocessing

FILE_NAME = "model.safetensors"
#: Key of the metadata; ``MLP.load`` reads the same file and leaves this aside.
KEY = "fastmlp.cli.preprocessing"


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
        from safetensors import safe_open
        from safetensors.numpy import save_file

        # The network writes its own part of the file, so that its format is known in one place.
        partial = path.with_name(f"{path.name}.part")
        try:
            self.network.save(partial)
            with safe_open(str(partial), framework="numpy") as file:
                metadata = dict(file.metadata())
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            save_file(tensors, str(partial), {**metadata, KEY: self.preprocessing.to_json()})
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path, n_threads: int | None = None) -> Model:
        """Read a model from its file, or from the folder that ``fastmlp train`` made."""
        path = Path(path)
        if path.is_dir():
            if not (path / FILE_NAME).is_file():
                raise FileNotFoundError(f"the folder {path} holds no {FILE_NAME}")
            path = path / FILE_NAME
        network = MLP.load(path, n_threads=n_threads)
        from safetensors import safe_open

        with safe_open(str(path), framework="numpy") as file:
            text = file.metadata().get(KEY)
        if text is None:
            raise ValueError(
                f"{path} holds a network, but not how to prepare data for it (it was not written "
                "by fastmlp train); use MLP.load in Python"
            )
        return cls(network, Preprocessing.from_json(text))


def can_save() -> bool:
    """Whether the package for the file format is installed."""
    return find_spec("safetensors") is not None
