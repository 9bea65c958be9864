"""A network's file."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Self

import numpy as np
from fastmlp.kernels import check_threads

from . import construction
from .network import Network

if TYPE_CHECKING:
    from .. import serialization


class Stored(Network):
    """A network that can be written to a file and read again."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and architecture to a safetensors file.

        The file appears at once and whole, or the one that was there stays, whatever happens
        meanwhile; several threads and processes may write to one path.

        Parameters
        ----------
        path : str or path
            File to write.

        Raises
        ------
        ImportError
            Where safetensors is not installed (``pip install 'fastmlp[io]'``).
        OSError
            Where the file cannot be written.
        """
        from .. import serialization

        serialization.save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> Self:
        """Read a network that :meth:`save` has written.

        Parameters
        ----------
        path : str or path
            File to read.
        random_state : int, numpy.random.Generator or None
            What later training draws from.
        n_threads : int, optional
            Limit of the threads; ``None`` is the default thread count.

        Returns
        -------
        MLP
            With the parameters that were saved.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Where the file is damaged or is not a network of this package.
        """
        from .. import serialization
        from .._files import shown

        stored = serialization.read(path)
        if serialization.PREPROCESSING in stored.metadata:
            warnings.warn(
                f"{shown(path)} also says how its data are prepared (scaling, categories), which "
                "the network alone knows nothing of: fastmlp.load_model(path) reads both",
                UserWarning,
                stacklevel=2,
            )
        return cls._restored(stored, random_state=random_state, n_threads=n_threads)

    @classmethod
    def _restored(
        cls,
        stored: serialization.StoredNetwork,
        *,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> Self:
        """The network that a file holds."""
        check_threads(n_threads)
        network = cls.__new__(cls)
        architecture, tensors = stored.architecture, stored.tensors
        parameters = architecture.zeros(stored.dtype)
        generator = construction.generator(random_state)
        network._setup(architecture, parameters, generator, n_threads)
        layers = range(len(network.architecture.sizes) - 1)
        network.weights = [tensors[f"weights.{i}"] for i in layers]
        network.biases = [tensors[f"biases.{i}"] for i in layers]
        return network
