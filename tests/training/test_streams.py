"""Training on sources: the steps are those of arrays, whatever the blocks and however they come."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from fastmlp import MLP, data, kernels
from fastmlp._streams import reading
from fastmlp._streams import run as stream_run
from numpy.testing import assert_allclose, assert_array_equal
from support import same_numbers

N = 203
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 5)).astype(np.float32)
Y = (X[:, :1] > 0.3).astype(np.float32)
WEIGHT = rng.integers(0, 3, N).astype(np.float32)


def network(**options):
    return MLP([5, 6, 1], output="sigmoid", random_state=0, **options)


def trained(*args, **options):
    net = network()
    history = net.fit(*args, **{"epochs": 3, **options})
    return net.parameters, history


class Slow:
    """Blocks of 30 rows, of which every third takes its time."""

    def __len__(self):
        return -(-N // 30)

    def __getitem__(self, i):
        if i % 3 == 0:
            time.sleep(0.004)
        return X[30 * i : 30 * i + 30], Y[30 * i : 30 * i + 30]


OPTIONS = [
    {},
    {"dropout": 0.3, "clip_norm": 0.1, "batch_size": 7},
    {"learning_rate": "one_cycle", "l2": 0.01, "batch_size": 300},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("block_rows", "buffer"), [(30, 1), (50, 2), (1, 9), (1000, 1)])
def test_without_shuffle_each_step_is_that_of_an_array(options, block_rows, buffer):
    source = data.arrays(X, Y, WEIGHT, block_rows=block_rows, buffer=buffer)
    expected, h = trained(X, Y, sample_weight=WEIGHT, shuffle=False, **options)
    parameters, history = trained(source, shuffle=False, **options)
    assert_array_equal(parameters, expected)
    assert_allclose(history.loss, h.loss, rtol=1e-6)
    assert history.learning_rate == h.learning_rate


@pytest.mark.parametrize("options", OPTIONS)
def test_rows_are_shuffled_as_those_of_an_array(options):
    source = data.arrays(X, Y, block_rows=20, buffer=2)
    assert_array_equal(trained(source, shuffle="rows", **options)[0], trained(X, Y, **options)[0])


def test_sparse_blocks_are_trained_on_as_one_matrix():
    sparse = pytest.importorskip("scipy.sparse")
    rows = sparse.csr_array(X * (X > 0.5))
    source = data.arrays(rows, Y, block_rows=30, buffer=2)
    expected = trained(rows, Y, shuffle=False)[0]
    assert_array_equal(trained(source, shuffle=False)[0], expected)
    assert_array_equal(trained(source, shuffle="rows")[0], trained(rows, Y)[0])


def test_the_speed_of_reading_changes_nothing():
    fast = data.arrays(X, Y, block_rows=30, buffer=2)
    slow = data.source(Slow(), buffer=2)
    assert_array_equal(trained(slow)[0], trained(fast)[0])


def test_blocks_and_rows_of_buffers_are_shuffled_and_each_row_is_visited_once(monkeypatch):
    seen = []
    original = stream_run.StreamRun.stretches

    def watched(self):
        for batch, order in original(self):
            rows = batch.x if order is None else batch.x[order]
            seen.append(np.array(rows[:, 0]))
            yield batch, order

    monkeypatch.setattr(stream_run.StreamRun, "stretches", watched)
    numbered = np.arange(N, dtype=np.float32)[:, None] * np.ones((1, 5), np.float32)
    network().fit(data.arrays(numbered, Y, block_rows=10, buffer=3), epochs=2, batch_size=4)
    assert [len(part) % 4 for part in seen if len(part) != 3] == [0] * (len(seen) - 2)
    visited = np.concatenate(seen).reshape(2, N)
    assert_array_equal(np.sort(visited), [np.arange(N)] * 2)
    assert not np.array_equal(*visited)
    first = visited[0, :30]  # three blocks that do not follow each other, their rows mixed
    assert len({int(row) // 10 for row in first}) == 3
    assert np.any(np.diff(first[:10] // 10))


def test_one_pass_iterables_are_visited_as_they_come():
    class Loader:
        def __iter__(self):
            return ([X[i : i + 17], Y[i : i + 17]] for i in range(0, N, 17))

    loader = Loader()
    expected = trained(X, Y, shuffle=False)[0]
    assert_array_equal(trained(loader, shuffle=False)[0], expected)
    batches = ((X[i : i + 20], Y[i : i + 20]) for i in range(0, N, 20))
    assert_array_equal(
        trained(data.batches(batches), shuffle=False, epochs=1)[0],
        trained(X, Y, shuffle=False, epochs=1)[0],
    )
    with pytest.raises(ValueError, match="the generator can be gone through once"):
        trained(((X, Y) for _ in range(3)), epochs=2)
    with pytest.raises(ValueError, match="read in one pass"):
        trained(loader, class_weight="balanced")


def test_validation_and_metrics_are_those_of_arrays():
    options = {
        "validation_data": (X[:50], Y[:50]),
        "metrics": ["accuracy", "roc_auc"],
        "class_weight": "balanced",
        "stop": "early_stopping",
    }
    expected = trained(X, Y, shuffle=False, **options)[1]
    options["validation_data"] = data.arrays(X[:50], Y[:50], block_rows=20)
    found = trained(data.arrays(X, Y, block_rows=30), shuffle=False, **options)[1]
    for name, curve in expected.curves().items():
        if name != "seconds":
            assert_allclose(found.curve(name), curve, rtol=1e-6, err_msg=name)


def test_full_steps_add_up_all_blocks():
    source = data.arrays(X, Y, WEIGHT, block_rows=30)
    options = {"optimizer": "lbfgs", "epochs": 4, "l2": 0.01}
    expected, history = trained(X, Y, sample_weight=WEIGHT, **options)
    parameters, found = trained(source, **options)
    assert_allclose(found.loss, history.loss, rtol=1e-4)
    assert_allclose(parameters, expected, rtol=1e-3, atol=1e-4)


def test_predictions_and_losses_of_a_source(tmp_path):
    net, source = network(), data.arrays(X, Y, block_rows=30)
    check = same_numbers(kernels.info()["backend"], np.float32)
    check(net.predict(source), net.predict(X))
    assert_allclose(net.loss(source), net.loss(X, Y), rtol=1e-6)
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, (N, 1))
    assert net.predict(source, out=out) is out
    check(np.load(tmp_path / "out.npy", mmap_mode="r"), net.predict(X))
    with pytest.raises(ValueError, match="out has 3 rows"):
        net.predict(source, out=out[:3])
    with pytest.raises(ValueError, match="out must have shape"):
        net.predict(X, out=out[:3])


def test_a_bad_block_ends_training_at_the_last_finished_step():
    bad = X.copy()
    bad[101, 2] = np.nan
    source = data.arrays(bad, Y, block_rows=20, buffer=1)
    net = network()
    with pytest.raises(ValueError, match=r"rows 100…119 of the arrays: X .*nan at index \(1, 2\)"):
        net.fit(source, shuffle=False, batch_size=10)
    expected = network()
    expected.fit(X[:100], Y[:100], shuffle=False, batch_size=10, epochs=1)
    assert_array_equal(net.parameters, expected.parameters)
    assert not any(thread.name.startswith("fastmlp-reader") for thread in threading.enumerate())


class Narrow(Slow):
    def __getitem__(self, i):
        x, y = X[:30], Y[:30]
        return {3: (x[:, :4], y), 4: (x, y, np.ones(30)), 5: (x, y[:20])}.get(i, (x, y))

    def __len__(self):
        return self.n


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (4, r"block 3 of the Narrow: X must have shape \(n, 5\)"),
        (5, "block 3 of the Narrow"),
    ],
)
def test_blocks_of_another_kind_are_named(n, message):
    blocks = Narrow()
    blocks.n = n
    with pytest.raises(ValueError, match=message):
        network().fit(blocks, shuffle=False)


def test_blocks_with_weights_among_others_are_named():
    class Some(Slow):
        def __getitem__(self, i):
            return (X[:30], Y[:30], np.ones(30)) if i else (X[:30], Y[:30])

    with pytest.raises(ValueError, match=r"block 1 of the Some: unlike .* sample weights"):
        network().fit(Some(), shuffle=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": "full"}, "batch_size='full' needs all rows in memory"),
        ({"shuffle": "columns"}, "shuffle must be True or False, 'rows' or 'blocks'"),
        ({"shuffle": "rows"}, "cannot be read row by row"),
        ({"sample_weight": WEIGHT}, "sample_weight is for arrays"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    net = network()
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        net.fit(Slow(), **options)
    assert_array_equal(net.parameters, before)


def test_memory_bounds_what_is_held():
    wide = rng.normal(size=(4000, 100)).astype(np.float32)
    source = data.arrays(wide, wide[:, :1], memory=400_000)
    net = MLP([100, 3, 1], random_state=0)
    held = []
    original = stream_run.StreamRun.start

    def start(self):
        original(self)
        held.append(self.held)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_run.StreamRun, "start", start)
        net.fit(source, epochs=1)
    assert 200_000 < held[0] <= 400_000
    with pytest.raises(ValueError, match=r"memory of 0\.4 MiB is too little for buffers of 1"):
        net.fit(data.arrays(wide, wide[:, :1], block_rows=1000, memory="400 kB"))
    with pytest.raises(ValueError, match="memory must be bytes"):
        data.arrays(X, Y, memory="much")


def test_buffers_have_room_for_the_largest_blocks(monkeypatch):
    """Where the short last block lies in the first group the buffer would grow later."""
    rooms, fill = set(), reading.Buffer.fill

    def noted(buffer, batches, expected):
        filled = fill(buffer, batches, expected)
        rooms.add(len(buffer._held[0]))
        return filled

    monkeypatch.setattr(reading.Buffer, "fill", noted)
    rows = np.random.default_rng(3).normal(size=(1010, 3)).astype("f")
    source = data.arrays(rows, rows[:, :1], block_rows=100, buffer=2)
    for seed in range(4):
        MLP([3, 2, 1], random_state=seed).fit(source, epochs=3, batch_size=8)
    assert rooms == {207}  # two blocks, and seven rows left over before them
