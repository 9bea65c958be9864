"""Estimators on sources: blocks checked and encoded as arrays are, in the thread that reads them.

What the targets tell has to be known before the first step: classes take one pass over all of them,
unless ``fit`` is told. Rows are read again for every epoch, see :mod:`fastmlp._streams`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..._inputs import sparse
from ..._network import blocks
from ..._network.batch import Batch
from ..._streams import rows as streams
from ..._streams.run import StreamRun
from ..._streams.stream import ENDLESS, Stream, StreamBatch
from ..._typing import Array
from ...data._source import Source, as_source
from .. import _labels
from .._sklearn.parameters import STOCHASTIC_SOLVERS
from .given import Given
from .watching import Rows, Validation


class SourceRows(NamedTuple):
    """Rows of a source in the place of :class:`Rows`.

    Attributes
    ----------
    stream : Stream
    dtype : dtype
    """

    stream: Stream
    dtype: Any

    @property
    def n_rows(self) -> int:
        """How many there are; where nobody knows, more than there can be."""
        return ENDLESS if self.stream.n_rows is None else self.stream.n_rows

    def of_run(self, loss: Any) -> tuple[type[StreamRun], dict[str, Any]]:
        """The class of a run, and what it takes for its rows."""
        return StreamRun, {"batch": self.stream.first(), "stream": self.stream}

    def watched(self, estimator: Any, dtype: Any) -> Validation:
        """What measures them after each epoch."""
        return _StreamValidation(estimator, self.stream, dtype)


class _StreamValidation(Validation):
    """Validation rows that are read again after each epoch; targets and weights are held."""

    def __init__(self, estimator: Any, stream: Stream, dtype: Any) -> None:
        whole = StreamBatch(stream, estimator._engine_loss())
        super().__init__(estimator, Rows(None, None, whole.target, whole.weight), dtype)
        self._stream = stream

    def _scores(self, flat: Array) -> Array:
        return np.concatenate(
            [blocks.predict(self._network, flat, batch.x) for batch in self._stream.blocks()]
        )


class _Told(NamedTuple):
    """What a pass over the targets has told.

    Attributes
    ----------
    labels : array
        Each class once, or targets of a block where they are no classes.
    y, weight : arrays or None
        Of all rows, where they are held.
    n : int or None
        Rows, where they were counted.
    """

    labels: Any
    y: Any = None
    weight: Array | None = None
    n: int | None = None


def rows_of_fit(estimator: Any, given: Given, first_pass: bool) -> tuple[SourceRows, Any]:
    """The training rows of a source, and the validation rows, checked.

    Raises
    ------
    ValueError, TypeError
        Naming what does not go with a source, or the block in which something is wrong.
    """
    source = as_source(given.X)
    _check(estimator, source, given.sample_weight, given.held_out)

    def look(x: Any, y: Any, weight: Any) -> Batch:
        x, y = estimator._validate(x, _column(y), first_pass)
        return Batch(x, estimator._shape_targets(y), None, None)

    first = Stream(source, look).first()
    dtype = estimator._dtype_of_fit(first.x.dtype, first_pass)
    told = _told(estimator, source, given.classes, first.target, dtype)
    estimator._learn_targets(told.labels, first_pass, False, None)
    y = told.labels if told.y is None else told.y
    factors = estimator._class_factors(y, told.weight, False)
    stream = _stream(estimator, source, dtype, factors, told.n)
    stream.first()
    if estimator.schedule is not None:
        stream.count()
    return SourceRows(stream, dtype), estimator._validation_rows(given.held_out, dtype, factors)


def validation_rows(estimator: Any, X: Any, dtype: Any, factors: Array | None) -> SourceRows:
    """Rows of a source that are measured after each epoch."""
    if callable(estimator.scoring) or estimator.scoring not in (None, "loss"):
        raise ValueError(
            "scoring needs the validation rows in memory, and X_val is a source: leave it out, or "
            f"use scoring='loss', got {estimator.scoring!r}"
        )
    stream = _stream(estimator, as_source(X), dtype, factors, None)
    stream.again()
    stream.first()
    return SourceRows(stream, dtype)


def predict(of_rows: Callable[[Any], Any], X: Any, out: Any) -> Any:
    """What a method gives for rows, or for the blocks of a source; into ``out`` where it is given.

    Raises
    ------
    ValueError
        Where ``out`` has another shape or number of rows.
    """
    if streams.is_source(X):
        return streams.by_blocks(as_source(X), of_rows, out)
    result = of_rows(X)
    if np.shape(out) != result.shape:
        raise ValueError(f"out must have shape {result.shape}, got {np.shape(out)}")
    out[...] = result
    return out


def _check(
    estimator: Any, source: Source, sample_weight: Any, held_out: tuple[Any, Any, Any]
) -> None:
    """Raise ``ValueError`` for what does not go with a source."""
    if estimator.solver not in STOCHASTIC_SOLVERS:
        raise ValueError(
            f"solver={estimator.solver!r} needs all rows in memory; a source takes solver 'sgd' or "
            "'adam'"
        )
    if sample_weight is not None:
        raise ValueError(
            "sample_weight is for arrays; blocks of a source bring theirs: (X, y, sample_weight)"
        )
    if estimator.early_stopping and held_out[0] is None:
        raise ValueError(
            "early_stopping sets rows of an array apart; with a source give X_val: "
            "rest, held_out = source.split(0.1), then fit(rest, X_val=held_out)"
        )
    if source.once and estimator.max_iter > 1:
        raise ValueError(
            f"{source.name} can be gone through once: train with max_iter=1, or give what can be "
            "gone through again (a DataLoader, a class with __iter__)"
        )


def _told(estimator: Any, source: Source, classes: Any, first: Array, dtype: Any) -> _Told:
    """Go through the targets as far as that is needed."""
    balanced = isinstance(getattr(estimator, "class_weight", None), str)
    if not estimator._learns_classes:
        if classes is not None:
            raise ValueError("classes is for a classifier")
        return _Told(first)
    one_column = first.ndim == 1
    if classes is not None and not one_column:
        raise ValueError("classes is for one label a row; indicators have one column for each")
    if not balanced and (classes is not None or not one_column):
        return _Told(first if classes is None else np.unique(_labels.plain(classes)))
    if source.one_pass:
        what = "class_weight='balanced' needs" if balanced else "the classes of y take"
        raise ValueError(
            f"{what} a pass over all targets, and {source.name} is read in one pass, while "
            "training: give " + ("a dict" if balanced else "fit all labels, classes=[…]")
        )

    def targets(x: Any, y: Any, weight: Any) -> Batch:
        y = estimator._shape_targets(_column(y))
        return Batch(None, y, None if weight is None else np.asarray(weight, dtype), None)

    found = []
    n = 0
    for batch in Stream(source, targets).blocks():
        n += len(batch.target)
        y = batch.target if balanced else np.unique(batch.target)
        found.append((y, batch.weight))
    y = np.concatenate([y for y, _ in found])
    labels = np.unique(y) if one_column else first
    if classes is not None:
        labels = np.unique(_labels.plain(classes))
    if not balanced:
        return _Told(labels, n=n)
    weights = [weight for _, weight in found if weight is not None]
    return _Told(labels, y, np.concatenate(weights) if weights else None, n)


def _stream(
    estimator: Any, source: Source, dtype: Any, factors: Array | None, n_rows: int | None
) -> Stream:
    """Blocks for an estimator that knows its classes: checked as the arguments of ``fit`` are."""
    loss, n_features = estimator._engine_loss(), estimator.n_features_in_
    none: list[Array] = []  # targets of no rows

    def convert(x: Any, y: Any, weight: Any) -> Batch:
        y = _column(y)
        if none and len(y) == 0 and np.shape(x) == (0, n_features):  # as parts of blocks may be
            x = sparse.for_engine(x, dtype) if sparse.is_sparse(x) else np.empty(x.shape, dtype)
            return Batch(x, none[0], None if weight is None else np.empty(0, dtype), loss)
        x, y = estimator._validate(x, y, False)
        y = estimator._shape_targets(y)
        estimator._check_validation_targets(y)
        target = estimator._encode(y, dtype)
        none[:] = [target[:0]]
        found = _weights(estimator, weight, x, dtype)
        if factors is not None:
            own = _labels.factors_of_rows(factors, estimator._label_binarizer, y)
            found = (own if found is None else found * own).astype(dtype)
        target, found = estimator._weigh_targets(weight, target, found, dtype, block=True)
        x = sparse.for_engine(x.astype(dtype, copy=False), dtype)
        return Batch(x, target, found, loss)

    return Stream(source, convert, n_rows)


def _weights(estimator: Any, weight: Any, x: Any, dtype: Any) -> Array | None:
    """Weights of the rows of a block, which may all be 0."""
    if weight is not None and np.size(weight) == x.shape[0] and not np.any(weight):
        return np.zeros(x.shape[0], dtype)
    found: Array | None = estimator._weights(weight, x, dtype)
    return found


def _column(y: Any) -> Any:
    """Targets of which a single column is a vector."""
    if sparse.is_sparse(y):
        raise TypeError("y of a source must be dense, got a sparse matrix")
    y = np.asarray(y)
    return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
