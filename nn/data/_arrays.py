"""Sources of whatever has a shape and can be sliced: arrays, memory maps, HDF5, Zarr."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from .._files import shown
from .._inputs import numbers, sparse
from .._typing import Array
from ._missing import needed
from ._source import MEMORY, Source

#: Bytes of a block that nobody has chosen the size of: a disk reads it in one go, and a buffer
#: holds many.
BLOCK = 8 * 2**20


class Arrays(Source):
    """Rows of arrays, cut into blocks.

    Parameters
    ----------
    x : (n, n_in) array, memory map or sparse matrix, or what is sliced like one
    y : (n,) or (n, n_out) array or memory map
    weight : (n,) array or memory map, optional
    block_rows : int, optional
    name : str
    by_rows : bool
        Whether rows can be taken in any order.
    """

    def __init__(
        self, x: Any, y: Any, weight: Any, block_rows: int | None, name: str, by_rows: bool
    ) -> None:
        self._x = x.tocsr() if sparse.is_sparse(x) and hasattr(x, "tocsr") else x
        self._parts = [self._x, y] if weight is None else [self._x, y, weight]
        self._name, self.by_rows = name, by_rows
        if len(np.shape(x)) != 2:
            raise ValueError(f"X of {name} must have shape (n, n_in), got {np.shape(x)}")
        lengths = [np.shape(part)[0] if np.shape(part) else 0 for part in self._parts]
        if len(set(lengths)) > 1:
            raise ValueError(f"{name}: X, y and weights must have equally many rows, got {lengths}")
        self._n = int(lengths[0])
        self._asked = None if block_rows is None else numbers.count("block_rows", block_rows, 1)

    @property
    def block_rows(self) -> int:
        """Rows of a block; the last has what is left."""
        if self._asked is not None:
            return self._asked
        row = max(1, sum(_row_bytes(part) for part in self._parts))
        n = max(1, min(BLOCK, self.memory // 20) // row)
        chunk = (getattr(self._x, "chunks", None) or (1,))[0]
        return max(n // chunk, 1) * chunk  # as the file is cut into pieces

    def __len__(self) -> int:
        return -(-self._n // self.block_rows)

    def __getitem__(self, i: int) -> Any:
        start = i * self.block_rows
        return tuple(_read(part, slice(start, start + self.rows(i))) for part in self._parts)

    def rows(self, i: int) -> int:
        if not 0 <= i < len(self):
            raise IndexError(f"block must lie in 0…{len(self) - 1}, got {i}")
        return min(self.block_rows, self._n - i * self.block_rows)

    @property
    def n_rows(self) -> int:
        return self._n

    def place(self, i: int) -> str:
        start = i * self.block_rows
        return f"rows {start}…{start + self.rows(i) - 1} of {self._name}"

    @property
    def name(self) -> str:
        return self._name

    def take(self, rows: Array) -> Any:
        if not self.by_rows:
            return super().take(rows)
        return tuple(_read(part, rows) for part in self._parts)


def arrays(
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    block_rows: int | None = None,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Source:
    """Rows of arrays, memory maps or a sparse matrix in blocks.

    Parameters
    ----------
    X : (n, n_in) array, numpy.memmap or sparse matrix
        Features, in memory or in a file.
    y : (n,) or (n, n_out) array or numpy.memmap
        Targets: class labels, or real values.
    sample_weight : (n,) or (n, n_targets) array or numpy.memmap, optional
        Factor of each row, or of each target of each row, not negative.
    block_rows : int, optional
        Rows of a block, by default 8 MiB of them.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        With known numbers of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, data
    >>> X = np.lib.format.open_memmap("X.npy", "w+", np.float32, (5000, 4))
    >>> source = data.arrays(X, np.zeros(5000), block_rows=1000, memory="50 MB")
    >>> len(source), source.n_rows
    (5, 5000)
    >>> history = MLP([4, 8, 1]).fit(source, epochs=2)
    """
    x = X if sparse.is_sparse(X) or hasattr(X, "shape") else np.asarray(X)
    file = getattr(x, "filename", None)
    name = shown(file) if file else "the arrays"
    y = y if hasattr(y, "shape") else np.asarray(y)
    source = Arrays(x, y, sample_weight, block_rows, name, by_rows=True)
    return source.held(memory, buffer)


def npy(
    X: str | os.PathLike[str],
    y: str | os.PathLike[str],
    sample_weight: str | os.PathLike[str] | None = None,
    *,
    block_rows: int | None = None,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Source:
    """Rows of ``.npy`` files, which are opened without loading them; options of :func:`arrays`.

    Parameters
    ----------
    X, y, sample_weight : str or path
        Files of features, targets and, where there are any, weights of rows.
    block_rows : int, optional
        Rows of a block, by default 8 MiB of them.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        With known numbers of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import data
    >>> np.save("X.npy", np.zeros((300, 4), np.float32))
    >>> np.save("y.npy", np.zeros(300))
    >>> source = data.npy("X.npy", "y.npy", block_rows=100)
    >>> len(source), source.n_rows
    (3, 300)
    """
    paths = [path for path in (X, y, sample_weight) if path is not None]
    opened = [_opened(path) for path in paths]
    return arrays(*opened, block_rows=block_rows, memory=memory, buffer=buffer)


def hdf5(
    path: str | os.PathLike[str],
    X: str = "X",
    y: str = "y",
    sample_weight: str | None = None,
    *,
    block_rows: int | None = None,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Source:
    """Rows of data sets of an HDF5 file, by h5py; options of :func:`arrays`.

    Parameters
    ----------
    path : str or path
        The file.
    X, y, sample_weight : str
        Names of the data sets.
    block_rows : int, optional
        Rows of a block, by default 8 MiB of them.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        With known numbers of rows.

    Raises
    ------
    ImportError
        Where h5py is not installed.
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where it is no HDF5 file, or has no such data sets of as many rows.

    Examples
    --------
    >>> import h5py, numpy as np
    >>> from fastmlp import data
    >>> with h5py.File("rows.h5", "w") as file:
    ...     file["X"], file["y"] = np.zeros((300, 4)), np.zeros(300)
    >>> data.hdf5("rows.h5", block_rows=100).n_rows
    300
    """
    library = needed("h5py", "HDF5 files")
    try:
        file = library.File(path, "r")
        return _of_group(file, path, [X, y, sample_weight], block_rows).held(memory, buffer)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {shown(path)}") from None
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(f"{shown(path)} cannot be read as HDF5: {error}") from error


def zarr(
    path: Any,
    X: str = "X",
    y: str = "y",
    sample_weight: str | None = None,
    *,
    block_rows: int | None = None,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Source:
    """Rows of arrays of a Zarr group (a path or an open group); options of :func:`arrays`.

    Parameters
    ----------
    path : str, path or zarr.Group
        Where the group is.
    X, y, sample_weight : str
        Names of the arrays.
    block_rows : int, optional
        Rows of a block, by default 8 MiB of them.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        With known numbers of rows.

    Examples
    --------
    >>> import numpy as np, zarr
    >>> from fastmlp import data
    >>> group = zarr.open("rows.zarr", mode="w")
    >>> group["X"], group["y"] = np.zeros((300, 4)), np.zeros(300)
    >>> data.zarr("rows.zarr", block_rows=100).n_rows
    300
    """
    group = path if hasattr(path, "keys") else needed("zarr", "Zarr groups").open(path, mode="r")
    where = path if isinstance(path, (str, os.PathLike)) else "the Zarr group"
    return _of_group(group, where, [X, y, sample_weight], block_rows).held(memory, buffer)


def _of_group(group: Any, path: Any, names: list[str | None], block_rows: int | None) -> Source:
    wanted = [name for name in names if name is not None]
    for name in wanted:
        if name not in group:
            raise ValueError(f"{shown(path)} has no array {name!r}; it has {sorted(group.keys())}")
    x, y, *weight = (group[name] for name in wanted)
    return Arrays(x, y, weight[0] if weight else None, block_rows, shown(path), by_rows=False)


def _opened(path: str | os.PathLike[str]) -> Array:
    try:
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # NumPy's reader of headers raises those of tokenize, too
        said = str(error)[:200] or type(error).__name__
        raise ValueError(f"{shown(path)} is no readable .npy file: {said}") from None
    if not isinstance(found, np.memmap):
        raise ValueError(f"{shown(path)} must be one .npy array")
    return found


def _read(part: Any, rows: Any) -> Any:
    """Rows in memory, of their own."""
    if sparse.is_sparse(part):
        return sparse.part(part, rows) if isinstance(rows, slice) else sparse.take(part, rows)
    _check_length(part)
    try:
        found = part[rows]
    except (KeyError, RuntimeError) as error:  # of HDF5 and of what unpacks Zarr's pieces
        raise ValueError(f"it cannot be read: {error}") from error
    if isinstance(part, np.ndarray) and isinstance(rows, slice):
        if not isinstance(part, np.memmap):
            return found
        found = np.array(found)
    _let_go(part)
    return np.asarray(found)


def _check_length(part: Any) -> None:
    """Raise ``ValueError`` where a file has become shorter than its map: to read it would kill."""
    memory = getattr(part, "_mmap", None)
    if isinstance(part, np.memmap) and memory is not None:
        begin = part.offset - part.offset % mmap.ALLOCATIONGRANULARITY
        if memory.size() < begin + len(memory):
            raise ValueError(f"the file has become shorter: {memory.size()} bytes")


def _let_go(part: Any) -> None:
    """Give the pages of a memory map back: they count as memory of the process else.

    Those of a copy-on-write map may hold what is nowhere else.
    """
    memory = getattr(part, "_mmap", None)
    read_only = isinstance(part, np.memmap) and part.mode in ("r", "r+")
    if memory is not None and read_only and hasattr(mmap, "MADV_DONTNEED"):
        memory.madvise(mmap.MADV_DONTNEED)


def _row_bytes(part: Any) -> int:
    shape = np.shape(part)
    if sparse.is_sparse(part):
        return int(16 + 12 * len(part.data) // max(shape[0], 1))
    return int(np.prod(shape[1:], dtype=np.int64)) * int(np.dtype(part.dtype).itemsize)
