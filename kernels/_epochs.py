"""Several epochs in one call of a trainer, of one network or some, and the switch that halts it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _checks, _chooser
from ._architecture import Architecture
from ._typing import Array


@dataclass(frozen=True)
class Plateau:
    """Epochs that bring too little, and how many of them in a row end training.

    An epoch is one of them where its loss is above ``best - tol``.

    Parameters
    ----------
    best : float
        Least loss so far.
    worse : int
        Such epochs so far, without another in between.
    tol : float
        By how much a loss must be lower than the best one.
    patience : float
        More of them than that reach the plateau; infinite for never.
    """

    best: float
    worse: int
    tol: float
    patience: float

    def after(self, losses: Iterable[float]) -> Plateau:
        """The same after further epochs.

        Parameters
        ----------
        losses : iterable of float
            Theirs.

        Returns
        -------
        Plateau
            With another ``best`` and ``worse``.
        """
        best, worse, tol = self.best, self.worse, self.tol
        for loss in losses:
            worse = worse + 1 if loss > best - tol else 0
            if loss < best:
                best = loss
        return Plateau(best, worse, tol, self.patience)

    @property
    def reached(self) -> bool:
        """Whether training ends."""
        return self.worse > self.patience


@dataclass(frozen=True)
class Shuffle:
    """An order of rows that each epoch shuffles before its first step.

    Parameters
    ----------
    generator : numpy.random.Generator or RandomState
        Makes the draws, epoch by epoch: it stands where the last one that has begun has put it.
    order : (n,) array of intp
        Changed in place.
    """

    generator: np.random.Generator | np.random.RandomState
    order: Array


class Halted(Exception):
    """Steps ended because another thread has halted the trainer; the last one is finished.

    ``trainer.halt`` is ``None``, or an int32 array of one element that several trainers may share:
    as soon as somebody sets that to another value than 0, they make no further step.
    """

    def __init__(self) -> None:
        super().__init__("training was halted by another thread")


def halted(halt: Array | None) -> bool:
    """Whether the switch is set."""
    return halt is not None and bool(halt[0])


def switch(value: Any) -> Array | None:
    """Check what ``trainer.halt`` is set to."""
    if value is None:
        return None
    if not isinstance(value, np.ndarray) or value.dtype != np.int32 or value.shape != (1,):
        raise TypeError("halt must be None or an int32 array of one element")
    return value


def check(orders: Any, learning_rates: Any, n: int, batch_size: int, out: Any) -> Array:
    """Check the arguments of ``run_epochs`` that ``run_epoch`` has not; return ``out``."""
    if not isinstance(learning_rates, np.ndarray) or learning_rates.dtype != np.float64:
        raise TypeError("learning_rates must be a float64 array, with one or more for each epoch")
    n_epochs = learning_rates.shape[0] if learning_rates.ndim else 0
    if isinstance(orders, Shuffle):
        n, kinds = len(orders.order), (np.random.Generator, np.random.RandomState)
        if not isinstance(orders.generator, kinds):
            kind = type(orders.generator).__name__
            raise TypeError(
                f"what shuffles orders must be a numpy.random.Generator or RandomState, got {kind}"
            )
        order = orders.order
        if not isinstance(order, np.ndarray) or order.dtype != np.intp or order.ndim != 1:
            raise TypeError("the order that epochs shuffle must be an array of numpy.intp")
    elif orders is not None:
        if not isinstance(orders, np.ndarray) or orders.dtype != np.intp or orders.ndim != 2:
            raise TypeError("orders must be a two-dimensional numpy.intp array")
        if len(orders) != n_epochs:
            raise ValueError(
                f"orders must have one row for each of {n_epochs} epochs, got {len(orders)}"
            )
        n = orders.shape[1]
    steps = -(-n // batch_size)
    if learning_rates.shape not in ((n_epochs,), (n_epochs, steps)):
        raise ValueError(
            f"learning_rates must have shape (n_epochs,) or (n_epochs, {steps}), one a step, "
            f"got {learning_rates.shape}"
        )
    if out is None:
        return np.full(n_epochs, np.nan)
    if not isinstance(out, np.ndarray) or out.dtype != np.float64 or out.shape != (n_epochs,):
        raise TypeError(f"out must be a float64 array of shape ({n_epochs},)")
    out.fill(np.nan)
    return out


def check_lanes(
    architecture: Architecture,
    dtype: Any,
    count: int,
    batch_size: int,
    xs: Any,
    targets: Any,
    orders: Any,
    learning_rates: Any,
    out: Any,
) -> Array:
    """Check the arguments of a lane trainer's ``run_epochs``; return ``out``."""
    given = {"xs": xs, "targets": targets, "orders": orders, "learning_rates": learning_rates}
    for name, values in given.items():
        if len(values) != count:
            raise ValueError(
                f"{name} must hold one for each of {count} networks, got {len(values)}"
            )
    shapes, seen = set(), set()
    first = orders[0], learning_rates[0], len(xs[0])
    check(*first, batch_size, None)
    for x, target, order, rates in zip(xs, targets, orders, learning_rates, strict=True):
        if (id(x), id(target)) not in seen:
            seen.add((id(x), id(target)))
            _checks.array("x", x, ("n", architecture.sizes[0]), dtype)
            _checks.target(target, len(x), architecture.sizes[-1], dtype)
        if not _alike((order, rates, len(x)), first):
            check(order, rates, len(x), batch_size, None)
        shapes.add((len(x) if order is None else order.shape, rates.shape, target.ndim))
    if len(shapes) > 1:
        raise ValueError(
            "all networks must have equal numbers of rows, epochs and learning rates, and labels "
            f"or targets, got (orders, rates, dimensions) {sorted(map(str, shapes))}"
        )
    shape = (count, len(learning_rates[0]))
    if out is None:
        return np.full(shape, np.nan)
    if not isinstance(out, np.ndarray) or out.dtype != np.float64 or out.shape != shape:
        raise TypeError(f"out must be a float64 array of shape {shape}")
    out.fill(np.nan)
    return out


def _alike(one: tuple[Any, Any, int], first: tuple[Any, Any, int]) -> bool:
    """Whether what holds for order, rates and rows of one network holds for those of another."""
    return all(
        a.__class__ is b.__class__
        and (a is None or (a.__class__ is np.ndarray and (a.shape, a.dtype) == (b.shape, b.dtype)))
        for a, b in zip(one[:2], first[:2], strict=True)
    ) and (one[0] is not None or one[2] == first[2])


def shuffled(
    generator: np.random.Generator | np.random.RandomState, order: Array, count: int
) -> Array:
    """The orders of some epochs, ``(count, n)``: each is the one before, shuffled.

    The draws and the result are those of ``generator.shuffle``; where the compiled backend is
    there, they are made without the GIL.

    Parameters
    ----------
    generator : numpy.random.Generator or RandomState
        Makes the draws, and is left as after them.
    order : (n,) array of int
        The order before the first of these epochs; it is not changed.
    count : int
        Number of epochs.

    Returns
    -------
    (count, n) array
        Row ``i`` is the order of epoch ``i``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> orders = kernels.shuffled(np.random.default_rng(0), np.arange(4), 2)
    >>> np.sort(orders)
    array([[0, 1, 2, 3],
           [0, 1, 2, 3]])
    """
    found: Array = shuffled_each([generator], [order], count)[0]
    return found


def shuffled_each(
    generators: Sequence[np.random.Generator | np.random.RandomState],
    orders: Sequence[Array],
    count: int,
) -> Array:
    """What :func:`shuffled` gives for several generators, in one call.

    Parameters
    ----------
    generators : sequence of k numpy.random.Generator or RandomState
        Each with bits of its own.
    orders : sequence of k (n,) arrays of int
        Of one length.
    count : int
        Number of epochs.

    Returns
    -------
    (k, count, n) array
        Row ``i`` of part ``j`` is the order of epoch ``i`` that generator ``j`` has drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> drawing = [np.random.default_rng(seed) for seed in (0, 1)]
    >>> kernels.shuffled_each(drawing, [np.arange(4)] * 2, 3).shape
    (2, 3, 4)
    """
    bits = [bits_of(one) for one in generators]
    if len(orders[0]) < 2**31 and None not in bits:
        found: Array = _compiled().shuffled(bits, orders, count)
        return found
    pairs = zip(generators, orders, strict=True)
    return np.stack([_by_numpy(generator, order, count) for generator, order in pairs])


def bits_of(generator: Any) -> Any:
    """The bit generator of a generator, where the compiled backend draws from it as NumPy does."""
    if not _draws_as_numpy():
        return None
    if isinstance(generator, np.random.RandomState):
        state: Any = generator
        return state._bit_generator
    return generator.bit_generator if isinstance(generator, np.random.Generator) else None


def _by_numpy(generator: Any, order: Array, count: int) -> Array:
    orders = np.empty((count, len(order)), np.intp)
    for now in orders:
        now[...] = order
        generator.shuffle(now)
        order = now
    return orders


@functools.cache
def _compiled() -> Any:
    return _chooser.backend("compiled")


@functools.cache
def _draws_as_numpy() -> bool:
    """Whether this version of NumPy shuffles as the compiled backend does, old and new."""
    try:
        old: Any = np.random.RandomState(7)._bit_generator
        _compiled().look_at_twister(old)
    except (ImportError, AttributeError):
        return False
    order, mine = np.arange(999, dtype=np.intp), np.random.default_rng(7)
    numpys: Any = np.random.default_rng(7)
    for _ in range(2):
        found = _compiled().shuffled([mine.bit_generator], [order], 3)[0]
        same = np.array_equal(found, _by_numpy(numpys, order, 3))
        if not (same and mine.random() == numpys.random()):
            return False
        mine, numpys = np.random.Generator(old), np.random.RandomState(7)
    return True


def one_by_one(
    trainer: Any,
    x: Any,
    target: Any,
    orders: Any,
    learning_rates: Any,
    weight: Any,
    plateau: Plateau | None,
    out: Array,
) -> Array:
    """``run_epochs`` by calls of ``run_epoch``."""
    for epoch in range(len(learning_rates)):
        rate, order = learning_rates[epoch], None
        if isinstance(orders, Shuffle):
            orders.generator.shuffle(order := orders.order)
        elif orders is not None:
            order = orders[epoch]
        out[epoch] = trainer.run_epoch(
            x,
            target,
            order,
            rate if learning_rates.ndim == 2 else float(rate),
            sample_weight=weight,
        )
        if plateau is not None:
            plateau = plateau.after([float(out[epoch])])
            if plateau.reached:
                break
    return out
