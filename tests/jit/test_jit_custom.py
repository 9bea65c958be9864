"""Code of users' functions: there as long as somebody uses it, and no longer."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pytest
from custom_functions import rootish
from fastmlp import kernels
from fastmlp._graphs import custom as _custom

pytest.importorskip("numba")

from fastmlp.kernels import jit
from fastmlp.kernels.jit.compiling import custom_functions, table
from fastmlp.kernels.jit.engine import prepared_calls

NET = kernels.Architecture((2, 3), (), "identity")
X = np.array([[0.5, -1.0], [2.0, 0.25]])
FLAT = np.linspace(-1, 1, NET.n_parameters)


def scaled(k):
    """A loss with a number of its own in it."""
    return _custom.loss(lambda z, y: k * (z - y) ** 2, name=f"scaled {k}")


def value(loss):
    return jit.Network(NET, "f8", n_threads=1).loss(FLAT, X, np.zeros((2, 3)), loss)


@pytest.fixture
def in_use():
    """How many kernels of users' functions are in use, after everything unused has gone."""

    def count():
        prepared_calls.shelves.reset()
        gc.collect()
        return table.SPARE - len(table._free(8)), len(custom_functions._compiled)

    return count


def test_kernels_are_freed_and_their_places_used_again(in_use, monkeypatch):
    """Any number of losses one after the other; each computes its own."""
    before = in_use()
    one = value(scaled(1.0))
    in_use()
    free = table._free(8)[-2:]
    monkeypatch.setattr(table, "_free", lambda itemsize: free)
    for k in (2.0, 3.0, 4.0, 5.0):
        prepared_calls.shelves.reset()
        gc.collect()
        assert value(scaled(k)) == pytest.approx(k * one, rel=1e-12)
    prepared_calls.shelves.reset()
    gc.collect()
    assert len(free) == 2
    monkeypatch.undo()
    assert in_use()[1] == before[1]


def test_kernels_in_use_stay(in_use):
    """Losses of one program share a kernel, which the last of them frees."""
    before = in_use()[0]
    trainers = [
        jit.Trainer(
            NET, np.dtype("f8"), loss, kernels.UpdateRule("sgd"),
            kernels.TrainingOptions(batch_size=2, n_threads=1),
        )
        for loss in (scaled(2.0), scaled(2.0), scaled(3.0))
    ]  # fmt: skip
    assert in_use()[0] == before + 2
    del trainers[0]
    assert in_use()[0] == before + 2
    for trainer, k in zip(trainers, (2.0, 3.0), strict=True):
        trainer.load(FLAT)
        found = trainer.run_epoch(X, np.zeros((2, 3)), None, 0.0)
        assert found == pytest.approx(k * value(_custom.loss(lambda z, y: (z - y) ** 2)))
    del trainers, trainer
    assert in_use()[0] == before


def test_c_functions_are_freed_with_their_owner(in_use):
    before = in_use()[1]
    first, second, other = scaled(2.5), scaled(2.5), scaled(3.5)
    assert first.address(np.float64) == second.address(np.float64) != other.address(np.float64)
    assert in_use()[1] == before + 2
    del first, other
    assert in_use()[1] == before + 1
    gone = weakref.ref(second)
    del second
    assert in_use()[1] == before
    assert gone() is None


def test_functions_in_numpy_are_freed(in_use):
    before = in_use()[0]
    activation = _custom.activation(rootish, name="freed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = jit.Network(
            kernels.Architecture((2, 2, 3), (activation,), "identity"), "f8", n_threads=1
        )
        flat = np.linspace(0.1, 1, network.architecture.n_parameters)
        network.predict(flat, X)
    del network
    assert in_use()[0] == before


def test_too_many_at_a_time(monkeypatch):
    monkeypatch.setattr(table, "_free", lambda itemsize: [])
    with pytest.raises(RuntimeError, match="kernels of custom functions at a time"):
        value(scaled(7.0))
