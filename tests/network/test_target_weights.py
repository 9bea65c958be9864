"""A weight for each target of each row: over backends, against the graph and smaller networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fastmlp import MLP, check_gradients, fit_many, kernels, losses, metrics
from scipy import sparse

RNG = np.random.default_rng(8)
X, Y = RNG.normal(size=(23, 4)), RNG.normal(size=(23, 3))
W = np.where(RNG.random(Y.shape) < 0.3, 0.0, RNG.random(Y.shape) + 0.1)
W[5] = 0  # a row that counts nothing
IGNORE = {"missing_targets": "ignore"}
PINBALL = losses.custom(lambda z, y: np.where(z < y, 3 * (y - z), z - y), name="pinball")
GIVEN = losses.custom(
    lambda z, y: 0.25 * (z - y) ** 4, lambda z, y: (z - y) ** 3, name="with a derivative"
)

#: Losses that are sums over outputs, with an output activation.
SUMS = [
    ("squared_error", "identity"),
    ("squared_error", "softmax"),
    (losses.Huber(0.4), "sigmoid"),
    ("poisson", "exp"),
    (losses.BinaryCrossEntropy(label_smoothing=0.1), "sigmoid"),
    ("squared_hinge", "identity"),
    (losses.Weighted("log_cosh", [0.5, 1.0, 2.0]), "identity"),
    (PINBALL, "identity"),
    (GIVEN, "identity"),
]


def network(n_out=3, output="identity", dtype="f8"):
    return MLP([4, 5, n_out], "tanh", output, dtype, random_state=0)


def fitting(loss):
    """Targets that mean something to the loss."""
    if loss == "squared_hinge":
        return (Y > 0).astype(float)
    known = loss == "poisson" or isinstance(loss, losses.BinaryCrossEntropy)
    return np.abs(Y) / (1 + np.abs(Y)) if known else Y


class Blocks:
    """A source of blocks ``(X, y, sample_weight)``."""

    def __init__(self, blocks):
        self.blocks = list(blocks)

    def __len__(self):
        return len(self.blocks)

    def __getitem__(self, i):
        return self.blocks[i]


def each_alone(net, y, loss, output, weights):
    """The loss of every output times its weight, by networks of that output alone."""
    total = 0.0
    for k in range(3):
        alone = network(1, output)
        alone.weights = [net.weights[0], net.weights[1][:, [k]]]
        alone.biases = [net.biases[0], net.biases[1][[k]]]
        if (weights[:, k] > 0).any():
            total += alone.loss(X, y[:, [k]], loss, weights[:, k]) * weights[:, k].sum()
    return total / weights.max(axis=1).sum()


@pytest.mark.covers("backend", "pair", without="numba")
@pytest.mark.parametrize("pair", SUMS, ids=lambda pair: " of ".join(map(str, pair)))
def test_gradients_are_those_of_the_graph_and_of_differences(backend, pair):
    loss, output = pair
    net, y = network(output=output), fitting(loss)
    check = check_gradients(net, X, y, loss, W, verbose=False)
    assert check, str(check)
    if output == "softmax" or isinstance(loss, losses.Weighted):
        return
    expected = each_alone(net, y, loss, output, W)
    assert net.loss(X, y, loss, W) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", [losses.GaussianNLL(), losses.Quantile([0.2, 0.6], ordered=True)])
def test_targets_of_several_outputs_have_one_weight(backend, loss):
    net = network(6)
    weights, rows = W.copy(), W.max(axis=1)
    assert check_gradients(net, X, Y, loss, weights, verbose=False)
    alone = [network(2) for _ in range(3)]
    for k, small in enumerate(alone):
        part = slice(2 * k, 2 * k + 2)
        small.weights = [net.weights[0], net.weights[1][:, part]]
        small.biases = [net.biases[0], net.biases[1][part]]
    expected = sum(
        small.loss(X, Y[:, k], loss, W[:, k]) * W[:, k].sum() for k, small in enumerate(alone)
    )
    assert net.loss(X, Y, loss, W) == pytest.approx(expected / rows.sum(), rel=1e-12)
    with pytest.raises(ValueError, match=r"\(23, 3\) with one for each target, got \(23, 6\)"):
        net.loss(X, Y, loss, np.ones((23, 6)))


@pytest.mark.parametrize("loss", ["squared_error", PINBALL], ids=str)
def test_weights_that_are_equal_in_a_row_are_those_of_the_row(backend, dtype, loss):
    net, same = network(dtype=dtype), network(dtype=dtype)
    rows = RNG.random(23)
    of_targets = np.repeat(rows[:, None], 3, axis=1)
    options = {"loss": loss, "epochs": 2, "batch_size": 7, "shuffle": False}
    net.fit(X, Y, sample_weight=rows, **options)
    same.fit(X, Y, sample_weight=of_targets, **options)
    np.testing.assert_array_equal(net.parameters, same.parameters)
    assert net.loss(X, Y, loss, rows) == same.loss(X, Y, loss, of_targets)


@pytest.mark.parametrize("loss", ["absolute_error", losses.GaussianNLL(), PINBALL], ids=str)
def test_the_weight_0_is_a_missing_target(backend, dtype, loss):
    n_out = 6 if isinstance(loss, losses.GaussianNLL) else 3
    net, same = network(n_out, dtype=dtype), network(n_out, dtype=dtype)
    zero_or_one = np.where(W > 0, 1.0, 0.0)
    holes = np.where(W > 0, Y, np.nan)
    options = {"loss": loss, "epochs": 2, "batch_size": 5, "shuffle": False}
    hidden = np.where(W > 0, Y, 1e30)  # whose loss would overflow
    net.fit(X, hidden, sample_weight=zero_or_one, **options)
    same.fit(X, holes, **IGNORE, **options)
    np.testing.assert_array_equal(net.parameters, same.parameters)
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize("case", list(itertools.product(("f4", "f8"), (1, 3, 17))), ids=str)
def test_backends_agree(case):
    """Steps in any order, rows in arrays and sparse, more outputs than a panel has columns."""
    dtype, n_out = np.dtype(case[0]), case[1]
    net = kernels.Architecture((4, 5, n_out), ("tanh",), "identity")
    rng = np.random.default_rng(n_out)
    n = 41
    x, y = rng.normal(size=(n, 4)).astype(dtype), rng.normal(size=(n, n_out)).astype(dtype)
    x[x < 0.3] = 0
    csr = sparse.csr_array(x)
    rows = kernels.CSR(csr.data, csr.indices, csr.indptr, csr.shape)
    factors = np.where(rng.random((n, n_out)) < 0.3, 0, rng.random((n, n_out))).astype(dtype)
    weight = kernels.TargetWeights(rng.random(n).astype(dtype), factors)
    start = rng.normal(size=net.n_parameters).astype(dtype)
    order, found = rng.permutation(n), {}
    for backend in kernels.available():
        with kernels.use_backend(backend):
            for given in (x, rows):
                rule = kernels.UpdateRule("momentum", {"momentum": 0.9})
                trainer = kernels.trainer(net, dtype, "huber", rule, batch_size=12, n_threads=2)
                trainer.load(start)
                value = trainer.run_epoch(given, y, order, 0.1, sample_weight=weight)
                parameters = np.empty_like(start)
                trainer.store(parameters)
                single = kernels.network(net, dtype)
                loss = single.loss(start, given, y, "huber", sample_weight=weight)
                found[backend, given is x] = np.array([value, loss, *parameters])
    expected = found.pop(("reference", True))
    scale = 64 * np.finfo(dtype).eps * (1 + np.abs(expected).max())
    for key, result in found.items():
        np.testing.assert_allclose(result, expected, atol=scale, rtol=0, err_msg=str(key))


def test_threads_change_no_bit(backend):
    big = np.random.default_rng(0)
    x, y, w = big.normal(size=(700, 4)), big.normal(size=(700, 3)), big.random((700, 3))
    nets = [MLP([4, 64, 3], "relu", random_state=0, n_threads=n) for n in (1, 2)]
    for net in nets:
        net.fit(x, y, sample_weight=w, epochs=1, batch_size=350)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_steps_sources_and_validation(backend):
    """Everything that takes weights takes these."""
    whole, by_blocks, by_steps = network(), network(), network()
    options = {"batch_size": 8, "optimizer": "sgd", "learning_rate": 0.1}
    history = whole.fit(
        X, Y, sample_weight=W, epochs=2, shuffle=False, validation_data=(X, Y, W), **options
    )
    assert history.validation_loss[-1] == whole.loss(X, Y, None, W)
    source = Blocks((X[i : i + 8], Y[i : i + 8], W[i : i + 8]) for i in range(0, 23, 8))
    by_blocks.fit(source, epochs=2, shuffle=False, validation_data=source, **options)
    trainer = by_steps.trainer(**options)
    for x, y, w in source.blocks * 2:
        trainer.step(x, y, w)
    np.testing.assert_allclose(by_steps.parameters, whole.parameters, rtol=1e-12)
    np.testing.assert_allclose(by_blocks.parameters, whole.parameters, rtol=1e-12)
    (w1, _), _ = trainer.gradients(X, Y, W)
    (w2, _), _ = by_steps.loss_and_gradients(X, Y, None, W)[1]
    np.testing.assert_array_equal(w1, w2)


def test_metrics_are_means_over_the_outputs_that_count(backend):
    net = network()
    holes = np.where(W > 0, Y, np.nan)
    history = net.fit(X, holes, epochs=1, metrics=["mse", "r2"], **IGNORE)
    seen, outputs = ~np.isnan(holes), net.predict(X)
    of_outputs = [(Y[s, k], outputs[s, k]) for k, s in enumerate(seen.T)]
    for name in ("mse", "r2"):
        expected = np.mean([getattr(metrics, name)(*pair) for pair in of_outputs])
        assert history.metrics[name][-1] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="'log_loss' cannot be measured with weights of single"):
        network(output="sigmoid").fit(
            X, (Y > 0).astype(float), sample_weight=W, metrics=["log_loss"], epochs=1
        )


def test_derivatives_of_first_and_second_order(backend):
    net, tiny = network(), 1e-6
    direction = RNG.normal(size=net.parameters.size)
    product = net.hessian_product(X, Y, direction, "log_cosh", W)
    gradients = []
    for sign in (1, -1):
        moved = network()
        moved.parameters[...] = net.parameters + sign * tiny * direction
        pairs = moved.loss_and_gradients(X, Y, "log_cosh", W)[1]
        gradients.append(
            np.concatenate([a.ravel() for i in (0, 1) for a in (pair[i] for pair in pairs)])
        )
    np.testing.assert_allclose(product, (gradients[0] - gradients[1]) / (2 * tiny), atol=1e-8)
    jacobian = net.parameter_jacobian(X)
    expected = np.einsum("nk,nki,nkj->ij", W / W.max(axis=1).sum(), jacobian, jacobian)
    np.testing.assert_allclose(net.gauss_newton(X, Y, None, W), expected, atol=1e-13)
    rows = net.input_gradients(X, Y, None, W)
    expected = net.vjp(X, W * (net.predict(X) - Y))
    np.testing.assert_allclose(rows, expected, atol=1e-13)


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "bayesian_regularization", "lbfgs"])
def test_optimizers_of_all_rows_take_holes(optimizer):
    """A column that is never observed changes nothing for the others."""
    y = Y.copy()
    y[:, 2] = np.nan
    net, alone = network(), network(2)
    alone.parameters[...] = 0
    alone.weights = [net.weights[0], net.weights[1][:, :2]]
    alone.biases = [net.biases[0], net.biases[1][:2]]
    before = net.weights[1][:, 2].copy()
    history = net.fit(X, y, optimizer=optimizer, epochs=3, **IGNORE)
    expected = alone.fit(X, y[:, :2], optimizer=optimizer, epochs=3)
    if optimizer != "bayesian_regularization":  # whose penalty is on all parameters
        np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-8)
        np.testing.assert_allclose(net.weights[1][:, :2], alone.weights[1], rtol=1e-6)
        np.testing.assert_array_equal(net.weights[1][:, 2], before)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda n: n.loss(X, np.full(Y.shape, 1 / 3), "cross_entropy", np.ones((23, 3))),
            r"shape \(23,\) for loss 'cross_entropy', which is one of all outputs .* \(23, 3\)",
        ),
        (
            lambda n: n.loss(X, Y, losses.custom(lambda z, y: np.sum((z - y) ** 2, axis=1)), W),
            "one of all",
        ),
        (
            lambda n: n.fit(X, Y, sample_weight=-W),
            "must not be negative, nor zero for every target",
        ),
        (lambda n: n.fit(X, Y, sample_weight=0 * W), "nor zero for every target"),
        (lambda n: n.fit(X, Y, sample_weight=np.where(W > 0, np.nan, W)), "sample_weight must be"),
        (lambda n: n.fit(X, Y, sample_weight=W[:, :2]), r"or \(23, 3\) with one for each target"),
        (lambda n: n.trainer().step(X, Y, W[:5]), r"\(23,\), or \(23, 3\)"),
        (lambda n: losses.Weighted("multiclass_hinge", [1]), "a sum over outputs, got Multiclass"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    net = network(output="softmax" if "cross" in message else "identity")
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=message):
        call(net)
    np.testing.assert_array_equal(net.parameters, before)


def test_kernels_name_weights_that_do_not_fit(backend):
    net = kernels.Architecture((4, 5, 3), ("tanh",), "softmax")
    one, parameters = np.ones(23), np.zeros(net.n_parameters)
    network_ = kernels.network(net, np.float64)

    def loss(name, rows, factors):
        weight = kernels.TargetWeights(rows, factors)
        return network_.loss(parameters, X, np.abs(Y), name, sample_weight=weight)

    with pytest.raises(ValueError, match="is one of all outputs of a row together"):
        loss("cross_entropy", one, W)
    with pytest.raises(ValueError, match=r"factors must have shape \(n, 3\)"):
        loss("squared_error", one, W[:, :2].copy())
    with pytest.raises(ValueError, match=r"rows must have shape \(23,\)"):
        loss("squared_error", one[:5], W)
    with pytest.raises(ValueError, match="factors must be finite and not negative"):
        loss("squared_error", one, -W)


def test_losses_as_functions():
    """A loss that is called takes them, too."""
    z, loss = network().predict(X), losses.Huber(0.4)
    r = np.abs(z - Y)
    each = np.where(r <= 0.4, 0.5 * r**2, 0.4 * (r - 0.2))
    expected = (each * W).sum() / W.max(axis=1).sum()
    assert loss(z, Y, sample_weight=W) == pytest.approx(expected, rel=1e-12)
    delta = loss.derivative(z, Y, sample_weight=W)
    np.testing.assert_allclose(delta, np.clip(z - Y, -0.4, 0.4) * W, atol=1e-15)


def test_one_output_and_tables():
    """A column is a vector; a DataFrame is an array."""
    pandas = pytest.importorskip("pandas")
    net = network(1)
    expected = net.loss(X, Y[:, 0], None, W[:, 0])
    assert net.loss(X, Y[:, 0], None, W[:, :1]) == expected
    assert net.loss(X, Y[:, 0], None, pandas.DataFrame(W[:, :1])) == expected
    three = network()
    assert three.loss(X, Y, None, pandas.DataFrame(W)) == three.loss(X, Y, None, W)


def test_many_networks_take_them():
    """Weights of targets and holes, shared or a network's own, with the bits of ``fit``."""
    holes, options = np.where(W > 0, Y, np.nan), {"epochs": 2, "batch_size": 6}
    for y, shared, own in ((Y, W, [W, W[::-1]]), (holes, None, None)):
        given = {**options, **(IGNORE if own is None else {})}
        alone = network()
        alone.fit(X, y, sample_weight=shared, **given)
        many = [network(), network()]
        fit_many(many, X, y, sample_weight=shared, **given)
        for net in many:
            np.testing.assert_array_equal(net.parameters, alone.parameters)
        if own is not None:
            each = [network(), network()]
            fit_many(each, X, y, sample_weight=own, **given)
            np.testing.assert_array_equal(each[0].parameters, alone.parameters)
            assert (each[1].parameters != alone.parameters).any()
