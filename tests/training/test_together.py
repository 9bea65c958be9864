"""Several epochs in one call of the engine: what comes out is what epoch by epoch comes out."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest
from fastmlp import MLP, kernels, schedules
from fastmlp._training import together
from fastmlp.kernels import Halted
from fastmlp.optimizers import Adam
from fresh import run_python

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(37, 3)), RNG.normal(size=(37, 2))


def trained(alone, monkeypatch, **options):
    """A network after 9 epochs, its history, and the next number that its generator draws."""
    net = MLP([3, 5, 2], random_state=1)
    with monkeypatch.context() as patch:
        if alone:
            patch.setattr(together, "at_once", lambda run, most: 1)
        options = {"epochs": 9, "batch_size": 10, **options}
        history = net.fit(X, Y, **options)
    return net.parameters.copy(), history, net._generator.integers(1 << 30)


@pytest.mark.parametrize("backend", kernels.available())
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"batch_size": "full", "optimizer": "sgd", "learning_rate": 0.1},
        {"dropout": 0.3, "clip_norm": None, "l2": 1e-3},
        {"learning_rate": schedules.Cosine()},
        {"sample_weight": np.arange(37.0), "max_norm": 0.5},
    ],
    ids=["adam", "in order", "full", "dropout", "cosine", "weights"],
)
def test_bits_are_those_of_single_epochs(backend, options, monkeypatch):
    with kernels.use_backend(backend):
        single, one, drawn = trained(True, monkeypatch, **options)
        several, other, drawn_too = trained(False, monkeypatch, **options)
    assert np.array_equal(single, several)
    assert (one.loss, one.learning_rate) == (other.loss, other.learning_rate)
    assert len(other.seconds) == 9
    assert one.stop_message == other.stop_message
    assert drawn == drawn_too


def test_the_engine_is_entered_once_for_many_epochs(monkeypatch):
    calls = []
    run_epochs = kernels.active().Trainer.run_epochs

    def counted(self, x, target, orders, rates, **more):
        calls.append(len(rates))
        return run_epochs(self, x, target, orders, rates, **more)

    monkeypatch.setattr(kernels.active().Trainer, "run_epochs", counted)
    trained(False, monkeypatch, epochs=50)
    assert sum(calls) == 50
    assert len(calls) <= 3


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_divergence_is_found_in_the_same_epoch(rate, monkeypatch):
    options = {"optimizer": "sgd", "learning_rate": rate}
    with pytest.warns(RuntimeWarning, match="epoch"):
        single, one, drawn = trained(True, monkeypatch, **options)
    with pytest.warns(RuntimeWarning, match="epoch"):
        several, other, drawn_too = trained(False, monkeypatch, **options)
    assert np.array_equal(single, several)
    assert one.stop_message == other.stop_message
    assert np.array_equal(one.loss, other.loss, equal_nan=True)
    assert drawn == drawn_too


def test_an_exception_leaves_the_last_finished_step(monkeypatch):
    """Ctrl-C after 2 epochs of a call leaves what it would leave epoch by epoch."""
    run_epochs = kernels.active().Trainer.run_epochs

    def interrupted(self, x, target, orders, rates, *, sample_weight, plateau, out):
        run_epochs(self, x, target, orders, rates[:2], out=out[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(kernels.active().Trainer, "run_epochs", interrupted)
    net = MLP([3, 5, 2], random_state=1)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=9, batch_size=10)
    two, _, drawn = trained(True, monkeypatch, epochs=2)
    assert np.array_equal(net.parameters, two)
    assert net._generator.integers(1 << 30) == drawn


@pytest.mark.parametrize("backend", kernels.available())
def test_a_trainer_is_halted_by_another_thread(backend):
    with kernels.use_backend(backend):
        net = MLP([3, 5, 2], random_state=1)
        rule = Adam().update_rule()
        trainer = kernels.trainer(
            net.architecture, net.dtype, "squared_error", rule, batch_size=4, n_threads=1
        )
        trainer.load(net.parameters)
        trainer.halt = halt = np.zeros(1, np.int32)
        threading.Timer(0.05, halt.fill, [1]).start()
        x, y = X.astype(np.float32), Y.astype(np.float32)
        out = np.zeros(100_000)
        with pytest.raises(Halted):
            trainer.run_epochs(x, y, None, np.full(len(out), 1e-3), out=out)
        done = np.isfinite(out).sum()
        assert trainer.step // 10 == done < len(out)
        with pytest.raises(Halted):
            trainer.run_epoch(x, y, None, 1e-3)
        with pytest.raises(TypeError, match="int32"):
            trainer.halt = [0]
    with pytest.raises(ValueError, match="one row for each of 2"):
        trainer.run_epochs(x, y, np.zeros((3, 5), np.intp), np.ones(2))
    with pytest.raises(ValueError, match="learning_rates must have shape"):
        trainer.run_epochs(x, y, None, np.ones((2, 3)))


def test_later_epochs_may_have_batches_with_more_entries(monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    rows = sparse.random_array((300, 7), density=0.3, format="csr", rng=np.random.default_rng(0))
    parameters = []
    for alone in (True, False):
        net = MLP([7, 4, 1], random_state=0)
        with monkeypatch.context() as patch:
            if alone:
                patch.setattr(together, "at_once", lambda run, most: 1)
            net.fit(rows, np.ones(300), epochs=20, batch_size=8)
        parameters.append(net.parameters)
    assert np.array_equal(*parameters)


@pytest.mark.parametrize("bits", ["PCG64", "MT19937", "Philox", "SFC64"])
@pytest.mark.parametrize("n", [1, 2, 65, 1000])
def test_orders_are_those_of_numpy(bits, n):
    """Also with half of a 64-bit number left over from an earlier draw."""
    ours, numpys = (np.random.Generator(getattr(np.random, bits)(3)) for _ in range(2))
    order = np.arange(n)
    for generator in (ours, numpys):
        generator.integers(9, dtype=np.int32)
    found = kernels.shuffled(ours, order, 4)
    for one in found:
        numpys.shuffle(order)
        assert np.array_equal(one, order)
    assert ours.integers(1 << 62) == numpys.integers(1 << 62)


def test_orders_of_old_random_states_are_those_of_numpy():
    ours, numpys = np.random.RandomState(3), np.random.RandomState(3)
    order = np.arange(1000)
    for one in kernels.shuffled(ours, order.copy(), 4):
        numpys.shuffle(order)
        assert np.array_equal(one, order)
    assert ours.normal() == numpys.normal()


@pytest.mark.parametrize("direct", [True, False])
def test_a_mersenne_twister_is_drawn_from_at_any_place(direct):
    """By its words as they lie in memory, or by its calls where NumPy says other ones."""
    core = pytest.importorskip("fastmlp.kernels.compiled")
    kernels.shuffled(np.random.RandomState(0), np.arange(3), 1)  # which looks at it
    assert core.look_at_twister(np.random.PCG64(0)) is False
    try:
        if direct:
            assert core.look_at_twister(np.random.RandomState(5)._bit_generator)
        for drawn in (0, 1, 226, 227, 622, 623, 624, 1247):
            ours, numpys = np.random.RandomState(3), np.random.RandomState(3)
            for state in (ours, numpys):
                state._bit_generator.random_raw(drawn)
            order = np.arange(40)
            for one in kernels.shuffled(ours, order.copy(), 30):
                numpys.shuffle(order)
                assert np.array_equal(one, order)
            found, wanted = ours.get_state(), numpys.get_state()
            assert np.array_equal(found[1], wanted[1])
            assert found[2:] == wanted[2:]
    finally:
        core.look_at_twister(np.random.RandomState(5)._bit_generator)


def test_another_numpy_shuffles_for_itself(monkeypatch):
    from fastmlp.kernels import _epochs

    first = kernels.shuffled(np.random.default_rng(0), np.arange(50), 3)
    monkeypatch.setattr(_epochs, "_draws_as_numpy", lambda: False)
    assert np.array_equal(first, kernels.shuffled(np.random.default_rng(0), np.arange(50), 3))


@pytest.mark.parametrize("rows", ["dense", "sparse"])
@pytest.mark.parametrize("generator", [np.random.RandomState, np.random.default_rng])
def test_epochs_shuffle_until_a_plateau(backend, rows, generator):
    """As epoch by epoch: losses, bits, the last order, and where the generator stands."""
    x, y = X.astype(np.float32), Y.astype(np.float32)
    if rows == "sparse":
        n = len(x)
        x = kernels.CSR(x.ravel(), np.tile(np.arange(3), n), np.arange(0, 3 * n + 1, 3), (n, 3))
    net = MLP([3, 5, 2], random_state=1)
    trainers = [
        kernels.trainer(net.architecture, net.dtype, "squared_error", rule, batch_size=10)
        for rule in [Adam().update_rule()] * 2
    ]
    for trainer in trainers:
        trainer.load(net.parameters)
    one, several = (kernels.Shuffle(generator(4), np.arange(len(X))) for _ in range(2))
    plateau, losses = kernels.Plateau(np.inf, 0, 0.005, 2), []
    now = plateau
    while not now.reached:
        one.generator.shuffle(one.order)
        losses.append(trainers[0].run_epoch(x, y, one.order, 0.01))
        now = now.after(losses[-1:])
    found = trainers[1].run_epochs(x, y, several, np.full(500, 0.01), plateau=plateau)
    assert 3 < len(losses) < 500
    assert found[: len(losses)].tolist() == losses
    assert np.isnan(found[len(losses) :]).all()
    assert trainers[0].step == trainers[1].step
    stored = [np.empty_like(net.parameters) for _ in trainers]
    for trainer, parameters in zip(trainers, stored, strict=True):
        trainer.store(parameters)
    assert np.array_equal(*stored)
    assert np.array_equal(one.order, several.order)
    assert one.generator.random() == several.generator.random()
    assert plateau.after(losses) == now
    with pytest.raises(TypeError, match=r"numpy\.intp"):
        trainers[0].run_epochs(x, y, kernels.Shuffle(generator(4), stored[0]), np.ones(2))
    with pytest.raises(TypeError, match="or RandomState, got int"):
        trainers[0].run_epochs(x, y, kernels.Shuffle(4, one.order), np.ones(2))


DRAWING = """
import signal
import numpy as np
from fastmlp import kernels
generator, drawn = np.random.default_rng(0), []
signal.signal(signal.SIGALRM, lambda number, frame: drawn.append(generator.random()))
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
for n, width, batch_size in ((24_000, 256, 12_000), (500, 8, 10)):  # steps of 100 ms, and of 1 us
    net = kernels.Architecture((8, width, width, 1), ("tanh", "tanh"), "identity")
    options = {"batch_size": batch_size, "n_threads": 1}
    rule = kernels.UpdateRule("sgd")
    trainer = kernels.trainer(net, np.float32, "squared_error", rule, **options)
    trainer.load(np.full(net.n_parameters, 0.01, np.float32))
    x, epochs = np.ones((n, 8), np.float32), 2 + 10 // batch_size * 100
    orders = kernels.Shuffle(generator, np.arange(n))
    trainer.run_epochs(x, x[:, :1], orders, np.full(epochs, 0.01))
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(drawn))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that signals")
def test_a_signal_handler_may_draw_from_the_generator_of_a_training():
    """Nobody holds the generator while handlers run; a wait would have no end."""
    done = run_python(DRAWING)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3
