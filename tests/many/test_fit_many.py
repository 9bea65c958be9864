"""Many networks at once: each ends with the bits of its own ``fit``, whatever happens to others."""

from __future__ import annotations

import itertools
import threading
import time

import fastmlp
import numpy as np
import pytest
from fastmlp import MLP, each, fit_many, kernels, predict_many, schedules, stopping
from fastmlp._many.crew import Crew

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype(np.float32)
Y = np.column_stack([X[:, 0] * X[:, 1], X[:, 2]])
SIZES = [(4, 8, 2), (4, 2), (4, 5, 3, 2), (4, 16, 2), (4, 8, 2)]


def networks(k=5, **options):
    return [MLP(SIZES[i % len(SIZES)], random_state=i, **options) for i in range(k)]


def parameters(nets):
    return [net.parameters.copy() for net in nets]


def same(nets, others):
    return all(
        np.array_equal(a.parameters, b.parameters) for a, b in zip(nets, others, strict=True)
    )


OPTIONS = {
    "plain": {"epochs": 7},
    "dropout and early stopping": {
        "epochs": 12,
        "dropout": 0.2,
        "validation_data": (X[:20], Y[:20]),
        "stop": stopping.EarlyStopping(patience=2),
    },
    "schedule and clipping": {"epochs": 5, "learning_rate": schedules.Cosine(), "clip_norm": 0.5},
    "line search": {"epochs": 4, "optimizer": "lbfgs"},
    "metrics": {"epochs": 3, "metrics": ["r2"], "batch_size": 7},
}


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("name", OPTIONS)
def test_bits_are_those_of_fit(name, n_threads):
    many, alone = networks(), networks()
    histories = fit_many(many, X, Y, n_threads=n_threads, **OPTIONS[name])
    for net, history in zip(alone, histories, strict=True):
        expected = net.fit(X, Y, **OPTIONS[name])
        assert history.loss == expected.loss
        assert history.stop_message == expected.stop_message
        assert history.metrics == expected.metrics
    assert same(many, alone)
    draws = [[net._generator.integers(1 << 30) for net in nets] for nets in (many, alone)]
    assert draws[0] == draws[1]


@pytest.mark.parametrize("backend", kernels.available())
def test_every_backend_and_mixed_types(backend):
    types = "ff" if backend == "numba" else "fdf"  # compiling for both takes a minute
    with kernels.use_backend(backend):
        many = [MLP(SIZES[i], random_state=i, dtype=t) for i, t in enumerate(types)]
        alone = [MLP(SIZES[i], random_state=i, dtype=t) for i, t in enumerate(types)]
        fit_many(many, X, Y, epochs=3, n_threads=2)
        for net in alone:
            net.fit(X, Y, epochs=3)
        predicted = predict_many(many, X)
        assert predicted.dtype == np.result_type(*types)
        for net, values in zip(many, predicted, strict=True):
            assert np.array_equal(net.predict(X), values.astype(net.dtype))
    assert same(many, alone)


def test_the_last_networks_use_all_threads(monkeypatch):
    """Fewer networks than threads: each goes on with more, and with the same bits."""
    used = []
    monkeypatch.setattr("fastmlp._many.work.WORTH_SHARING", 0)
    use_threads = fastmlp._training.run.Run.use_threads
    monkeypatch.setattr(
        "fastmlp._training.run.Run.use_threads",
        lambda run, n: (used.append(n), use_threads(run, n))[1],
    )
    many, alone = networks(1), networks(1)
    options = {"epochs": 4, "optimizer": "adam", "dropout": 0.3, "metrics": ["mse"]}
    fit_many(many, X, Y, n_threads=3, **options)
    alone[0].fit(X, Y, **options)
    assert used == [3]
    assert same(many, alone)


def test_options_for_each():
    rates, drops = [0.1, 0.01, 0.001], each([0.0, 0.5, [0.1, 0.2]])
    sizes = [(4, 6, 2)] * 3
    many, alone = ([MLP(s, random_state=i) for i, s in enumerate(sizes)] for _ in range(2))
    losses = ["squared_error", "huber", "absolute_error"]
    fit_many(many, X, Y, learning_rate=rates, dropout=drops, loss=losses, epochs=[1, 2, 3])
    for i, net in enumerate(alone):
        net.fit(X, Y, learning_rate=rates[i], dropout=drops[i], loss=losses[i], epochs=i + 1)
    assert same(many, alone)


def test_own_data_and_weights():
    many, alone = networks(3), networks(3)
    xs, ys = [X[:30], X[30:50], X[50:]], [Y[:30], Y[30:50], Y[50:]]
    weights = [np.linspace(0.5, 1, len(x)) for x in xs]
    fit_many(many, xs, ys, sample_weight=weights, epochs=2)
    for net, x, y, weight in zip(alone, xs, ys, weights, strict=True):
        net.fit(x, y, sample_weight=weight, epochs=2)
    assert same(many, alone)


ROWS = {
    "slice": slice(10, 60),
    "every third": slice(None, None, 3),
    "bootstrap": np.sort(np.random.default_rng(1).integers(90, size=90)),
    "few": np.array([3, 80, 5]),
    "mask": np.arange(90) % 5 > 0,
    "all": None,
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("more", [{}, {"metrics": ["mse"]}, {"shuffle": False}])
def test_rows_of_shared_arrays(name, more):
    rows = slice(None) if ROWS[name] is None else ROWS[name]
    many, alone = networks(2), networks(2)
    weight = np.linspace(0.1, 1, 90)
    stop = stopping.EarlyStopping(patience=2, monitor="loss")
    fit_many(many, X, Y, rows=[ROWS[name]] * 2, sample_weight=weight, epochs=4, stop=stop, **more)
    for net in alone:
        net.fit(X[rows], Y[rows], sample_weight=weight[rows], epochs=4, stop=stop, **more)
    assert same(many, alone)


def test_classes_of_rows_are_weighed_by_what_is_there():
    labels = RNG.integers(3, size=90)
    rows = np.flatnonzero(labels < 2)
    many, alone = ([MLP([4, 6, 3], output="softmax", random_state=0)] for _ in range(2))
    fit_many(many, X, labels, rows=[rows], class_weight="balanced", epochs=3)
    alone[0].fit(X[rows], labels[rows], class_weight="balanced", epochs=3)
    assert same(many, alone)


def test_shared_rows_are_not_copied():
    """A fold is trained on where it lies: the engine is given the shared array itself."""
    from fastmlp._many.work import Work

    folds = [np.delete(np.arange(90), slice(9 * i, 9 * i + 9)) for i in range(1, 4)]
    work = Work(networks(3), X, Y.astype(np.float32), folds, None, {})
    batches = [work.batch(i) for i in range(3)]
    for (batch, rows), fold in zip(batches, folds, strict=True):
        assert np.shares_memory(batch.x, X)
        assert np.array_equal(rows, fold)


def test_a_diverging_network_does_not_end_the_others():
    many, alone = networks(4), networks(4)
    rates = [0.01, 1e30, 0.01, 0.02]
    with pytest.warns(RuntimeWarning, match=r"network 1: .*epoch") as caught:
        histories = fit_many(many, X, Y, optimizer="sgd", learning_rate=rates, epochs=3)
    assert len([w for w in caught if w.category is RuntimeWarning]) == 1
    assert caught[0].filename == __file__
    for i in (0, 2, 3):
        alone[i].fit(X, Y, optimizer="sgd", learning_rate=rates[i], epochs=3)
        assert np.array_equal(many[i].parameters, alone[i].parameters)
    assert [h.stop_reason for h in histories] == ["epochs", "non_finite_loss", "epochs", "epochs"]
    assert np.isfinite(many[1].parameters).all()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_exception_ends_all_at_a_finished_step(n_threads):
    """Of network 3's callback: what it had learned stays, who had not begun is as before."""
    many = networks(6)
    before = parameters(many)

    def failing(net, history):
        if history.epochs == 2:
            raise OSError("disk full")

    callbacks = each([[], [], [], failing, [], []])
    epochs = [1, 1, 1, 1000, 1, 1]  # the longest begins first
    with pytest.raises(OSError, match="disk full") as caught:
        fit_many(many, X, Y, callbacks=callbacks, epochs=epochs, n_threads=n_threads)
    assert caught.value.__notes__ == ["in network 3"]
    alone = networks(6)[3]
    alone.fit(X, Y, epochs=2)
    assert np.array_equal(many[3].parameters, alone.parameters)
    if n_threads == 1:
        untouched = [np.array_equal(b, n.parameters) for b, n in zip(before, many, strict=True)]
        assert untouched == [True, True, True, False, True, True]


def test_ctrl_c_reaches_all_threads():
    """A KeyboardInterrupt in the caller's thread halts the networks of the others within a step."""
    many = networks(2)
    main, started = threading.main_thread(), threading.Barrier(2, timeout=20)

    def meet(net, history):
        if history.epochs == 1:
            started.wait()
            if threading.current_thread() is main:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_many(many, X, Y, epochs=10**7, callbacks=meet, n_threads=2)


def test_time_limit():
    many = networks(3)
    before = parameters(many)
    start = time.perf_counter()
    histories = fit_many(many, X, Y, epochs=[10**8, 10, 10], max_time=0.1, n_threads=1)
    assert time.perf_counter() - start < 20
    assert {h.stop_reason for h in histories} == {"time_limit"}
    assert "0.1 s" in histories[0].stop_message
    assert histories[0].epochs > 0 == histories[1].epochs
    changed = [not np.array_equal(b, n.parameters) for b, n in zip(before, many, strict=True)]
    assert changed == [True, False, False]
    assert not any(isinstance(t, threading.Timer) for t in threading.enumerate())


def test_progress(capsys):
    told = []
    fit_many(networks(3), X, Y, epochs=1, progress=lambda done, k: told.append((done, k)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    fit_many(networks(3), X, Y, epochs=1, progress=True)
    assert "network" in capsys.readouterr().out


def test_largest_first():
    order = []
    Crew([3.0, 9.0, 1.0, 5.0], 1, order.append).run()
    assert order == [1, 3, 0, 2]


RNG_SHARED = np.random.default_rng(5)
WRONG = {
    "one network": (lambda: fit_many(MLP([4, 2]), X, Y), TypeError, "list of MLP"),
    "no network": (lambda: fit_many([3], X, Y), TypeError, "got int at 0"),
    "twice": (lambda: fit_many([n := MLP([4, 2]), n], X, Y), ValueError, "0 and 1 are the same"),
    "generator": (
        lambda: fit_many([MLP([4, 2], random_state=RNG_SHARED) for _ in "ab"], X, Y),
        ValueError,
        "share one random generator",
    ),
    "option": (
        lambda: fit_many(networks(1), X, Y, epoch=3),
        TypeError,
        "no option 'epoch'; did you mean 'epochs'",
    ),
    "verbose": (lambda: fit_many(networks(1), X, Y, verbose=1), TypeError, "progress=True"),
    "number of values": (
        lambda: fit_many(networks(3), X, Y, epochs=[1, 2]),
        ValueError,
        "one for each of 3 networks, got 2",
    ),
    "value of one": (
        lambda: fit_many(networks(2), X, Y, learning_rate=[0.1, -1.0]),
        ValueError,
        "learning_rate",
    ),
    "empty": (
        lambda: fit_many(networks(2), X, Y, rows=[slice(0, 9), []]),
        ValueError,
        "rows of network 1 are none",
    ),
    "beyond": (
        lambda: fit_many(networks(2), X, Y, rows=[[0], [90]]),
        ValueError,
        "rows of network 1 must lie in 0…89",
    ),
    "rows": (lambda: fit_many(networks(2), X, Y, rows=[[0]]), ValueError, "each of 2 networks"),
    "weights": (
        lambda: fit_many(networks(1), X, Y, rows=[[0]], sample_weight=np.arange(90)),
        ValueError,
        "zero for every row",
    ),
    "shape": (lambda: fit_many(networks(1), X[:, :3], Y), ValueError, r"shape \(n, 4\)"),
    "time": (lambda: fit_many(networks(1), X, Y, max_time=0), ValueError, "max_time"),
    "outputs": (
        lambda: predict_many([MLP([4, 2]), MLP([4, 1])], X),
        ValueError,
        r"\[\(4, 1\), \(4, 2\)\]",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_change_nothing(name):
    call, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        call()


def test_nothing_changes_where_one_network_is_wrong():
    many = networks(3)
    before = parameters(many)
    states = [str(net._generator.bit_generator.state) for net in many]
    with pytest.raises(ValueError, match="dropout"):
        fit_many(many, X, Y, dropout=each([0.5, 0.1, 2.0]))
    assert all(np.array_equal(b, n.parameters) for b, n in zip(before, many, strict=True))
    assert states == [str(net._generator.bit_generator.state) for net in many]


def test_predictions_go_where_they_are_wanted():
    nets = networks(3)
    out = np.empty((3, 90, 2), np.float32)
    assert predict_many(nets, X, out=out, n_threads=2) is out
    assert all(np.array_equal(net.predict(X), p) for net, p in zip(nets, out, strict=True))
    with pytest.raises(ValueError, match="contiguous"):
        predict_many(nets, X, out=out[:, :, ::-1])


def test_no_networks():
    assert fit_many([], X, Y) == []


@pytest.mark.sweep
@pytest.mark.parametrize(("n_threads", "seed"), list(itertools.product([1, 2, 3, 4], range(5))))
def test_any_order_of_many_networks(n_threads, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(20)
    sizes = [(4, *rng.integers(1, 30, rng.integers(0, 3)), 2) for _ in order]
    epochs = rng.integers(1, 30, 20).tolist()
    many, alone = ([MLP(s, random_state=i) for i, s in enumerate(sizes)] for _ in range(2))
    shuffled = [many[i] for i in order]
    fit_many(shuffled, X, Y, epochs=[epochs[i] for i in order], n_threads=n_threads)
    for net, n in zip(alone, epochs, strict=True):
        net.fit(X, Y, epochs=n)
    assert same(many, alone)
