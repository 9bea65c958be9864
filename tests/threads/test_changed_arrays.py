"""Arrays that change during a run: labels, columns and starts of sparse rows, the order of rows.

What is checked before a run may be something else when it is read. No reading out of bounds then,
but an error, and the parameters of the last finished step. A loss in NumPy makes the changes.
"""

import numpy as np
import pytest
from fastmlp.kernels import CSR, Architecture, UpdateRule
from fastmlp.kernels._custom import CustomLoss
from fastmlp.kernels._options import TrainingOptions

pytestmark = pytest.mark.filterwarnings("ignore:.*runs as NumPy:RuntimeWarning")
core = pytest.importorskip(
    "fastmlp.kernels.compiled._core", reason="extension not built", exc_type=ImportError
)
NET = Architecture((6, 5, 3), ("tanh",), "identity")
WRONG = (10**9, -1, -(2**62), 2**62)


def samples(index_type=np.int64, n=24):
    rng = np.random.default_rng(0)
    columns = np.tile(np.arange(6, dtype=index_type), n)
    starts = np.arange(0, 6 * n + 1, 6, dtype=index_type)
    return CSR(rng.normal(size=6 * n), columns, starts, (n, 6)), rng.integers(0, 3, n)


def run(x, y, change, order=None, dropout=()):
    """Parameters after an epoch of which the first batch makes the change."""

    def loss(z, y):
        change()
        return ((z - y) ** 2).sum(1) / 2, z - y

    trainer = core.Trainer(
        NET, np.float64, CustomLoss("changes arrays", loss), UpdateRule("adam"),
        TrainingOptions(batch_size=8, n_threads=1, dropout=dropout),
    )  # fmt: skip
    trainer.load(np.full(NET.n_parameters, 0.1))
    flat = np.empty(NET.n_parameters)
    try:
        trainer.run_epoch(x, y, order, 0.1)
    finally:
        trainer.store(flat)
        assert np.isfinite(flat).all()
    return trainer


def dense(x):
    return np.random.default_rng(1).normal(size=x.shape)


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("rows", [dense, lambda x: x], ids=["dense", "sparse"])
def test_labels(value, rows):
    x, y = samples()
    with pytest.raises(IndexError, match="class labels must not change"):
        run(rows(x), y, lambda: y.fill(value))


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("what", ["indices", "indptr"])
@pytest.mark.parametrize("dropout", [(), (0.5, 0.0)])
def test_sparse_rows(what, value, dropout):
    x, y = samples()
    with pytest.raises(IndexError, match=r"x\.indices and x\.indptr must not change"):
        run(x, y, lambda: getattr(x, what).__setitem__(slice(8, None), value), dropout=dropout)


def test_sparse_rows_with_more_entries_than_there_is_room_for():
    x, y = samples(np.int32)
    with pytest.raises(IndexError, match="must not change"):
        run(x, y, lambda: x.indptr.__setitem__(slice(16, None), 6 * 24))


def test_the_order_of_rows_is_a_copy():
    x, y = samples()
    order = np.arange(24)
    run(dense(x), y, lambda: order.fill(10**12), order=order)


def test_a_step_that_was_refused_does_not_count():
    x, y = samples()
    steps = []

    def change():
        steps.append(len(steps))
        if len(steps) == 2:
            y.fill(77)

    with pytest.raises(IndexError):
        run(dense(x), y, change)
    trainer = run(*samples(), lambda: None)
    assert trainer.step == 3


def test_single_calls_and_predictions_report_them(monkeypatch):
    """Here the checks are left out, as if another thread had been quicker."""
    monkeypatch.setattr(core._checks, "loss", lambda *a: None)
    monkeypatch.setattr(core._checks, "rows", lambda *a, **k: None)
    z, labels = np.zeros((4, 3)), np.array([0, 1, 3, 2])
    for name in ("cross_entropy", "hinge"):
        output = "softmax" if name == "cross_entropy" else "identity"
        with pytest.raises(IndexError, match="class labels"):
            core.output_delta(z, labels, name, output)
        with pytest.raises(IndexError, match="class labels"):
            core.loss_value(z, labels, name, output)
    network, flat = core.Network(NET, np.float64), np.ones(NET.n_parameters)
    for value in WRONG:
        for what in ("indices", "indptr"):
            for n in (1, 24):
                x, y = samples(n=n)
                getattr(x, what)[1] = value
                with pytest.raises(IndexError, match=r"x\.indices"):
                    network.predict(flat, x)
                with pytest.raises(IndexError, match=r"x\.indices"):
                    network.loss_and_gradient(flat, x, y, "squared_error")
