"""Sources in the places where ``MLP`` takes rows: training, validation, loss, prediction."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._inputs import arrays
from .._network import class_weights
from .._network.batch import Batch
from .._training.run import Run
from .._typing import Array
from ..schedules import Constant
from .run import StreamRun
from .stream import Stream, StreamBatch, network_stream, parts_of

if TYPE_CHECKING:
    from .._network.network import Network
    from .._training.plan import Settings
    from ..data import Source


def is_source(value: Any) -> bool:
    """Whether it is one of ``fastmlp.data``, or of that form and nothing else that has rows."""
    if isinstance(value, (np.ndarray, tuple, list, dict, str)):
        return False
    from ..data import Source

    if isinstance(value, Source):
        return True
    arrays_have = ("shape", "dtype", "dtypes", "schema", "tocsr", "__array__")
    return hasattr(value, "__getitem__") and not any(hasattr(value, name) for name in arrays_have)


def training_rows(
    network: Network, known: Settings, source: Any, sample_weight: Any, class_weight: Any
) -> StreamBatch:
    """The rows to train on, with the weights of their classes.

    They are counted where the optimizer or the schedule has to know how many there are.
    """
    from ..data._source import as_source

    source = as_source(source)
    if sample_weight is not None:
        raise ValueError(
            "sample_weight is for arrays; blocks of a source bring theirs: (X, y, sample_weight)"
        )
    if known.full and not known.searches:
        raise ValueError(
            "batch_size='full' needs all rows in memory; a source takes a number of rows, or an "
            "optimizer whose steps take all rows (GradientDescent, LBFGS, LevenbergMarquardt)"
        )
    if known.subset is not None:
        raise ValueError("subset is for rows in an array, and X is a source")
    stream = network_stream(network, source, known.loss)
    found = factors(network, stream, known.loss, class_weight)
    if found is not None:
        stream = _weighed(network, source, known.loss, found)
    if known.searches or not isinstance(known.schedule, Constant):
        stream.count()
    return StreamBatch.of(stream)


def run_of(
    batch: Batch | StreamBatch, known: Settings, shuffle: Any, epochs: int
) -> tuple[type[Run], dict[str, Any], int]:
    """The class of a run, what it takes for its rows, and how many things it shuffles.

    Raises
    ------
    ValueError
        Where rows or blocks cannot be shuffled so, or not gone through so often.
    """
    if isinstance(batch, Batch):
        if shuffle == "blocks":
            raise ValueError("shuffle='blocks' is for sources, see fastmlp.data; got arrays")
        return Run, {"batch": batch}, batch.n_rows
    stream, source = batch.stream, batch.stream.source
    if source.once and epochs > 1:
        raise ValueError(
            f"{source.name} can be gone through once: train with epochs=1, or give what can be "
            "gone through again (a DataLoader, a class with __iter__)"
        )
    by_rows = shuffle == "rows"
    if by_rows and not source.by_rows:
        raise ValueError(
            f"{source.name} cannot be read row by row: use shuffle=True, which shuffles blocks "
            "and the rows of buffers"
        )
    if known.full:
        return Run, {"batch": batch}, batch.n_rows
    n = 0 if source.one_pass else stream.count() if by_rows else len(source)
    return StreamRun, {"batch": batch.first, "stream": stream, "by_rows": by_rows}, n


def factors(network: Network, stream: Stream, spec: Any, class_weight: Any) -> Array | None:
    """Weight of each class; "balanced" counts them, which reads everything once."""
    if class_weight is None:
        return None
    whole = StreamBatch(stream, spec)
    target = whole.target if isinstance(class_weight, str) else stream.first().target
    return class_weights.factors(class_weight, target, network.architecture.sizes[-1])


def validation_batch(network: Network, source: Any, loss: Any, found: Array | None) -> StreamBatch:
    """All rows of a source, to be measured after each epoch."""
    from ..data._source import as_source

    source = as_source(source)
    stream = (
        network_stream(network, source, loss)
        if found is None
        else _weighed(network, source, loss, found)
    )
    try:
        stream.again()
        stream.first()
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"validation_data: {error}") from None
    return StreamBatch(stream, loss)


def mean_loss(network: Network, source: Any, loss: Any) -> float:
    """Mean loss of the rows of a source."""
    from ..data._source import as_source

    spec = network._loss(loss)
    return StreamBatch(network_stream(network, as_source(source), spec), spec).mean_loss(network)


def predict(network: Network, source: Any, out: Any) -> Any:
    """Outputs for the rows of a source, block by block, into ``out`` where it is given."""
    from ..data._source import as_source

    sizes, dtype = network.architecture.sizes, network.dtype

    def of_rows(x: Any) -> Array:
        return network.predict(arrays.rows(x, sizes[0], dtype))

    return by_blocks(as_source(source), of_rows, out, np.empty((0, sizes[-1]), dtype))


def by_blocks(
    source: Source, of_rows: Callable[[Any], Any], out: Any, nothing: Array | None = None
) -> Any:
    """What a function gives for the rows of each block, one behind the other.

    Parameters
    ----------
    out : array or memory map, or what takes slices of rows; or None
    nothing : array, optional
        What it gives for no rows. Without it blocks without rows are left out.

    Raises
    ------
    ValueError
        Where ``out`` has another number of rows.
    """
    pieces = _pieces(source, of_rows, nothing is None)
    if out is None:
        first = next(pieces, nothing)
        if first is None:
            raise ValueError(f"{source.name} has no rows")
        return np.concatenate([first, *pieces])
    at = 0
    for piece in pieces:
        if at + len(piece) > len(out):
            raise ValueError(f"out has {len(out)} rows, the source has more")
        out[at : at + len(piece)] = piece
        at += len(piece)
    if at != len(out):
        raise ValueError(f"out has {len(out)} rows, the source {at}")
    return out


def _pieces(source: Source, of_rows: Callable[[Any], Any], leave_out: bool) -> Iterator[Any]:
    coming = source.blocks()
    for i in itertools.count():
        try:
            block = next(coming, None)
            if block is None:
                return
            x = parts_of(block)[0]
            if leave_out and np.shape(x)[:1] == (0,):
                continue
            piece = of_rows(x)
        except (TypeError, ValueError, OSError) as error:
            kind = type(error) if type(error) in (TypeError, ValueError, OSError) else ValueError
            raise kind(f"{source.place(i)}: {error}") from error
        yield piece


def _weighed(network: Network, source: Any, spec: Any, found: Array) -> Stream:
    def weigh(target: Array, weight: Array | None) -> Array:
        weights: Array = class_weights.of_rows(found, target, weight, network.dtype)
        return weights

    return network_stream(network, source, spec, weigh)
