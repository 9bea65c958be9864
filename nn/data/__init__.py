"""Data larger than memory: sources of blocks of rows, read while the network is trained.

A source is any object with ``len(source)`` and ``source[i]``, a block ``(X, y)`` or
``(X, y, sample_weight)``; ``MLP.fit(source)`` and the estimators take one. These functions make
sources of what people have:

====================  =========================================================================
:func:`arrays`        arrays, memory maps, sparse matrices
:func:`npy`           ``.npy`` files, opened without loading them
:func:`parquet`       Parquet files and folders of them (pyarrow)
:func:`arrow`         tables and data sets of pyarrow
:func:`query`         a LazyFrame of polars, a relation of DuckDB
:func:`csv`           CSV files of any size
:func:`hdf5`          data sets of an HDF5 file (h5py)
:func:`zarr`          arrays of a Zarr group (zarr)
:func:`batches`       any iterable of batches, such as a torch ``DataLoader``: one pass an epoch
====================  =========================================================================

All are a :class:`Source`, with ``source.map(function)``, ``source.split(0.1, random_state=0)`` and
the memory that training holds of it at most; :func:`source` gives these to an object of your own.

``_source.py`` says what a source is, ``_views.py`` what is made of one; ``_arrays.py``,
``_tables.py``, ``_text.py`` and ``_batches.py`` read. How training goes through a source is in
``fastmlp._streams``.
"""

from __future__ import annotations

from typing import Any

from ._arrays import arrays, hdf5, npy, zarr
from ._batches import batches
from ._queries import query
from ._source import MEMORY, Source, as_source
from ._tables import arrow, parquet

__all__ = [
    "Source",
    "arrays",
    "arrow",
    "batches",
    "csv",
    "hdf5",
    "npy",
    "parquet",
    "query",
    "source",
    "zarr",
]


def source(blocks: Any, *, memory: int | str = MEMORY, buffer: int | None = None) -> Source:
    """Make a :class:`Source` of an object with ``len(blocks)`` and ``blocks[i] -> (X, y)``.

    Parameters
    ----------
    blocks : object
        Blocks may have a third part, ``sample_weight``; each is read when training needs it.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        For ``fit``, ``predict`` and :meth:`Source.split`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, data
    >>> class Days:
    ...     def __len__(self):
    ...         return 7
    ...     def __getitem__(self, day):
    ...         return np.full((24, 3), day), np.zeros(24)
    >>> history = MLP([3, 4, 1]).fit(data.source(Days(), memory="10 MB"), epochs=2)
    """
    return as_source(blocks).held(memory, buffer)


def __getattr__(name: str) -> Any:
    if name == "csv":  # the readers of text take longer to import than the rest
        from ._text import csv

        return csv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
