"""Custom activations and losses: derivatives, networks with them, storage, errors."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from custom_functions import (
    EXPRESSIONS,
    assert_near,
    mean_cosine,
    mixed,
    my_cross_entropy,
    my_huber,
    my_mish,
    rootish,
)
from fastmlp import MLP, MLPClassifier, MLPRegressor, check_gradients, kernels
from fastmlp._graphs import custom as _custom
from fastmlp.kernels import CustomActivation, CustomLoss, Loss, reference

BACKENDS = kernels.available()


# Derivatives


def test_mish_is_the_built_in_one(dtype):
    z = np.linspace(-200, 200, 999).astype(dtype).reshape(27, 37)
    a, slope = _custom.activation(my_mish).evaluate(z)
    built_in = reference.activations.TABLE["mish"]
    assert a.dtype == slope.dtype == dtype
    assert_near(a, built_in.function(z), dtype)
    assert_near(slope, built_in.backward(np.ones_like(z), z), dtype)


def test_huber_is_the_built_in_one(dtype, rng):
    z, y = rng.normal(size=(2, 50, 3)).astype(dtype) * 2
    z[0] = y[0]
    value, delta = _custom.loss(my_huber).evaluate(z, y)
    assert value.dtype == delta.dtype == dtype
    built_in = Loss("huber")
    assert_near(value, reference.losses.row_losses(z, y, built_in, "identity"), dtype)
    np.testing.assert_array_equal(delta, reference.losses.row_deltas(z, y, built_in, "identity"))


def test_cross_entropy_is_the_built_in_one(dtype, rng):
    z, y = (3 * rng.normal(size=(40, 6))).astype(dtype), rng.random((40, 6)).astype(dtype)
    value, delta = _custom.loss(my_cross_entropy).evaluate(z, y)
    built_in = Loss("cross_entropy")
    assert_near(value, reference.losses.row_losses(z, y, built_in, "softmax"), dtype, 128)
    assert_near(delta, reference.losses.row_deltas(z, y, built_in, "softmax"), dtype, 128)


def test_given_derivative_is_used():
    """``f`` may then use anything."""

    def f(z):
        return np.cumsum(z * 0, axis=0) + z

    custom = _custom.activation(f, lambda z: np.full_like(z, 7))
    z = np.ones((2, 3))
    np.testing.assert_array_equal(custom.evaluate(z)[1], 7)
    assert custom.address(z.dtype) is None
    loss = _custom.loss(lambda z, y: abs(z - y), lambda z, y: np.sign(z - y) * 3)
    np.testing.assert_array_equal(loss.evaluate(z, z - 1)[1], 3)


# Networks


@pytest.fixture(params=BACKENDS)
def backend(request):
    with kernels.use_backend(request.param):
        yield request.param


@pytest.mark.parametrize("n_out", [1, 3])
def test_training_equals_the_built_in_functions(backend, dtype, n_out, rng):
    """Mish and Huber, custom and built-in, from the same weights on the same batches."""
    X, y = rng.normal(size=(70, 5)), rng.normal(size=(70, n_out))
    results = []
    for activation, loss in (
        (_custom.activation(my_mish), _custom.loss(my_huber)),
        ("mish", "huber"),
    ):
        net = MLP(
            [5, 17, 9, n_out],
            activation=activation,
            random_state=0,
            dtype=dtype,
            init="glorot_uniform",
        )
        history = net.fit(X, y, loss=loss, epochs=3, batch_size=16, optimizer="adam")
        results.append((history.loss, net.parameters, net.predict(X), net.loss(X, y, loss)))
    tolerance = 1e4 * float(np.finfo(dtype).eps)
    for custom, built_in in zip(*results, strict=True):
        np.testing.assert_allclose(custom, built_in, rtol=tolerance, atol=tolerance)


def test_backends_agree(backend, dtype, rng):
    X, y = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)
    activation, loss = _custom.activation(EXPRESSIONS["waves"], name="waves"), _custom.loss(mixed)
    net = MLP([4, 19, 7, 3], activation=activation, output="softmax", random_state=0, dtype=dtype)
    weight = rng.random(40)
    value, gradients = net.loss_and_gradients(X, y, loss, weight)
    with kernels.use_backend("reference"):
        expected, wanted = net.loss_and_gradients(X, y, loss, weight)
    assert_near(value, expected, dtype, 256)
    for have, want in zip(gradients, wanted, strict=True):
        for a, b in zip(have, want, strict=True):
            assert_near(a, b, dtype, 1024)


def test_check_gradients(backend, rng):
    net = MLP([4, 6, 3], activation=_custom.activation(my_mish), random_state=0)
    X, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
    result = check_gradients(net, X, y, _custom.loss(mixed), n_elements=5, verbose=False)
    assert result, str(result)
    untraceable = MLP([4, 6, 3], activation=CustomActivation("own", lambda z: (z, z * 0 + 1)))
    with pytest.raises(TypeError, match="'own' is no expression that can be traced"):
        untraceable.graph(X, y)


def test_threads_do_not_change_results(backend, rng):
    X, y = rng.normal(size=(300, 8)), rng.normal(size=(300, 2))
    nets = []
    for n_threads in (1, 2, 3):
        net = MLP(
            [8, 64, 2], activation=_custom.activation(my_mish), random_state=0, n_threads=n_threads
        )
        net.fit(X, y, loss=_custom.loss(my_huber), epochs=2, batch_size=100)
        nets.append(net.parameters)
    np.testing.assert_array_equal(nets[0], nets[1])
    np.testing.assert_array_equal(nets[0], nets[2])


def test_warning_points_at_the_users_line(fast_backend, rng):
    net = MLP([3, 8, 2], activation=_custom.activation(rootish, name=f"slow {fast_backend}"))
    with pytest.warns(RuntimeWarning, match="operations that native code does not") as warned:
        net.predict(rng.normal(size=(4, 3)))
    assert warned[0].filename == __file__


def test_functions_without_native_code_train(backend, rng):
    X, y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    results = []
    for name in (backend, "reference"):
        net = MLP([3, 8, 2], activation=_custom.activation(rootish), random_state=0, dtype=float)
        with kernels.use_backend(name), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            results.append(net.fit(X, y, loss=_custom.loss(my_huber), epochs=2).loss)
    np.testing.assert_allclose(*results, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*runs as NumPy:RuntimeWarning")
def test_errors_in_functions_reach_the_caller(backend, rng):
    """Also those of functions that native code has called back."""

    def broken(z, y=None):
        raise ArithmeticError("this function is broken")

    X = rng.normal(size=(50, 3))
    bad_activation, bad_loss = CustomActivation("broken", broken), CustomLoss("broken", broken)
    net = MLP([3, 4, 2], activation=bad_activation, random_state=0)
    with pytest.raises(ArithmeticError, match="this function is broken"):
        net.predict(X)
    with pytest.raises(ArithmeticError, match="this function is broken"):
        net.fit(X, X[:, :2])
    net = MLP([3, 4, 2], random_state=0)
    for call in (net.loss, net.loss_and_gradients):
        with pytest.raises(ArithmeticError, match="this function is broken"):
            call(X, X[:, :2], bad_loss)
    with pytest.raises(ArithmeticError, match="this function is broken"):
        net.fit(X, X[:, :2], loss=bad_loss)


def test_estimators(rng):
    pytest.importorskip("sklearn")
    from sklearn.base import clone

    X = rng.normal(size=(80, 4))
    with kernels.use_backend("reference"):
        activation = _custom.activation(my_mish)
        model = MLPRegressor(
            hidden_layer_sizes=(9,),
            activation=activation,
            loss=_custom.loss(my_huber),
            random_state=0,
        )
        model = clone(model.set_params(max_iter=20, tol=0, n_iter_no_change=50))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, X[:, 0])
            assert model.loss_curve_[-1] < model.loss_curve_[0]
            classifier = MLPClassifier(
                hidden_layer_sizes=(9,), activation=activation, max_iter=3, random_state=0
            )
            classifier.fit(X, X[:, 0] > 0)
        assert pickle.loads(pickle.dumps(classifier)).predict(X).shape == (80,)


# Storage


def test_save_and_load_by_name(tmp_path):
    pytest.importorskip("safetensors")
    custom = _custom.activation(my_mish, name="smooth")
    net = MLP([2, 3, 4, 1], activation=[custom, "tanh"], random_state=0)
    net.save(tmp_path / "net.safetensors")
    again = MLP.load(tmp_path / "net.safetensors")
    assert again.architecture == net.architecture
    with kernels.use_backend("reference"):
        np.testing.assert_array_equal(again.predict([[1, 2]]), net.predict([[1, 2]]))
    _custom._named.pop("smooth")
    with pytest.raises(ValueError, match=r"no activation has the name 'smooth'.*custom\(f, name"):
        MLP.load(tmp_path / "net.safetensors")
    unnamed = MLP([2, 3, 1], activation=_custom.activation(lambda z: z * 2))
    with pytest.raises(ValueError, match="a custom one has none"):
        unnamed.save(tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()


def test_pickle():
    net = MLP([2, 3, 1], activation=_custom.activation(my_mish), random_state=0)
    again = pickle.loads(pickle.dumps(net))
    assert again.architecture == net.architecture
    loss = _custom.loss(my_huber)
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert hash(pickle.loads(pickle.dumps(loss))) == hash(loss)
    assert loss != _custom.loss(mixed, name="my_huber")


def test_repr():
    net = MLP([2, 3, 1], activation=_custom.activation(my_mish, name="my mish"))
    assert repr(net) == "MLP(2-3-1, my mish, identity, float32, 13 parameters)"


# Errors


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: _custom.activation(lambda z: z - z.max()), ValueError, "'max', in which elements"),
        (lambda: _custom.activation(lambda z: z.sum(axis=1)), ValueError, "must be elementwise"),
        (lambda: _custom.activation(lambda z: z * np.arange(5.0)), ValueError, r"shape \(5,\)"),
        (lambda: _custom.activation(np.cumsum), TypeError, r"np\.cumsum has no derivative rule"),
        (lambda: _custom.activation(np.sum, np.cos), ValueError, "an activation must be element"),
        (lambda: _custom.activation(np.sin, np.sum), ValueError, "derivative .* elementwise"),
        (lambda: _custom.activation(np.sin, mean_cosine), ValueError, "change each other's"),
        (lambda: _custom.activation(my_mish, name="relu"), ValueError, "a built-in activation"),
        (lambda: _custom.activation(my_mish, name=3), TypeError, "must be text, got 3"),
        (lambda: _custom.loss(my_huber, name="huber"), ValueError, "a built-in loss"),
        (lambda: _custom.loss(lambda z, y: np.sum(z - y)), ValueError, "with axis=1"),
        (lambda: _custom.loss(lambda z, y: z - z.mean(axis=0)), ValueError, "on other rows"),
        (lambda: _custom.loss(lambda z, y: z * np.ones(7)), ValueError, "n_outputs="),
        (lambda: CustomLoss("", my_huber), TypeError, "must be text"),
    ],
)
def test_wrong_functions(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_given_derivative_may_be_one_number(backend, rng):
    """As that of the identity: it stands for all elements."""
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 1))
    given = _custom.activation(lambda z: 1.0 * z, derivative=lambda z: 1.0)
    nets = [MLP([3, 4, 1], a, dtype=np.float64, random_state=0) for a in (given, "identity")]
    for net in nets:
        net.fit(x, y, epochs=3)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-12)


def test_wrong_shapes_at_run_time():
    z = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"activation 'x' must have shape \(4, 2\), got \(4,\)"):
        CustomActivation("x", lambda z: (z[:, 0], z)).evaluate(z)
    with pytest.raises(ValueError, match=r"derivative of loss 'x' must have shape \(4, 2\)"):
        CustomLoss("x", lambda z, y: (z[:, 0], z[0])).evaluate(z, z)
    fixed = _custom.loss(lambda z, y: (z - y) ** 2 * np.ones(3), n_outputs=3)
    with pytest.raises(ValueError, match="written for 3 outputs, got 2"):
        fixed.evaluate(z, z)


def test_backends_without_custom_functions_say_so():
    for name in set(kernels.available()) - set(BACKENDS):
        net = MLP([2, 3, 1], activation=_custom.activation(my_mish))
        with kernels.use_backend(name), pytest.raises(NotImplementedError, match="custom"):
            net.predict([[1.0, 2.0]])
