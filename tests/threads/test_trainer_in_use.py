"""Who may use a trainer: one call at a time; others are answered before its memory is touched."""

import signal
import sys
import threading

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, UpdateRule
from fastmlp.kernels._custom import CustomLoss
from fastmlp.kernels._options import TrainingOptions

pytestmark = pytest.mark.filterwarnings("ignore:.*runs as NumPy:RuntimeWarning")
core = pytest.importorskip(
    "fastmlp.kernels.compiled._core", reason="extension not built", exc_type=ImportError
)
NET = Architecture((6, 5, 3), ("tanh",), "identity")
SGD = UpdateRule("sgd")


def squared(z, y):
    return ((z - y) ** 2).sum(1) / 2, z - y


def trainer_for(loss, **given):
    trainer = core.Trainer(
        NET, np.float32, loss, SGD, TrainingOptions(**{"batch_size": 4, "n_threads": 1} | given)
    )
    trainer.load(np.full(NET.n_parameters, 0.1, np.float32))
    return trainer


def parameters_of(trainer):
    flat = np.empty(NET.n_parameters, np.float32)
    trainer.store(flat)
    return flat


@pytest.fixture
def rows(rng):
    return rng.normal(size=(20, 6)).astype("f4"), rng.normal(size=(20, 3)).astype("f4")


def sparse(x):
    columns = np.tile(np.arange(x.shape[1], dtype=np.int32), len(x))
    starts = np.arange(0, x.size + 1, x.shape[1], dtype=np.int32)
    return CSR(x.ravel().copy(), columns, starts, x.shape)


def test_a_function_of_the_user_sees_the_last_finished_step(rows):
    seen = []

    def loss(z, y):
        seen.append(parameters_of(trainer))
        return squared(z, y)

    trainer = trainer_for(CustomLoss("looks on", loss), batch_size=len(rows[0]))
    before = parameters_of(trainer)
    trainer.run_epoch(*rows, None, 0.1)
    assert all(np.array_equal(flat, before) for flat in seen)
    first = parameters_of(trainer)
    seen.clear()
    trainer.run_epoch(*rows, None, 0.1)
    assert all(np.array_equal(flat, first) for flat in seen)
    assert not np.array_equal(first, before)


@pytest.mark.parametrize("call", ["load", "run_epoch"])
def test_what_would_change_a_running_trainer_is_refused(rows, call):
    def loss(z, y):
        if call == "load":
            trainer.load(np.zeros(NET.n_parameters, np.float32))
        else:
            trainer.run_epoch(*rows, None, 0.1)
        return squared(z, y)

    trainer = trainer_for(CustomLoss("changes", loss))
    with pytest.raises(RuntimeError, match="in use by a call of this thread"):
        trainer.run_epoch(*rows, None, 0.0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_handler_is_answered(rows):
    answers = []

    def handler(number, frame):
        answers.append(parameters_of(trainer))
        for call in (lambda: trainer.load(answers[0]), lambda: trainer.run_epoch(*rows, None, 1.0)):
            with pytest.raises(RuntimeError, match="in use"):
                call()
        core.Network(NET, np.float32).loss_and_gradient(answers[0], *rows, "squared_error")

    def loss(z, y):
        if not answers:
            signal.raise_signal(signal.SIGUSR1)
        return squared(z, y)

    trainer = trainer_for(CustomLoss("signals", loss))
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        trainer.run_epoch(*rows, None, 0.1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(answers) == 1
    assert np.isfinite(answers[0]).all()


def test_another_thread_is_refused_whatever_it_asks_for(rows):
    errors = []

    def others():
        for call in (
            lambda: trainer.run_epoch(*rows, None, 0.1),
            lambda: trainer.run_epoch(sparse(rows[0]), rows[1], None, 0.1),
            lambda: trainer.load(np.zeros(NET.n_parameters, np.float32)),
            lambda: parameters_of(trainer),
        ):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))

    def loss(z, y):
        if not errors:
            thread = threading.Thread(target=others)
            thread.start()
            thread.join()
        return squared(z, y)

    trainer = trainer_for(CustomLoss("lets others in", loss))
    trainer.run_epoch(*rows, None, 0.1)
    assert errors == ["this Trainer is in use by another thread"] * 4


def test_dense_and_sparse_rows_in_many_threads(rows):
    """The change of engines happens inside the call that has the trainer."""
    trainer = trainer_for("squared_error")
    x, y = rows
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    counts = {"done": 0, "refused": 0}

    def work(samples):
        for _ in range(150):
            try:
                trainer.run_epoch(samples, y, None, 1e-3)
                counts["done"] += 1
            except RuntimeError:
                counts["refused"] += 1

    threads = [threading.Thread(target=work, args=(v,)) for v in (x, sparse(x), x, sparse(x))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert counts["done"] > 0
    assert np.isfinite(parameters_of(trainer)).all()


def test_a_trainer_is_free_after_an_error(rows):
    def loss(z, y):
        raise KeyError("no")

    trainer = trainer_for(CustomLoss("raises", loss))
    for _ in range(2):
        with pytest.raises(KeyError):
            trainer.run_epoch(*rows, None, 0.1)
    parameters_of(trainer)
    with pytest.raises(MemoryError):
        core.Trainer(
            Architecture((2**40, 2**20), (), "identity"),
            "f4",
            "squared_error",
            SGD,
            TrainingOptions(batch_size=1),
        )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the mode is set on Linux alone")
@pytest.mark.parametrize("what", ["loss", "activation"])
def test_functions_of_users_compute_with_subnormal_numbers(rows, what):
    """Steps flush them to zero; code of the user must not notice."""
    small, seen = np.float32(2e-38), []

    def look():
        seen.append(float(small * np.float32(0.1)))

    def loss(z, y):
        look()
        return squared(z, y)

    def activation(z):
        look()
        return np.tanh(z), 1 - np.tanh(z) ** 2

    if what == "loss":
        trainer = trainer_for(CustomLoss("looks at numbers", loss))
    else:
        custom = kernels.CustomActivation("looks at numbers", activation)
        trainer = core.Trainer(
            Architecture(NET.sizes, (custom,), NET.output),
            "f4",
            "squared_error",
            SGD,
            TrainingOptions(batch_size=4),
        )
        trainer.load(np.full(NET.n_parameters, 0.1, np.float32))
    trainer.run_epoch(*rows, None, 0.1)
    assert seen
    assert min(seen) > 0
