"""Small networks side by side: which are, and that nothing but the time of the others changes."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc

import numpy as np
import pytest
from fastmlp import MLP, each, fit_many, kernels, schedules
from fastmlp._many import lanes

pytestmark = pytest.mark.usefixtures("compiled_backend")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype(np.float32)
Y = np.column_stack([X[:, 0] * X[:, 1], X[:, 2]]).astype(np.float32)
LABELS = RNG.integers(3, size=90)


def networks(k=6, sizes=(4, 8, 2), **options):
    return [MLP(sizes, random_state=i, **options) for i in range(k)]


@pytest.fixture
def side_by_side(monkeypatch):
    """How many networks each lane trainer was made for."""
    made = []
    real = kernels.lane_trainer

    def noted(*arguments):
        made.append(arguments[-1])
        return real(*arguments)

    monkeypatch.setattr(kernels, "lane_trainer", noted)
    return made


def assert_as_alone(many, x, y, alone=None, rows=None, **options):
    """Train networks in lanes; compare with ``fit`` of equal ones, option by option."""
    alone = networks(len(many), many[0].architecture.sizes) if alone is None else alone
    histories = fit_many(many, x, y, rows=rows, **options)
    for i, (net, other, history) in enumerate(zip(many, alone, histories, strict=True)):
        part = slice(None) if rows is None else rows[i]
        own = {
            name: value[i] if isinstance(value, (list, each)) else value
            for name, value in options.items()
            if name not in ("n_threads", "lanes")
        }
        expected = other.fit(x[part], y[part], **own)
        np.testing.assert_array_equal(net.parameters, other.parameters)
        assert history.loss == expected.loss
        assert history.learning_rate == expected.learning_rate
        assert (history.stop_reason, len(history.seconds)) == ("epochs", own["epochs"])
        assert net._generator.integers(1 << 30) == other._generator.integers(1 << 30)


def test_bits_are_those_of_fit(side_by_side):
    rates = [0.01, 0.02, schedules.Cosine(), 0.04, 0.05, schedules.InverseScaling()]
    options = {"optimizer": "adam", "learning_rate": rates, "epochs": 9, "batch_size": 16}
    assert_as_alone(networks(), X, Y, **options, n_threads=1)
    assert side_by_side == [6]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_and_classes(side_by_side, n_threads):
    """Folds of shared rows, and threads among which the networks are dealt out."""
    rows = [np.delete(np.arange(90), slice(9 * i, 9 * i + 9)) for i in range(10)]
    many, alone = (networks(10, (4, 6, 3), output="softmax") for _ in "ab")
    options = {"epochs": 4, "batch_size": 16, "optimizer": "sgd", "learning_rate": 0.1}
    assert_as_alone(many, X, LABELS, alone, rows, **options, n_threads=n_threads)
    if kernels.info()["isa"] == "avx2":  # eight lanes; three at least must be used
        # One that is done may serve the next ones.
        assert set(side_by_side) == {8 if n_threads == 1 else 4}


@pytest.mark.parametrize("more", [{"shuffle": False}, {"batch_size": "full"}, {"epochs": 1}])
def test_other_runs(side_by_side, more):
    options = {"epochs": 5, "batch_size": 32, **more}
    assert_as_alone(networks(5), X, Y, **options, n_threads=1, lanes=True)
    assert side_by_side == [5]


def test_long_runs_are_made_in_pieces(monkeypatch, side_by_side):
    two = "fastmlp._training.together.how_many"
    monkeypatch.setattr(two, lambda run: min(2, run.epochs - run.history.epochs))
    assert_as_alone(networks(5), X, Y, epochs=7, n_threads=1)
    assert side_by_side == [5]


ALONE = {
    "callback": {"callbacks": lambda net, history: None},
    "validation": {"validation_data": (X[:9], Y[:9])},
    "stop rule": {"stop": "early_stopping", "validation_data": (X[:9], Y[:9])},
    "metrics": {"metrics": ["mse"]},
    "weights": {"sample_weight": np.linspace(0.5, 1, 90)},
    "penalty": {"l2": 0.1},
    "dropout": {"dropout": 0.1},
    "norm": {"track_gradient_norm": True},
    "line search": {"optimizer": "lbfgs"},
    "two learning rates": {"optimizer": "nadam"},
    "off": {"lanes": False},
    "epochs": {"epochs": [1, 2, 3, 4, 5, 6]},
    "rows": {"rows": [slice(0, 20 + i) for i in range(6)]},
}


@pytest.mark.parametrize("name", ALONE)
def test_what_is_trained_alone(side_by_side, name):
    options = {"epochs": 2, "lanes": True, **ALONE[name]}
    fit_many(networks(), X, Y, **options)
    assert side_by_side == []


@pytest.mark.parametrize(
    ("width", "options"),
    [
        (lanes.WIDEST + 1, {}),
        (lanes.PANEL, {"optimizer": "sgd", "batch_size": lanes.MANY_ROWS}),
    ],
)
def test_networks_that_are_faster_alone_only_where_it_is_wanted(side_by_side, width, options):
    options = {"epochs": 2, "n_threads": 1, **options}
    fit_many(networks(4, (4, width, 2)), X, Y, **options)
    assert side_by_side == []
    fit_many(networks(4, (4, width, 2)), X, Y, lanes=True, **options)
    assert side_by_side == [4]


def test_networks_that_are_faster_in_lanes(side_by_side):
    few = {"optimizer": "sgd", "batch_size": lanes.MANY_ROWS - 1}
    for width, options in ((lanes.PANEL, few), (lanes.PANEL, {}), (lanes.PANEL - 1, {})):
        fit_many(networks(6, (4, width, 2)), X, Y, epochs=2, n_threads=1, **options)
    assert side_by_side == [6, 6, 6]  # enough for sixteen lanes


def test_lanes_is_a_bool_or_none():
    with pytest.raises(TypeError, match="lanes must be True, False or None"):
        fit_many(networks(4), X, Y, lanes="all")


def test_different_architectures_are_apart(side_by_side):
    many = networks(6) + networks(5, (4, 2)) + networks(1, (4, 9, 2))
    alone = networks(6) + networks(5, (4, 2)) + networks(1, (4, 9, 2))
    assert_as_alone(many, X, Y, alone, epochs=3, n_threads=1)
    assert sorted(side_by_side) == [5, 6]


def test_one_that_diverges(side_by_side):
    many, alone = networks(5), networks(5)
    rates = [0.01, 1e30, 0.01, 0.02, 0.01]
    options = {"optimizer": "sgd", "epochs": 4, "batch_size": 16}
    with pytest.warns(RuntimeWarning, match=r"network 1: .*epoch"):
        histories = fit_many(many, X, Y, learning_rate=rates, n_threads=1, **options)
    with pytest.warns(RuntimeWarning, match="epoch"):
        expected = [
            net.fit(X, Y, learning_rate=rate, **options)
            for net, rate in zip(alone, rates, strict=True)
        ]
    for net, other, ours, history in zip(many, alone, histories, expected, strict=True):
        np.testing.assert_array_equal(net.parameters, other.parameters)
        assert ours.stop_message == history.stop_message
        np.testing.assert_array_equal(ours.loss, history.loss)
    assert side_by_side == [5]


def test_an_interrupt_leaves_all_at_one_finished_step(monkeypatch):
    """Ctrl-C in the middle of a call: networks hold what they had learned, and can go on."""
    real = kernels.lane_trainer

    def interrupted(*arguments):
        trainer = real(*arguments)
        run = trainer.run_epochs

        def run_epochs(*given, out):
            halt = trainer.halt

            def set_once_it_runs():
                while trainer.step == 0:
                    time.sleep(0.001)
                halt[0] = 1

            other = threading.Thread(target=set_once_it_runs)
            other.start()
            try:
                return run(*given, out=out)
            except kernels.Halted:
                raise KeyboardInterrupt from None
            finally:
                other.join()

        trainer.run_epochs = run_epochs
        return trainer

    monkeypatch.setattr(kernels, "lane_trainer", interrupted)
    monkeypatch.setattr("fastmlp._training.together.how_many", lambda run: 5_000)
    many = networks()
    before = [net.parameters.copy() for net in many]
    with pytest.raises(KeyboardInterrupt):
        fit_many(many, X, Y, epochs=5_000, n_threads=1, progress=lambda *_: None)
    for net, start in zip(many, before, strict=True):
        assert not np.array_equal(net.parameters, start)
        assert np.isfinite(net.parameters).all()


def test_a_time_limit():
    histories = fit_many(networks(), X, Y, epochs=10**8, max_time=0.1, n_threads=1)
    assert {h.stop_reason for h in histories} == {"time_limit"}
    assert len({h.epochs for h in histories}) == 1
    assert histories[0].epochs == len(histories[0].loss)


def test_other_backends_train_one_after_another(side_by_side):
    with kernels.use_backend("reference"):
        fit_many(networks(3), X, Y, epochs=1, lanes=True)
    assert side_by_side == []


@pytest.mark.parametrize("side", [True, False])
def test_many_small_networks_take_little_memory(side):
    def fitted(k):
        """Bytes of k networks, before and after they are trained."""
        gc.collect()
        tracemalloc.start()
        try:
            nets = [MLP([4, 16, 3], output="softmax", random_state=i) for i in range(k)]
            untouched = tracemalloc.get_traced_memory()[0]
            histories = fit_many(nets, X, LABELS, epochs=5, lanes=side, n_threads=1)
            gc.collect()
            trained = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert len(histories) == k
        return np.array([untouched, trained])

    fitted(30)  # what a process remembers, such as which classes are an Iterable
    before, after = (fitted(30) - fitted(10)) / 20 - MLP([4, 16, 3]).parameters.nbytes
    assert 500 < before < 1500
    assert after < 2000


def test_a_trainer_serves_all_networks_that_are_alike(monkeypatch):
    made = []
    kind = kernels.active().Trainer
    make = kind.__init__
    nets, others = (
        [MLP([4, 40, 3], output="softmax", random_state=i) for i in range(9)] for _ in "ab"
    )
    x, y = np.random.default_rng(0).normal(size=(50, 4)), np.arange(50) % 3
    options = {"epochs": 3, "batch_size": 16, "learning_rate": [0.01] * 5 + [0.1] * 4}
    for net, rate in zip(others, options["learning_rate"], strict=True):
        net.fit(x, y, epochs=3, batch_size=16, learning_rate=rate)
    monkeypatch.setattr(kind, "__init__", lambda self, *a: made.append(1) or make(self, *a))
    fit_many(nets, x, y, **options, n_threads=2, lanes=False)
    assert len(made) <= 2 + 2 * 2  # two are made by the check of each rate
    for net, other in zip(nets, others, strict=True):
        assert np.array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_in_one_piece_and_apart_go_side_by_side(shuffle):
    apart = np.arange(0, 60, 2)
    rows, options = [slice(0, 30), apart, apart[::-1]], {"shuffle": shuffle, "epochs": 3}
    nets, alone = ([MLP([4, 5, 3], random_state=i) for i in range(3)] for _ in range(2))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 3))
    fit_many(nets, x, y, rows=rows, lanes=True, **options)
    for net, own, some in zip(nets, alone, rows, strict=True):
        own.fit(x[some], y[some], **options)
        np.testing.assert_array_equal(net.parameters, own.parameters)
