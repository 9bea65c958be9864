"""Networks in lanes: each gets the bits of a trainer of its own, whatever the others do."""

from __future__ import annotations

import signal
import sys
import threading
import time

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, Loss, TrainingOptions, UpdateRule
from support import LOSS_PAIRS, RULES

ROWS, EPOCHS = 23, 3
needs_compiled = pytest.mark.usefixtures("compiled_backend")


def targets(loss, n_out, dtype, rng):
    """Values that suit a loss."""
    y = rng.random((ROWS, n_out)).astype(dtype)
    if "hinge" in loss.name:
        return np.where(y > 0.5, 1, -1).astype(dtype)
    return y / y.sum(1, keepdims=True) if loss.name == "cross_entropy" else y


class Problem:
    """Some networks, each with its own rows, orders, start and learning rates."""

    def __init__(self, architecture, dtype, loss, rule, count=3, labels=False, **options):
        rng = np.random.default_rng(5)
        self.architecture, self.dtype, self.loss, self.rule = architecture, dtype, loss, rule
        self.options = TrainingOptions(**{"batch_size": 6, "n_threads": 1, **options})
        n_out, each = architecture.sizes[-1], range(count)
        self.xs = [rng.normal(size=(ROWS, architecture.sizes[0])).astype(dtype) for _ in each]
        self.ys = [
            rng.integers(n_out, size=ROWS) if labels else targets(loss, n_out, dtype, rng)
            for _ in each
        ]
        self.start = rng.normal(0, 0.4, (count, architecture.n_parameters)).astype(dtype)
        order = [rng.permutation(ROWS * EPOCHS) % ROWS for _ in each]
        self.orders = [one.reshape(EPOCHS, ROWS).astype(np.intp) for one in order]
        steps = -(-ROWS // self.options.batch_size)
        self.rates = [0.02 * (1 + i) * (1 + rng.random((EPOCHS, steps))) for i in each]

    def arguments(self):
        return self.architecture, self.dtype, self.loss, self.rule, self.options

    def alone(self):
        """Losses, parameters and states by trainers of their own."""
        found = []
        each = zip(self.start, self.xs, self.ys, self.orders, self.rates, strict=True)
        for start, x, y, orders, rates in each:
            trainer = kernels.trainer(*self.arguments())
            trainer.load(start)
            losses = trainer.run_epochs(x, y, orders, rates)
            found.append((losses, *copies(trainer.store, self)))
        return found

    def together(self, **changes):
        """The same side by side."""
        trainer = kernels.lane_trainer(*self.arguments(), len(self.start))
        for i, start in enumerate(self.start):
            trainer.load(i, start)
        given = {"orders": self.orders, "learning_rates": self.rates, **changes}
        losses = trainer.run_epochs(self.xs, self.ys, **given)
        each = range(len(self.start))
        return [(losses[i], *copies(lambda *to, i=i: trainer.store(i, *to), self)) for i in each]


def copies(store, problem):
    n = problem.architecture.n_parameters
    parameters = np.empty(n, problem.dtype)
    state = np.empty((len(problem.rule.slots), n), problem.dtype)
    store(parameters, state)
    return parameters, state


def assert_same_bits(problem):
    for ours, alone in zip(problem.together(), problem.alone(), strict=True):
        for name, a, b in zip(("losses", "parameters", "state"), ours, alone, strict=True):
            np.testing.assert_array_equal(a, b, name)
        assert np.isfinite(ours[1]).all()


ADAM = UpdateRule("adam")
SQUARES = Loss("squared_error")


@needs_compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_every_activation(activation, dtype):
    net = Architecture((5, 7, 4, 3), (activation, activation), "identity")
    assert_same_bits(Problem(net, dtype, SQUARES, ADAM))


@needs_compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "output"), LOSS_PAIRS, ids=str)
def test_every_loss(loss, output, dtype):
    net = Architecture((3, 5, 3), ("tanh",), output)
    assert_same_bits(Problem(net, dtype, loss, UpdateRule("sgd")))
    if loss.name in ("cross_entropy", "hinge", "squared_hinge", "multiclass_hinge"):
        assert_same_bits(Problem(net, dtype, loss, UpdateRule("sgd"), labels=True))


@needs_compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_update_rule(rule, dtype):
    """The rules that need more than one number of a learning rate say that they are alone."""
    net = Architecture((3, 5, 2), ("tanh",), "identity")
    problem = Problem(net, dtype, SQUARES, rule)
    if rule.name in ("nadam", "ftrl"):
        assert kernels.lanes(*problem.arguments()) == 1
        with pytest.raises(ValueError, match="1 networks can be side by side"):
            problem.together()
    else:
        assert_same_bits(problem)


SHAPES = [
    (1, 1),
    (2, 1),
    (4, 16, 3),
    (6, 16, 1),
    (3, 33, 1),
    (40, 21, 2),
    (5, 12, 2),
    (9, 17, 13, 4),
]


@needs_compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_shapes_and_numbers_of_networks(sizes, dtype):
    """Among them layers whose product is one of dot products, summed in another order."""
    net = Architecture(sizes, ("relu",) * (len(sizes) - 2), "identity")
    width = kernels.lanes(net, dtype, SQUARES, ADAM, TrainingOptions(batch_size=6))
    for count, size in ((1, 1), (2, 17), (width, 23)):
        assert_same_bits(Problem(net, dtype, SQUARES, ADAM, count, batch_size=size))


BACKENDS = [  # compiling takes long, and there is nothing that Numba does otherwise
    pytest.param(name, marks=[pytest.mark.sweep] if name == "numba" else [])
    for name in kernels.available()
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_them(backend):
    net = Architecture((3, 4, 2), ("relu",), "identity")
    with kernels.use_backend(backend):
        problem = Problem(net, np.float32, SQUARES, ADAM)
        assert_same_bits(problem)
        rates = [rates[:, 0].copy() for rates in problem.rates]  # one an epoch, rows as they come
        by_epoch = problem.together(orders=[None] * 3, learning_rates=rates)
        problem.orders = [np.tile(np.arange(ROWS), (EPOCHS, 1))] * 3
        problem.rates = [np.repeat(rate[:, None], 4, 1) for rate in rates]
        for one, other in zip(by_epoch, problem.together(), strict=True):
            np.testing.assert_array_equal(one[1], other[1])


def test_one_that_diverges_leaves_the_others_alone():
    problem = Problem(Architecture((3, 5, 1), ("relu",), "identity"), np.float32, SQUARES, ADAM)
    expected = problem.together()
    problem.start[1] = np.nan
    found = problem.together()
    assert np.isnan(found[1][0]).all()
    for i in (0, 2):
        np.testing.assert_array_equal(found[i][1], expected[i][1])


def test_a_halt_leaves_all_at_one_step():
    problem = Problem(Architecture((3, 5, 1), ("relu",), "identity"), np.float32, SQUARES, ADAM)
    trainer = kernels.lane_trainer(*problem.arguments(), 3)
    for i, start in enumerate(problem.start):
        trainer.load(i, start)
    trainer.halt = np.zeros(1, np.int32)
    epochs = 500_000

    def halt_once_it_runs():
        while trainer.step == 0:
            time.sleep(0.001)
        trainer.halt[0] = 1

    other = threading.Thread(target=halt_once_it_runs)
    other.start()
    with pytest.raises(kernels.Halted):
        trainer.run_epochs(problem.xs, problem.ys, [None] * 3, [np.full(epochs, 0.01)] * 3)
    other.join()
    assert 0 < trainer.step < epochs * 4


@needs_compiled
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_handler_is_answered_and_another_thread_refused():
    problem = Problem(Architecture((3, 4, 1), ("relu",), "identity"), np.float32, SQUARES, ADAM)
    trainer = kernels.lane_trainer(*problem.arguments(), 3)
    for i, start in enumerate(problem.start):
        trainer.load(i, start)
    trainer.halt = np.zeros(1, np.int32)
    flat, refused = problem.start[0].copy(), []

    def handler(number, frame):
        trainer.store(0, flat)
        with pytest.raises(RuntimeError, match="LaneTrainer is in use by a call of this thread"):
            trainer.load(0, flat)

    def look():
        while trainer.step == 0:
            time.sleep(0.001)
        try:
            trainer.store(0, np.empty_like(flat))
        except RuntimeError as error:
            refused.append(str(error))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        while np.array_equal(flat, problem.start[0]):
            time.sleep(0.001)
        trainer.halt[0] = 1

    before, other = signal.signal(signal.SIGUSR1, handler), threading.Thread(target=look)
    other.start()
    try:
        with pytest.raises(kernels.Halted):
            trainer.run_epochs(problem.xs, problem.ys, [None] * 3, [np.full(10**6, 0.01)] * 3)
    finally:
        other.join()
        signal.signal(signal.SIGUSR1, before)
    assert refused == ["this LaneTrainer is in use by another thread"]
    assert np.isfinite(flat).all()


def wrong(**changes):
    problem = Problem(Architecture((3, 4, 1), ("relu",), "identity"), np.float32, SQUARES, ADAM)
    trainer = kernels.lane_trainer(*problem.arguments(), 3)
    given = {"xs": problem.xs, "targets": problem.ys, "orders": problem.orders}
    given["learning_rates"] = problem.rates
    return trainer, {**given, **{name: change(given[name]) for name, change in changes.items()}}


WRONG = {
    "fewer": ({"xs": lambda xs: xs[:2]}, ValueError, "xs must hold one for each of 3"),
    "rows": ({"orders": lambda o: [o[0][:, :9].copy(), *o[1:]]}, ValueError, "learning_rates"),
    "epochs": ({"orders": lambda o: [o[0][:2], *o[1:]]}, ValueError, "epochs"),
    "beyond": ({"orders": lambda o: [o[0] + 1, *o[1:]]}, ValueError, "order must index 23"),
    "type": ({"xs": lambda xs: [xs[0].astype(float), *xs[1:]]}, TypeError, "float32"),
    "target": ({"targets": lambda ys: [ys[0][:9], *ys[1:]]}, ValueError, "shape"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    changes, error, message = WRONG[name]
    trainer, given = wrong(**changes)
    with pytest.raises(error, match=message):
        trainer.run_epochs(**given)
    assert trainer.step == 0


@needs_compiled
@pytest.mark.parametrize(
    "option",
    [
        {"l2": 0.1}, {"l1": 0.1}, {"dropout": (0.1, 0.0)}, {"clip_value": 1.0}, {"clip_norm": 1.0},
        {"max_norm": 1.0}, {"trainable": (True, False)}, {"track_gradient_norm": True},
        {"batch_size": 257},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_in_lanes(option):
    net = Architecture((3, 4, 1), ("relu",), "identity")
    given = net, np.float32, SQUARES, ADAM
    assert kernels.lanes(*given, TrainingOptions(batch_size=256)) > 1
    assert kernels.lanes(*given, TrainingOptions(**{"batch_size": 6, **option})) == 1
