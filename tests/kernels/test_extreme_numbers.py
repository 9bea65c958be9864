"""Numbers whose squares overflow, or that the mode of training steps would take as zero."""

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, UpdateRule, reference
from fastmlp.kernels._options import TrainingOptions

core = pytest.importorskip(
    "fastmlp.kernels.compiled._core", reason="extension not built", exc_type=ImportError
)
NET = Architecture((4, 3), (), "identity")
RULES = ("adam", "amsgrad", "nadam", "radam", "rmsprop", "adadelta", "adagrad", "ftrl")
HUGE = {np.float32: 2e19, np.float64: 1e155}


def csr(x):
    n, width = x.shape
    columns = np.tile(np.arange(width, dtype=np.int32), n)
    return CSR(x.ravel(), columns, np.arange(0, x.size + 1, width, dtype=np.int32), x.shape)


def trained(backend, x, y, flat, weight=None, rule="sgd", rows=np.asarray, **given):
    trainer = backend.Trainer(
        NET,
        x.dtype,
        "squared_error",
        UpdateRule(rule),
        TrainingOptions(**{"batch_size": 2} | given),
    )
    trainer.load(flat)
    loss = [trainer.run_epoch(rows(x), y, None, 0.01, sample_weight=weight) for _ in range(2)]
    after = np.empty_like(flat)
    trainer.store(after)
    return after, loss


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("centred", [{}, {"centered": 1.0}])
@pytest.mark.parametrize("name", RULES)
def test_a_mean_square_that_overflows_stops_its_parameter(name, centred, dtype):
    """As in scikit-learn and torch: the step is divided by infinity, and NaN never appears."""
    rule = UpdateRule(name, centred if name == "rmsprop" else {})
    p = np.full(37, 0.5, dtype)
    state = rule.initial_state(37, 0.01, dtype)
    huge = dtype(HUGE[dtype])
    # Of RAdam's first steps, which are not divided by it, only that they are finite.
    for step, g in enumerate((1, huge, -huge, huge, 1, -1, huge), 10):
        before = p.copy()
        core.update(rule, p, np.full(37, g, dtype), state, step, 0.01)
        assert np.isfinite(p).all()
        assert not np.isnan(state).any()
        if step > 10:
            np.testing.assert_allclose(p, before, rtol=1e-6)


@pytest.mark.parametrize("rows", [np.asarray, csr], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "given",
    [
        {"l1": 1e-3}, {"l2": 1e-30}, {"l1": 1e-3, "l2": 1e-30}, {"clip_norm": 1.0},
        {"track_gradient_norm": True}, {"l2": 1e-30, "clip_value": 0.1},
        {"l2": 1e-30, "batch_size": 1},
    ],
)  # fmt: skip
def test_weights_whose_squares_overflow(given, dtype, rows, rng):
    flat = (rng.normal(size=NET.n_parameters) * HUGE[dtype]).astype(dtype)
    x = (rng.normal(size=(6, 4)) / HUGE[dtype]).astype(dtype)
    y = rng.normal(size=(6, 3)).astype(dtype)
    actual, loss = trained(core, x, y, flat, rows=rows, **given)
    with np.errstate(over="ignore"):
        expected, wanted = trained(reference, x, y, flat, rows=rows, **given)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1.0, 1e-30])
def test_columns_whose_squares_overflow_are_bounded(dtype, length, rng):
    flat = (rng.normal(size=NET.n_parameters) * HUGE[dtype]).astype(dtype)
    zeros = np.zeros((2, 4), dtype), np.zeros((2, 3), dtype)
    after, _ = trained(core, *zeros, flat, max_norm=length)
    weights, before = NET.views(after)[0][0], NET.views(flat)[0][0].astype(np.longdouble)
    expected = length * before / np.sqrt((before**2).sum(0))
    np.testing.assert_allclose(weights, expected.astype(np.float64), rtol=1e-5)


@pytest.mark.parametrize("rows", [np.asarray, csr], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    ("dtype", "weights"),
    [(np.float32, (1e37, 1e-37, 1e-38, 1e-42)), (np.float64, (1e300, 1e307, 1e-307, 1e-310))],
)
def test_weights_of_rows_count_by_their_ratio(dtype, weights, rows, rng):
    """Subnormal ones too, and those whose sum overflows."""
    flat = rng.normal(size=NET.n_parameters).astype(dtype)
    x, y = rng.normal(size=(64, 4)).astype(dtype), rng.normal(size=(64, 3)).astype(dtype)
    ratio = rng.integers(0, 4, 64).astype(dtype)
    expected, wanted = trained(core, x, y, flat, ratio, rows=rows, batch_size=32)
    for weight in weights:
        actual, loss = trained(core, x, y, flat, ratio * dtype(weight), rows=rows, batch_size=32)
        np.testing.assert_allclose(actual, expected, rtol=2e-5)
        np.testing.assert_allclose(loss, wanted, rtol=2e-5)


@pytest.mark.parametrize("name", ["clip_norm", "clip_value", "max_norm"])
def test_a_subnormal_limit_is_a_limit(name, rng):
    flat = rng.normal(size=NET.n_parameters)
    x, y = rng.normal(size=(4, 4)), rng.normal(size=(4, 3))
    after, _ = trained(core, x, y, flat, **{name: 1e-320})
    weights = slice(0, 12)  # max_norm leaves biases alone
    expected = 0 if name == "max_norm" else flat[weights]
    np.testing.assert_allclose(after[weights], expected, rtol=0, atol=1e-300)


def test_sizes_beyond_any_memory_are_an_error():
    rule = UpdateRule("adam")
    for sizes in ((2**40, 2**20, 3), (2**62, 2**61, 3), (2**70, 2**65, 4)):
        architecture = Architecture(sizes, ("relu",), "identity")
        with pytest.raises(MemoryError, match=r"not enough memory for this network.*[\d,.]+ GiB"):
            core.Trainer(
                architecture,
                np.float32,
                "squared_error",
                rule,
                TrainingOptions(batch_size=2**31 - 1),
            )
        with pytest.raises(MemoryError, match="GiB"):
            core.Network(architecture, np.float64)


@pytest.mark.parametrize("batch_size", [21, 10**6, 2**31 - 1])
def test_a_batch_larger_than_the_rows_is_all_of_them(batch_size, rng):
    flat = rng.normal(size=NET.n_parameters)
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
    for rows in (np.asarray, csr):
        expected, _ = trained(core, x, y, flat, rows=rows, batch_size=20, rule="adam")
        actual, _ = trained(core, x, y, flat, rows=rows, batch_size=batch_size, rule="adam")
        np.testing.assert_array_equal(actual, expected)
    trainer = core.Trainer(
        NET, "f8", "squared_error", UpdateRule("sgd"), TrainingOptions(batch_size=batch_size)
    )
    trainer.load(flat)
    for n in (3, 20, 7):
        trainer.run_epoch(csr(x[:n]), y[:n], None, 0.1)


def test_a_network_keeps_one_engine_for_all_losses(rng):
    network, flat = core.Network(NET, "f8"), rng.normal(size=NET.n_parameters)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 3))
    for delta in (0.1, 0.2, 0.3, 0.4):
        loss = kernels.Loss("huber", {"delta": delta})
        value, gradient = network.loss_and_gradient(flat, x, y, loss)
        wanted, expected = reference.Network(NET, "f8").loss_and_gradient(flat, x, y, loss)
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
    assert len(network._gradients) == 1
