"""Trainers: single steps, gradients of the caller's own, and what they do not change."""

from __future__ import annotations

import signal
import tracemalloc

import numpy as np
import pytest
from fastmlp import MLP, Trainer, kernels, schedules
from fastmlp.kernels import CSR

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4))
LABELS = RNG.integers(0, 3, 12)
CASES = [
    ("softmax", "cross_entropy", LABELS),
    ("identity", "huber", RNG.normal(size=(12, 2))),
    ("sigmoid", "binary_cross_entropy", RNG.uniform(size=12)),
    ("exp", "poisson", RNG.poisson(2.0, size=(12, 2)).astype(float)),
]


def network(output="softmax", n_out=3, dtype="float64", **options):
    return MLP([4, 6, n_out], output=output, dtype=dtype, random_state=3, **options)


def n_outputs(y):
    return 3 if y.dtype.kind == "i" else (1 if y.ndim == 1 else y.shape[1])


@pytest.mark.covers("backend output loss y", "backend options")
@pytest.mark.parametrize(("output", "loss", "y"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize(
    "options",
    [{}, {"l2": 0.1, "clip_norm": 0.5}, {"dropout": 0.4, "max_norm": 0.7, "optimizer": "rmsprop"}],
    ids=["plain", "clipped", "dropout"],
)
def test_steps_are_those_of_fit(backend, output, loss, y, options):
    """Whatever the containers: fitting arrays, lists, other types and layouts."""
    whole, stepped, others = (network(output, n_outputs(y)) for _ in range(3))
    losses = whole.fit(X, y, loss=loss, epochs=4, batch_size=12, shuffle=False, **options).loss
    trainer = stepped.trainer(loss=loss, **options)
    assert [trainer.step(X, y) for _ in range(4)] == losses
    np.testing.assert_array_equal(stepped.parameters, whole.parameters)
    other = others.trainer(loss=loss, **options)
    odd = y.astype(np.int32) if y.dtype.kind == "i" else y[::-1][::-1]
    given = [(X.tolist(), y.tolist()), (np.asfortranarray(X), y), (X, odd), (X.copy(), y.copy())]
    assert [other.step(*rows) for rows in given] == losses
    np.testing.assert_array_equal(others.parameters, whole.parameters)
    assert trainer.steps == other.steps == 4


@pytest.mark.parametrize(
    "weight", [np.linspace(0.0, 2.0, 12), list(range(12))], ids=["array", "list"]
)
def test_weights_of_rows(backend, weight):
    whole, stepped = network(), network()
    loss = whole.fit(X, LABELS, epochs=1, batch_size=12, shuffle=False, sample_weight=weight).loss
    trainer = stepped.trainer()
    assert [trainer.step(X, LABELS, weight)] == loss
    np.testing.assert_array_equal(stepped.parameters, whole.parameters)


@pytest.mark.covers("backend output loss y", "dtype")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("output", "loss", "y"), CASES, ids=[case[0] for case in CASES])
def test_a_gradient_of_the_callers_own(backend, dtype, output, loss, y):
    """With plain descent and rate 1 a step is the vector-Jacobian product, summed over rows."""
    net = network(output, n_outputs(y), dtype)
    d_a = RNG.normal(size=(12, n_outputs(y)))
    _, gradient = net.vjp(X, d_a, parameters=True)
    trainer = net.trainer(optimizer="sgd", learning_rate=1.0, loss=loss)
    before = net.parameters.copy()
    trainer.step_delta(X, d_a)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(before - net.parameters, gradient, atol=tolerance)
    # The derivatives of the mean loss lead where the loss itself does.
    own, other = (network(output, n_outputs(y), dtype) for _ in range(2))
    if output == "identity":
        own.trainer(loss="squared_error").step(X, y)
        other.trainer(loss="squared_error").step_delta(X, (other.predict(X) - y) / 12)
        np.testing.assert_allclose(own.parameters, other.parameters, rtol=1e-4)


def test_changes_between_steps_are_gone_on_from(backend):
    edited, told = network(), network()
    first, second = edited.trainer(), told.trainer()
    first.step(X, LABELS)
    second.step(X, LABELS)
    edited.weights[0][1, 2] = 0.5
    edited.biases[1] = [1.0, 2.0, 3.0]
    state = second.state
    state["parameters"] = edited.parameters
    second.state = state
    assert first.step(X, LABELS) == second.step(X, LABELS)
    np.testing.assert_array_equal(edited.parameters, told.parameters)
    # A run in between is one more thing that the network shows.
    first.run(X, LABELS)
    edited.parameters[:] = 0
    assert first.step(X, LABELS) == pytest.approx(np.log(3))


def test_more_rows_than_before(backend):
    """A step takes all rows that it is given, whatever the batch size, and keeps the moments."""
    grown, plain = network(), network()
    small, large = grown.trainer(batch_size=2), plain.trainer(batch_size=12)
    for rows in (slice(0, 3), slice(0, 12), slice(4, 5)):
        assert small.step(X[rows], LABELS[rows]) == large.step(X[rows], LABELS[rows])
    np.testing.assert_array_equal(grown.parameters, plain.parameters)
    small.run(X, LABELS)
    assert small.steps == 3 + 6


def test_sparse_rows(backend):
    dense, sparse = network(), network()
    data = np.where(abs(X) > 0.5, X, 0)
    places = [np.flatnonzero(row) for row in data]
    starts = np.cumsum([0, *map(len, places)])
    rows = CSR(data[data != 0], np.concatenate(places), starts, data.shape)
    one, other = dense.trainer(), sparse.trainer()
    for _ in range(2):
        assert one.step(data, LABELS) == pytest.approx(other.step(rows, LABELS), rel=1e-12)
    np.testing.assert_allclose(dense.parameters, sparse.parameters, rtol=1e-9)


def test_rates_of_single_steps():
    """Schedules of steps count them all; a number that is set is the rate of the next step."""
    net, fitted, told = network(), network(), network()
    options = {"optimizer": "sgd", "learning_rate": schedules.Warmup(4)}
    history = fitted.fit(X, LABELS, epochs=6, batch_size=12, shuffle=False, **options)
    trainer, plain = net.trainer(**options), told.trainer(optimizer="sgd")
    for rate in history.learning_rate:
        trainer.step(X, LABELS)
        plain.learning_rate = rate
        plain.step(X, LABELS)
    np.testing.assert_array_equal(net.parameters, fitted.parameters)
    np.testing.assert_array_equal(told.parameters, fitted.parameters)
    assert len(set(history.learning_rate)) > 3


def test_gradients_are_those_of_a_step(backend):
    net = network()
    trainer = net.trainer(optimizer="sgd", learning_rate=1.0, l2=0.2, l1=0.01)
    found = trainer.gradients(X, LABELS)
    before = [w.copy() for w in net.weights]
    trainer.step(X, LABELS)
    for (dw, _), old, new in zip(found, before, net.weights, strict=True):
        np.testing.assert_allclose(old - new, dw, atol=1e-12)


@pytest.mark.parametrize("labels", [True, False])
def test_a_step_allocates_nothing(labels):
    if "compiled" not in kernels.available():
        pytest.skip("the compiled backend")
    with kernels.use_backend("compiled"):
        net = network("softmax" if labels else "identity", 3, "float32")
        trainer = net.trainer()
        x = X.astype(np.float32)
        y = LABELS if labels else RNG.normal(size=(12, 3)).astype(np.float32)
        d_a = np.full((12, 3), 0.1, np.float32)
        for _ in range(3):
            trainer.step(x, y)
            trainer.step_delta(x, d_a)
        tracemalloc.start()
        try:
            for _ in range(3):
                trainer.step(x, y)
                trainer.step_delta(x, d_a)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(50):
                trainer.step(x, y)
                trainer.step_delta(x, d_a)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # Numbers of Python and a tuple of arguments; any array would be larger than all of them.
    assert after - before < 200
    assert peak - before < 1000


def test_wrong_arguments_change_nothing(backend):
    net = network()
    trainer = net.trainer()
    trainer.step(X, LABELS)
    before, steps = net.parameters.copy(), trainer.steps
    bad = X.copy()
    bad[3, 1] = np.nan
    for call, words in [
        (lambda: trainer.step(X[:, :3], LABELS), r"X must have shape \(n, 4\)"),
        (lambda: trainer.step(bad, LABELS), "X"),
        (lambda: trainer.step(X, LABELS[:5]), "same number of rows"),
        (lambda: trainer.step(X, LABELS + 1), "class labels must lie in"),
        (lambda: trainer.step(X, LABELS, -np.ones(12)), "sample_weight must not be negative"),
        (lambda: trainer.step(X, LABELS, np.zeros(12)), "sample_weight"),
        (lambda: trainer.step(X[:0], LABELS[:0]), "no rows"),
        (lambda: trainer.step_delta(X, np.ones((12, 2))), r"dL_da must have shape \(12, 3\)"),
        (lambda: trainer.step_delta(X, np.full((12, 3), np.inf)), "dL_da"),
        (lambda: net.fit(X, LABELS, trainer=trainer, l2=0.1), "a trainer has l2 of its own"),
        (lambda: network().fit(X, LABELS, trainer=trainer), "one of this network"),
        (
            lambda: network().trainer(optimizer="lbfgs").step_delta(X, np.ones((12, 3))),
            "line search",
        ),
        (lambda: network().trainer(class_weight="balanced").step(X, LABELS), "needs all rows"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="trainer has the options"):
        net.trainer(momentum=0.9)
    assert (trainer.steps, net.parameters.tolist()) == (steps, before.tolist())


def test_line_searches_make_steps():
    net = network()
    trainer = net.trainer(optimizer="lbfgs")
    losses = [trainer.step(X, LABELS) for _ in range(6)]
    assert losses[-1] < 0.5 * losses[0]
    assert isinstance(trainer, Trainer)


def few_entries(x):
    """Rows of which a quarter is stored."""
    n, width = len(x), x.shape[1] // 4
    columns = np.tile(np.arange(width, dtype=np.int32), n)
    starts = np.arange(n + 1, dtype=np.int64) * width
    return CSR(np.ascontiguousarray(x[:, :width]).ravel(), columns, starts, x.shape)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that signals")
@pytest.mark.parametrize("rows", ["dense", "sparse"])
@pytest.mark.parametrize("with_step", [True, False], ids=["step", "fit"])
def test_a_step_of_many_rows_can_be_interrupted(with_step, rows):
    """In the middle of it: the network is as it was before."""
    if "compiled" not in kernels.available():
        pytest.skip("the compiled backend")
    x = np.ones((100_000, 16), np.float32)
    y = np.ones((len(x), 1), np.float32)
    if rows == "sparse":
        x = few_entries(x)

    def handler(number, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        with kernels.use_backend("compiled"):
            net = MLP([16, 256, 256, 1], n_threads=1)
            trainer = net.trainer(batch_size="full")
            before = net.parameters.copy()
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(KeyboardInterrupt):
                trainer.step(x, y) if with_step else net.fit(x, y, trainer=trainer, epochs=1)
            np.testing.assert_array_equal(net.parameters, before)
            assert trainer.steps == 0
            trainer.step(np.ones((5, 16)), y[:5])
            assert trainer.steps == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.skipif("numba" not in kernels.available(), reason="the Numba backend")
@pytest.mark.usefixtures("interrupts_arrive")
@pytest.mark.parametrize("rows", ["dense", "sparse"])
@pytest.mark.parametrize(
    "options", [{}, {"l1": 0.01, "clip_norm": 0.1, "dropout": 0.2, "max_norm": 1.0}], ids=len
)
def test_numba_makes_the_rows_of_a_huge_step_in_pieces(monkeypatch, options, rows):
    """With the same bits; Ctrl-C between them leaves the network as it was before the step."""
    from fastmlp.kernels.jit import training
    from fastmlp.kernels.jit.threads.team import Job

    x = RNG.random((900, 8), np.float32)
    x = few_entries(x) if rows == "sparse" else x
    y = RNG.random((900, 1), np.float32)
    with kernels.use_backend("numba"):
        whole, pieces = (MLP([8, 20, 1], random_state=0, n_threads=1) for _ in range(2))
        trainers = [net.trainer(batch_size="full", **options) for net in (whole, pieces)]
        want = [trainers[0].step(x, y) for _ in range(2)]
        monkeypatch.setattr(training, "LONG_SECONDS", 0.0)
        monkeypatch.setattr(training, "CHUNK_SECONDS", 1e-9)
        run, calls = Job.run, []

        def counted(job, n_threads):
            calls.append(1)
            if len(calls) == 12:
                signal.raise_signal(signal.SIGINT)
            run(job, n_threads)

        monkeypatch.setattr(Job, "run", counted)
        have = [trainers[1].step(x, y)]
        before, first = pieces.parameters.copy(), len(calls)
        assert 6 <= first < 12  # five blocks of rows, and the weights
        with pytest.raises(KeyboardInterrupt):
            trainers[1].step(x, y)
        np.testing.assert_array_equal(pieces.parameters, before)
        assert trainers[1].steps == 1
        have.append(trainers[1].step(x, y))
    assert have == want
    np.testing.assert_array_equal(pieces.parameters, whole.parameters)
