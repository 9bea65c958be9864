"""Sources of queries of polars and DuckDB, of which each block is computed when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._inputs import numbers
from ._missing import needed
from ._source import MEMORY, Source
from ._tables import QUERY_ROWS, Columns, Piece, Tables


def query(
    data: Any,
    target: str | Sequence[str],
    *,
    features: Sequence[str] | None = None,
    sample_weight: str | None = None,
    block_rows: int = QUERY_ROWS,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Source:
    """Rows of a query of polars or DuckDB, of which each block is computed when it is read.

    Parameters
    ----------
    data : polars.LazyFrame or duckdb.DuckDBPyRelation
        It must give its rows in the same order each time; other options are those of
        :func:`parquet`.
    target : str or sequence of str
        Columns to predict.
    features : sequence of str, optional
        Columns to predict from, by default all others.
    sample_weight : str, optional
        The column of row weights.
    block_rows : int
        Rows of a block.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        Whose blocks are parts of the query's result.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        Where a column is missing.

    Examples
    --------
    >>> import polars
    >>> from fastmlp import data
    >>> frame = polars.LazyFrame({"a": range(300), "y": [0.0] * 300})
    >>> len(data.query(frame.filter(polars.col("a") > 99), "y", block_rows=100))
    2
    """
    size = numbers.count("block_rows", block_rows, 1)
    if hasattr(data, "collect_schema"):
        polars = needed("polars", "polars' frames")
        name, names = "the LazyFrame", list(data.collect_schema().names())
        n = int(data.select(polars.len()).collect().item())

        def read(start: int, count: int, columns: list[str]) -> Any:
            return data.slice(start, count).select(columns).collect()
    elif hasattr(data, "fetchnumpy") and hasattr(data, "limit"):
        name, names = "the DuckDB relation", list(data.columns)
        n = int(data.aggregate("count(*)").fetchall()[0][0])

        def read(start: int, count: int, columns: list[str]) -> Any:
            quoted = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
            return Columns(data.limit(count, offset=start).project(quoted).fetchnumpy())
    else:
        raise TypeError(
            f"query needs a LazyFrame of polars or a relation of DuckDB, got {type(data).__name__}"
        )
    pieces = [
        Piece(
            lambda columns, start=start: read(start, min(size, n - start), columns),  # type: ignore[misc]
            min(size, n - start),
            f"rows {start}…{min(start + size, n) - 1} of {name}",
        )
        for start in range(0, n, size)
    ]
    source = Tables(pieces, names, target, features, sample_weight, name)
    return source.held(memory, buffer)
