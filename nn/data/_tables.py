"""Sources of tables in pieces: Parquet and Arrow data sets, polars' LazyFrame, DuckDB."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._files import shown
from .._inputs import tables
from .._typing import Array
from ._missing import needed
from ._source import MEMORY, Source

#: Rows of a block of a query's result.
QUERY_ROWS = 1 << 16


class Piece(NamedTuple):
    """Rows of a table: how they are read (some columns of them), how many, and where they lie."""

    read: Callable[[list[str]], Any]
    rows: int
    place: str


class Tables(Source):
    """Pieces of a table, of which some columns are features and others targets.

    Parameters
    ----------
    pieces : list of Piece
    names : list of str
        All columns.
    target : str or sequence of str
    features : sequence of str, optional
        By default all columns but targets and weights.
    weight : str, optional
    name : str
    """

    def __init__(
        self,
        pieces: list[Piece],
        names: list[str],
        target: str | Sequence[str],
        features: Sequence[str] | None,
        weight: str | None,
        name: str,
    ) -> None:
        self._pieces, self._name, self._weight = pieces, name, weight
        self.in_the_making = 4  # as bytes of the file, columns, rows, and rows as they are wanted
        self._targets = [target] if isinstance(target, str) else list(target)
        apart = {*self._targets, weight}
        chosen = [n for n in names if n not in apart] if features is None else list(features)
        #: The columns that are features, in their order.
        self.features: list[str] = chosen
        for column in [*self.features, *self._targets, *([weight] if weight else [])]:
            if column not in names:
                raise ValueError(f"{name} has no column {column!r}; it has {names[:20]}")
        if not self.features:
            raise ValueError(f"{name} has no column besides the target")

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, i: int) -> Any:
        weights = [self._weight] if self._weight else []
        wanted = [*self.features, *self._targets, *weights]
        table = self._pieces[i].read(wanted)
        there = getattr(table, "column_names", None) or list(getattr(table, "columns", table))
        for column in wanted:
            if column not in there:
                raise ValueError(f"there is no column {column!r}, but {there[:20]}")
        x = _numbers(table, self.features)
        y = _numbers(table, self._targets) if len(self._targets) > 1 else None
        block = (x, _values(table, self._targets[0]) if y is None else y)
        return (*block, _values(table, weights[0])) if weights else block

    def rows(self, i: int) -> int:
        return self._pieces[i].rows

    def place(self, i: int) -> str:
        return self._pieces[i].place

    @property
    def name(self) -> str:
        return self._name


def parquet(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: str | Sequence[str],
    *,
    features: Sequence[str] | None = None,
    sample_weight: str | None = None,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Source:
    """Row groups of Parquet files, by pyarrow.

    Parameters
    ----------
    path : path or list of paths
        A file, a folder (all ``*.parquet`` in it and below, sorted), or several files.
    target : str or sequence of str
        Columns to predict.
    features : sequence of str, optional
        Columns to predict from, by default all others.
    sample_weight : str, optional
        The column of row weights.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Row groups whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        Whose blocks are row groups.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where a file is damaged, or a column is missing.
    ImportError
        Where pyarrow is not installed (``pip install 'fastmlp[data]'``).

    Examples
    --------
    >>> import numpy as np, pyarrow, pyarrow.parquet
    >>> from fastmlp import data
    >>> table = pyarrow.table({"a": np.arange(300), "b": np.ones(300), "y": np.zeros(300)})
    >>> pyarrow.parquet.write_table(table, "rows.parquet", row_group_size=100)
    >>> source = data.parquet("rows.parquet", "y", features=["a", "b"])
    >>> rest, held_out = source.split(0.1, random_state=0)
    >>> X, y = rest[0]
    """
    library = needed("pyarrow.parquet", "Parquet files")
    files, last = _files(path, ".parquet"), _LastFile(library)
    pieces: list[Piece] = []
    names: list[str] = []
    for file in files:
        try:
            opened = library.ParquetFile(file)
        except Exception as error:
            raise _unreadable(file, "Parquet", error) from error
        names = names or list(opened.schema_arrow.names)
        start = 0
        for group in range(opened.metadata.num_row_groups):
            n = opened.metadata.row_group(group).num_rows
            if n:
                place = f"rows {start}…{start + n - 1} of {shown(file)}"
                pieces.append(Piece(_group_reader(last, file, group), n, place))
            start += n
        opened.close()
    name = shown(files[0]) if len(files) == 1 else f"{len(files)} Parquet files"
    source = Tables(pieces, names, target, features, sample_weight, name)
    return source.held(memory, buffer)


def arrow(
    data: Any,
    target: str | Sequence[str],
    *,
    features: Sequence[str] | None = None,
    sample_weight: str | None = None,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Source:
    """Rows of a table or data set of pyarrow: record batches, row groups or whole files.

    Parameters
    ----------
    data : pyarrow.Table or pyarrow.dataset.Dataset
        Other options are those of :func:`parquet`.
    target : str or sequence of str
        Columns to predict.
    features : sequence of str, optional
        Columns to predict from, by default all others.
    sample_weight : str, optional
        The column of row weights.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        Whose blocks are what the data come in.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        Where a column is missing.

    Examples
    --------
    >>> import numpy as np, pyarrow
    >>> from fastmlp import data
    >>> data.arrow(pyarrow.table({"a": np.arange(300), "y": np.zeros(300)}), "y").n_rows
    300
    """
    if hasattr(data, "get_fragments"):
        pieces = []
        for fragment in data.get_fragments():
            start, where = 0, shown(str(getattr(fragment, "path", "the data set")))
            split = getattr(fragment, "split_by_row_group", None)
            for part in [fragment] if split is None else split():
                groups = getattr(part, "row_groups", None)
                n = sum(g.num_rows for g in groups) if groups else part.count_rows()
                place = f"rows {start}…{start + n - 1} of {where}"
                pieces.append(Piece(_fragment_reader(part, data.schema), n, place))
                start += n
        name = "the Arrow data set"
    elif hasattr(data, "to_batches"):
        pieces, start, name = [], 0, "the Arrow table"
        for batch in data.to_batches(max_chunksize=QUERY_ROWS):
            n = len(batch)
            place = f"rows {start}…{start + n - 1} of {name}"
            pieces.append(Piece(batch.select, n, place))
            start += n
    else:
        raise TypeError(f"arrow needs a table or data set of pyarrow, got {type(data).__name__}")
    source = Tables(pieces, list(data.schema.names), target, features, sample_weight, name)
    return source.held(memory, buffer)


class Columns(dict[str, Any]):
    """Columns by name, as DuckDB gives them."""


class _LastFile:
    """The Parquet file that was read last: its footer is not read again for each row group."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._known: Any = None
        self._opened: Any = None

    def of(self, file: Path) -> Any:
        """The opened file, anew where it is another or has been changed."""
        status = file.stat()
        known = (file, status.st_mtime_ns, status.st_size)
        if self._opened is None or known != self._known:
            self.close()
            self._opened, self._known = self._library.ParquetFile(file), known
        return self._opened

    def close(self) -> None:
        """Close it, as after an error."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None


def _group_reader(last: _LastFile, file: Path, group: int) -> Callable[[list[str]], Any]:
    def read(columns: list[str]) -> Any:
        try:
            return last.of(file).read_row_group(group, columns=columns, use_threads=False)
        except MemoryError:
            raise
        except Exception as error:
            last.close()
            raise _unreadable(file, "Parquet", error) from error

    return read


def _fragment_reader(fragment: Any, schema: Any) -> Callable[[list[str]], Any]:
    return lambda columns: fragment.to_table(schema=schema, columns=columns, use_threads=False)


def _unreadable(file: Path, kind: str, error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{shown(file)} is not there")
    return ValueError(f"{shown(file)} is no readable {kind} file: {error}")


def _files(path: Any, suffix: str) -> list[Path]:
    """The files of a path, a folder or a list of paths."""
    several = isinstance(path, (list, tuple))
    found: list[Path] = []
    for one in path if several else [path]:
        place = Path(one)
        found += sorted(place.rglob(f"*{suffix}")) if place.is_dir() else [place]
    if not found:
        raise FileNotFoundError(f"{shown(path)} holds no file *{suffix}")
    return found


def _numbers(table: Any, columns: list[str]) -> Array:
    """Columns as an array of numbers, ``(n, n_columns)``."""
    if isinstance(table, Columns):
        return np.column_stack([_plain(table[name], name) for name in columns])
    return tables.array(table.select(columns), "X")


def _values(table: Any, name: str) -> Any:
    """A column, of numbers or of anything else that names classes."""
    if isinstance(table, Columns):
        return _plain(table[name], name)
    column = table.column(name) if hasattr(table, "column") else table.get_column(name)
    values: Array = np.asarray(column)
    return values


def _plain(values: Any, name: str) -> Array:
    """A column of DuckDB, whose missing numbers become NaN."""
    if isinstance(values, np.ma.MaskedArray):
        if values.dtype.kind not in tables.NUMBERS:
            raise ValueError(f"column {name!r} has missing values")
        found: Any = values.astype(np.float64)
        return np.asarray(found.filled(np.nan))
    return np.asarray(values)
