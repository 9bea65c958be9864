"""Whole networks and training of every backend give the reference's values."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, Loss, TrainingOptions, UpdateRule, _chooser, reference
from support import (
    LAYOUTS,
    LOSS_PAIRS,
    RULES,
    assert_agrees,
    laid_out,
    same_numbers,
    sample_weights,
    show,
    targets,
)

SIZES = [(1, 1), (5, 3), (4, 16, 3), (64, 100, 10), (7, 31, 17, 5), (3, 1, 6, 2), (33, 8, 8, 8, 1)]
ACTIVATION_LISTS = {name: [name] * 3 for name in kernels.ACTIVATIONS} | {
    "mixed": ["relu", "tanh", "sigmoid"],
    "mixed-scores": ["gelu", "leaky_relu", "mish"],
}
CROSS_ENTROPY = Loss("cross_entropy")
ADAM = UpdateRule("adam", {"epsilon": 1e-3})


def architecture(sizes, activation="tanh", output="softmax"):
    return Architecture(sizes, tuple(ACTIVATION_LISTS[activation][: len(sizes) - 2]), output)


def parameters(net, dtype, rng):
    flat = rng.standard_normal(net.n_parameters)
    for weights in net.views(flat)[0]:
        weights *= 1.5 / np.sqrt(len(weights))
    if net.output == "exp":  # it magnifies the rounding of a score by its own value
        weights *= 0.1
        net.views(flat)[1][-1][...] *= 0.3
    return flat.astype(dtype)


def data(net, n, dtype, rng):
    return rng.standard_normal((n, net.sizes[0])).astype(dtype)


def doubled(array):
    return array.astype(np.float64) if array is not None and array.dtype.kind == "f" else array


def inner(net, n):
    """Length of the sums behind a value: rounding adds up through the layers."""
    return 4 * sum(net.sizes) + n


def compare_predictions(net, dtype, rng, rows, threads):
    flat = parameters(net, dtype, rng)
    for n in rows:
        x = data(net, n, dtype, rng)
        expected = reference.Network(net, "float64").predict(doubled(flat), doubled(x))
        for n_threads in threads:
            network = kernels.network(net, dtype, n_threads=n_threads)
            what = f"predict of {net}, {n} rows, {n_threads} threads"
            actual = network.predict(flat, x)
            assert_agrees(actual, expected, dtype, inner(net, 0), what)
            out = np.full(expected.shape, 7, dtype)
            assert network.predict(flat, x, out=out) is out, what
            np.testing.assert_array_equal(out, actual, what)


@pytest.mark.covers("fast_backend sizes", "dtype sizes", "activation sizes")
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("activation", ["relu", "mixed"])
def test_predict(fast_backend, dtype, sizes, activation, rng):
    for output in kernels.OUTPUTS:
        net = architecture(sizes, activation, output)
        compare_predictions(net, dtype, rng, (0, 1, 5, 6, 7, 33, 100), (None, 1, 2, 3, 4))


@pytest.mark.covers("fast_backend activation", "dtype", without="numba float64")
@pytest.mark.parametrize("activation", ACTIVATION_LISTS)
def test_predict_with_activations(fast_backend, dtype, activation, rng):
    for sizes in SIZES[2:]:
        net = architecture(sizes, activation, "identity")
        compare_predictions(net, dtype, rng, (1, 7, 33), (None, 3))


def compare_gradients(net, loss, dtype, rng):
    """Loss and gradient of a few batches, with every kind of target, row weights and penalties."""
    flat = parameters(net, dtype, rng)
    exact = reference.Network(net, "float64")
    for n, l2, l1, n_threads in (
        *((0, 0.1, 0.0, 1), (1, 0.0, 0.0, 2)),
        *((7, 0.0, 0.1, None), (35, 0.3, 0.1, 3)),
    ):
        x = data(net, n, dtype, rng)
        network = kernels.network(net, dtype, n_threads=n_threads)
        options = {"l2": l2, "l1": l1}
        cases = [
            (target, weight)
            for target in targets(loss, n, net.sizes[-1], dtype, rng)
            for weight in sample_weights(n, dtype, rng)
        ]
        # The largest batch has them all; the others begin with different ones.
        for target, weight in cases if n == 35 else cases[n % len(cases) :: 4]:
            what = (
                f"{net}, {loss}, {n} rows, target {target.dtype}{target.shape}, {options}, "
                f"{n_threads} threads, sample_weight {weight is not None}"
            )
            batch = (flat, x, target)
            value, gradient = exact.loss_and_gradient(
                *map(doubled, batch), loss, sample_weight=doubled(weight), **options
            )
            plain = exact.loss(*map(doubled, batch), loss, sample_weight=doubled(weight))
            actual = network.loss(*batch, loss, sample_weight=weight)
            assert_agrees(actual, plain, dtype, inner(net, n), f"loss of {what}")
            out = np.full_like(flat, 7)
            actual, slope = network.loss_and_gradient(
                *batch, loss, sample_weight=weight, out=out, **options
            )
            assert slope is out, what
            assert_agrees(actual, value, dtype, inner(net, n), f"penalised loss of {what}")
            assert_agrees(slope, gradient, dtype, inner(net, n), f"gradient of {what}")


@pytest.mark.covers("fast_backend pair", "dtype", without="numba float64")
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
def test_losses(fast_backend, dtype, pair, rng):
    loss, output = pair
    for number, sizes in enumerate(SIZES[::2]):
        if loss.name != "multiclass_hinge" or sizes[-1] > 1:
            activation = ("mixed", "relu")[number % 2]
            compare_gradients(architecture(sizes, activation, output), loss, dtype, rng)


@pytest.mark.covers("fast_backend activation", "dtype", without="numba float64")
@pytest.mark.parametrize("activation", ACTIVATION_LISTS)
def test_activations(fast_backend, dtype, activation, rng):
    for sizes in SIZES[2:]:
        compare_gradients(architecture(sizes, activation, "softmax"), CROSS_ENTROPY, dtype, rng)


@pytest.mark.covers("backend layout", "dtype layout", without="numba float64")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(backend, dtype, layout, rng, tmp_path):
    """Rows, targets and weights may lie anyhow, in predictions, gradients and training."""
    check = same_numbers(backend, dtype)
    net = architecture((9, 17, 3), "relu")
    flat = parameters(net, dtype, rng)
    arrays = (data(net, 23, dtype, rng), rng.random((23, 3)).astype(dtype))
    x, target = (laid_out(array, layout, tmp_path) for array in arrays)
    weight = laid_out(rng.random(23).astype(dtype), layout, tmp_path)
    network = kernels.network(net, dtype)
    plain = [np.array(array, order="C") for array in (x, target, weight)]
    check(network.predict(flat, x), network.predict(flat, plain[0]))
    for labels in (False, True):
        if labels:
            numbers = np.arange(23, dtype=np.int64) % 3
            target, plain[1] = laid_out(numbers, layout, tmp_path), numbers
            if layout == "broadcast":
                plain[1] = np.zeros(23, np.int64)
        actual = network.loss_and_gradient(flat, x, target, "cross_entropy", sample_weight=weight)
        wanted = network.loss_and_gradient(
            flat, plain[0], plain[1], "cross_entropy", sample_weight=plain[2]
        )
        check(actual[0], wanted[0])
        check(actual[1], wanted[1])
        trained = []
        for rows, values, weights in ((x, target, weight), plain):
            trainer = kernels.trainer(net, dtype, "cross_entropy", ADAM, batch_size=6)
            trainer.load(flat)
            order = np.arange(23, dtype=np.intp)[::-1]
            trainer.run_epoch(rows, values, order, 0.01, sample_weight=weights)
            trained.append(np.empty_like(flat))
            trainer.store(trained[-1])
        check(*trained)


def train(module, net, dtype, loss, rule, flat, x, target, *, order, weight, epochs=3, **options):
    """Losses of the epochs, parameters, state, step and gradient norm after training."""
    trainer = module.Trainer(net, dtype, loss, rule, TrainingOptions(**options))
    trainer.load(flat)
    rate = 0.002 if net.output == "exp" else 0.05
    losses = [
        trainer.run_epoch(x, target, order, rate, sample_weight=weight) for _ in range(epochs)
    ]
    result = np.empty(net.n_parameters, dtype)
    state = np.empty((len(rule.slots), net.n_parameters), dtype)
    trainer.store(result, state)
    return losses, result, state, trainer.step, trainer.gradient_norm


def compare_training(loss, output, rule, dtype, rng, activation="tanh", **options):
    """Three epochs: shuffled and as they come, a short last batch, batches larger than the data."""
    for sizes, n, batch_size in (((5, 3), 13, 4), ((7, 31, 17, 5), 40, 16), ((3, 8, 1), 9, 50)):
        if loss.name == "multiclass_hinge" and sizes[-1] < 2:
            continue
        net = architecture(sizes, activation, output)
        layers = len(sizes) - 1
        if "dropout" in options:
            options["dropout"] = (0.2, 0.5, 0.3)[:layers]
        if "trainable" in options:
            options["trainable"] = (False, True, False)[-layers:]
        for number, target in enumerate(targets(loss, n, sizes[-1], dtype, rng)):
            flat, x = parameters(net, dtype, rng), data(net, n, dtype, rng)
            given = {
                "batch_size": batch_size,
                "l2": 0.1 * number,
                "l2_over_batch": number == 2,
            } | options
            order = None if number == 1 else rng.permutation(n).astype(np.intp)
            weight = None if number == 0 else rng.random(n).astype(dtype) + dtype.type(0.1)
            exact = train(
                reference, net, "float64", loss, rule, *map(doubled, (flat, x, target)),
                order=order, weight=doubled(weight), **given,
            )  # fmt: skip
            for n_threads in (1, 3):
                actual = train(
                    _chooser.active(), net, dtype, loss, rule, flat, x, target,
                    order=order, weight=weight, n_threads=n_threads, **given,
                )  # fmt: skip
                what = f"{rule}, {loss}, {net}, {given}, {n_threads} threads"
                length = 8 * inner(net, batch_size)
                for epoch, (have, want) in enumerate(zip(actual[0], exact[0], strict=True)):
                    assert_agrees(have, want, dtype, length, f"loss of epoch {epoch}: {what}")
                assert_agrees(actual[1], exact[1], dtype, length, f"parameters: {what}")
                assert_agrees(actual[2], exact[2], dtype, length, f"state: {what}")
                assert actual[3] == exact[3], what
                if exact[4] is not None:
                    assert_agrees(actual[4], exact[4], dtype, length, f"gradient norm: {what}")


@pytest.mark.covers("fast_backend pair", "dtype", without="numba float64")
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
def test_training_with_losses(fast_backend, dtype, pair, rng):
    compare_training(*pair, UpdateRule("momentum", {"momentum": 0.9}), dtype, rng)


@pytest.mark.covers("fast_backend rule", "dtype", without="numba float64")
@pytest.mark.parametrize("rule", RULES, ids=show)
def test_training_with_rules(fast_backend, dtype, rule, rng):
    compare_training(CROSS_ENTROPY, "softmax", rule, dtype, rng)


@pytest.mark.covers("fast_backend activation", "dtype", without="numba float64")
@pytest.mark.parametrize("activation", ACTIVATION_LISTS)
def test_training_with_activations(fast_backend, dtype, activation, rng):
    compare_training(CROSS_ENTROPY, "softmax", ADAM, dtype, rng, activation)


#: The values of dropout and trainable are set for the layers of each network.
OPTIONS = (
    {"l1": 0.05},
    {"dropout": (), "seed": 3},
    {"dropout": (), "seed": 2**64 - 5, "l1": 0.05},
    {"clip_value": 0.02},
    {"clip_norm": 0.1},
    {"clip_norm": 1e9},
    {"clip_value": 0.05, "clip_norm": 0.1, "max_norm": 1.0},
    {"max_norm": 1.0},
    {"trainable": ()},
    {"trainable": (), "clip_norm": 0.1, "max_norm": 1.0, "l1": 0.05, "dropout": ()},
    {"track_gradient_norm": True},
)


@pytest.mark.covers("fast_backend options", "dtype", "rule", without="numba float64")
@pytest.mark.parametrize("rule", [ADAM, UpdateRule("sgd", {"weight_decay": 0.1})], ids=show)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options))
def test_training_with_options(fast_backend, dtype, options, rule, rng):
    for activation in ("tanh", "relu"):
        compare_training(CROSS_ENTROPY, "softmax", rule, dtype, rng, activation, **options)


@pytest.mark.covers("fast_backend sizes", "dtype sizes", "fast_backend dtype rule")
@pytest.mark.parametrize(
    "sizes", [(40, 1), (20, 64, 1), (24, 50, 3), (9, 100, 10), (64, 18, 33)], ids=str
)
@pytest.mark.parametrize(
    "rule", [ADAM, UpdateRule("sgd"), UpdateRule("sgd", {"weight_decay": 0.1})], ids=show
)
def test_layers_that_fill_little_of_a_cache_line(fast_backend, dtype, sizes, rule, rng):
    """Of many rows, in several passes: padding is not computed with, and stays zero."""
    net, n = architecture(sizes, "tanh", "identity"), 2600
    flat, x = parameters(net, dtype, rng), data(net, n, dtype, rng)
    target = rng.standard_normal((n, sizes[-1])).astype(dtype)
    exact = train(
        reference, net, "float64", Loss("squared_error"), rule, *map(doubled, (flat, x, target)),
        order=None, weight=None, batch_size=n, l2=0.1,
    )  # fmt: skip
    for n_threads in (1, 3):
        actual = train(
            _chooser.active(), net, dtype, Loss("squared_error"), rule, flat, x, target,
            order=None, weight=None, batch_size=n, l2=0.1, n_threads=n_threads,
        )  # fmt: skip
        for have, want, what in zip(actual[0], exact[0], ("first", "second", "third"), strict=True):
            assert_agrees(have, want, dtype, 8 * inner(net, n), f"loss of the {what} epoch")
        assert_agrees(actual[1], exact[1], dtype, 8 * inner(net, n), "parameters")
        assert_agrees(actual[2], exact[2], dtype, 8 * inner(net, n), "state")


def test_training_resumes(backend, dtype, rng):
    """Two epochs equal one epoch, a store, a load into another trainer, and one more."""
    net = architecture((6, 11, 3))
    flat, x = parameters(net, dtype, rng), data(net, 20, dtype, rng)
    labels = rng.integers(0, 3, 20)
    make = lambda: kernels.trainer(net, dtype, "cross_entropy", ADAM, batch_size=8)  # noqa: E731
    whole, first, second = make(), make(), make()
    whole.load(flat)
    first.load(flat)
    for _ in range(2):
        whole.run_epoch(x, labels, None, 0.1)
    first.run_epoch(x, labels, None, 0.1)
    middle, state = np.empty_like(flat), np.empty((2, len(flat)), dtype)
    first.store(middle, state)
    second.load(middle, state, first.step)
    second.run_epoch(x, labels, None, 0.1)
    expected, actual = np.empty_like(flat), np.empty_like(flat)
    whole.store(expected)
    second.store(actual)
    assert second.step == whole.step == 6
    np.testing.assert_array_equal(actual, expected)


def test_repeated_and_missing_rows(backend, dtype, rng):
    """An order may leave rows out and name others twice; an empty one makes no step."""
    net = architecture((6, 11, 3))
    flat, x = parameters(net, dtype, rng), data(net, 20, dtype, rng)
    labels = rng.integers(0, 3, 20)
    order = np.array([3, 3, 19, 0, 7], np.intp)
    results = []
    for rows, values, visits in ((x, labels, order), (x[order], labels[order], None)):
        trainer = kernels.trainer(net, dtype, "cross_entropy", UpdateRule("sgd"), batch_size=3)
        trainer.load(flat)
        loss = trainer.run_epoch(rows, values, visits, 0.1)
        results.append((loss, np.empty_like(flat)))
        trainer.store(results[-1][1])
        assert trainer.run_epoch(x, labels, np.empty(0, np.intp), 0.1) == 0
        assert trainer.step == 2
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])
