"""What an estimator keeps between calls: dtype, optimizer state, schedules, rates, sizes, locks."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor, from_sklearn, schedules

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(40, 3)), 2)
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
AS = {
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x,
    "int": lambda x: np.round(10 * x).astype(int),
    "list": lambda x: x.tolist(),
    "big-endian": lambda x: x.astype(">f8"),
}
SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "rmsprop": {"optimizer": "rmsprop"},
}


def model(**options):
    return MLPClassifier(**({"hidden_layer_sizes": (5,), "random_state": 0} | options))


def parameters(estimator):
    return np.concatenate([a.ravel() for a in (*estimator.coefs_, *estimator.intercepts_)])


# The dtype of a call


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("second", AS)
@pytest.mark.parametrize("first", AS)
def test_rows_of_any_dtype_follow_each_other(first, second, solver):
    net = model(**SOLVERS[solver])
    for kind in (first, second, first):
        net.partial_fit(AS[kind](X), Y, classes=[0, 1])
    expected = model(**SOLVERS[solver])
    for kind in (first, second, first):
        expected.partial_fit(np.asarray(AS[kind](X), float), Y, classes=[0, 1])
    np.testing.assert_allclose(parameters(net), parameters(expected), rtol=1e-3, atol=1e-4)
    assert net.coefs_[0].dtype == (np.float32 if first == "float32" else np.float64)
    assert net._optimizer.step == 3


@pytest.mark.parametrize(
    "change",
    [
        copy.deepcopy,
        copy.copy,
        lambda m: pickle.loads(pickle.dumps(m)),
        lambda m: from_sklearn(m.to_sklearn()),
        lambda m: m.set_params(warm_start=True).fit(X, Y),
        lambda m: setattr(m, "coefs_", [w.astype(float) for w in m.coefs_]) or m,
        lambda m: m.coefs_.__setitem__(0, m.coefs_[0].astype(">f4")) or m,
    ],
)
def test_rows_of_another_dtype_after_a_change(change):
    pytest.importorskip("sklearn")
    for first, second in ((X.astype(np.float32), X), (X, X.astype(np.float32))):
        net = change(model(max_iter=2).partial_fit(first, Y, classes=[0, 1]))
        assert np.isfinite(net.partial_fit(second, Y).loss_)
        assert np.isfinite(net.partial_fit(first, Y).loss_)


def test_a_callback_that_only_looks_changes_nothing_between_dtypes():
    found = []
    for callbacks in ((), [lambda *_: None]):
        net = model(max_iter=2, callbacks=callbacks).partial_fit(X.astype("f4"), Y, classes=[0, 1])
        found.append(parameters(net.set_params(warm_start=True, max_iter=4).fit(X, Y)))
    np.testing.assert_array_equal(*found)


def test_a_dtype_that_nothing_is_computed_in_is_named():
    net = model().partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got float16"):
        net.set_params(dtype="float16").partial_fit(X, Y)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_lbfgs_computes_in_float64_and_keeps_an_explicit_dtype(kind):
    pytest.importorskip("scipy")
    rows = X.astype(np.float32)
    for dtype, expected in ((None, "float64"), ("float32", "float32"), (np.float64, "float64")):
        net = kind(hidden_layer_sizes=(4,), solver="lbfgs", dtype=dtype, max_iter=5).fit(rows, Y)
        assert {a.dtype for a in (*net.coefs_, *net.intercepts_)} == {np.dtype(expected)}
    assert net.fit(rows, Y).predict(rows).shape == (40,)


# The optimizer's state


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_trains_on_as_the_original(duplicate, solver):
    net = model(**SOLVERS[solver]).partial_fit(X, Y, classes=[0, 1]).partial_fit(X, Y)
    other, third = duplicate(net), copy.deepcopy(net)
    for _ in range(3):
        other.partial_fit(X, Y)
    before = parameters(net)
    np.testing.assert_array_equal(before, parameters(third))  # the copy's training is its own
    for _ in range(3):
        net.partial_fit(X, Y)
    np.testing.assert_array_equal(parameters(net), parameters(other))
    assert net.loss_curve_ == other.loss_curve_


def test_joblib_keeps_the_optimizer(tmp_path):
    joblib = pytest.importorskip("joblib")
    net = model().partial_fit(X, Y, classes=[0, 1])
    joblib.dump(net, tmp_path / "net")
    other = joblib.load(tmp_path / "net")
    assert other.partial_fit(X, Y).loss_ == net.partial_fit(X, Y).loss_
    np.testing.assert_array_equal(parameters(net), parameters(other))


def test_small_pickles_start_the_optimizer_anew():
    net = model(pickle_optimizer=False).partial_fit(X, Y, classes=[0, 1])
    other = pickle.loads(pickle.dumps(net))
    assert (other._optimizer.state, other._optimizer.step) == (None, 0)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    assert np.isfinite(other.partial_fit(X, Y).loss_)


# Schedules


def rates(schedule, calls=8, **options):
    net = model(schedule=schedule, learning_rate_init=0.1, batch_size=10, **options)
    found = []
    for _ in range(calls):
        net.partial_fit(X, Y, classes=[0, 1])
        found.append(net._optimizer.rate)
    return np.array(found)


def test_schedules_go_on_over_partial_fits():
    steps, calls = 4 * np.arange(1, 9) - 1, np.arange(8)  # the last step of each call, and its time
    np.testing.assert_allclose(rates(schedules.Exponential(0.5)), 0.1 * 0.5**calls)
    np.testing.assert_allclose(rates(lambda epoch: 1 / (epoch + 1)), 1 / (calls + 1))
    np.testing.assert_allclose(rates(schedules.Factor(lambda e: 1 / (e + 1))), 0.1 / (calls + 1))
    rising = rates(schedules.Warmup(20, start_factor=0))
    np.testing.assert_allclose(rising, 0.1 * np.minimum(steps / 20, 1))
    mixed = rates(schedules.Warmup(2, schedules.Exponential(0.5), start_factor=0, every="epoch"))
    np.testing.assert_allclose(mixed, 0.1 * np.where(calls < 2, calls / 2, 0.5 ** (calls - 2.0)))
    decay = rates(schedules.Cosine(decay_steps=4))
    assert decay[0] == 0.1
    assert np.all(np.diff(decay[:5]) < 0)
    assert decay[4:].max() == 0
    assert rates(schedules.OneCycle(total_steps=32))[2] == pytest.approx(0.1, rel=0.1)
    plateau = rates(schedules.ReduceOnPlateau(0.5, patience=1, min_delta=1e9))
    np.testing.assert_allclose(plateau, 0.1 * 0.5 ** np.maximum(calls - 1, 0))


def test_a_schedule_goes_on_in_a_copy_and_after_a_fit():
    net = model(schedule=schedules.Exponential(0.5), learning_rate_init=0.1, max_iter=3).fit(X, Y)
    assert net._optimizer.rate == pytest.approx(0.1 * 0.5**2)
    for other in (pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net), net):
        assert other.partial_fit(X, Y)._optimizer.rate == pytest.approx(0.1 * 0.5**3)
    assert net.fit(X, Y)._optimizer.rate == pytest.approx(0.1 * 0.5**2)  # a fit is a new run


@pytest.mark.parametrize(
    "schedule", ["cosine", "one_cycle", "step", schedules.Warmup(3, schedules.Cosine())]
)
def test_schedules_that_need_the_length_of_the_run_are_refused_where_nobody_knows_it(schedule):
    net = model(schedule=schedule)
    with pytest.raises(ValueError, match="length of the run"):
        net.partial_fit(X, Y, classes=[0, 1])
    assert not hasattr(net, "coefs_")
    net.set_params(max_iter=3).fit(X, Y)  # this run has one
    assert net.partial_fit(X, Y)._optimizer.rate >= 0


@pytest.mark.parametrize("early_stopping", [False, True])
def test_reduce_on_plateau_is_refused_without_what_it_monitors(early_stopping):
    schedule = schedules.ReduceOnPlateau(monitor="validation_loss")
    net = model(schedule=schedule, early_stopping=early_stopping, max_iter=2)
    if early_stopping:
        net.fit(X, Y)
    else:
        with pytest.raises(ValueError, match="validation"):
            net.fit(X, Y)
        assert not hasattr(net, "coefs_")
        net.fit(X, Y, X_val=X, y_val=Y)


# Learning rates that are set between calls


@pytest.mark.parametrize("solver", ["adam", "sgd", "invscaling"])
@pytest.mark.parametrize("name", ["learning_rate", "learning_rate_init"])
def test_rates_that_are_set_mean_what_they_mean_in_scikit_learn(solver, name):
    neural = pytest.importorskip("sklearn.neural_network")
    options = {"hidden_layer_sizes": (5,), "random_state": 0, "solver": "sgd"}
    if solver == "invscaling":
        options["learning_rate"] = "invscaling"
    else:
        options["solver"] = solver
    pair = [kind(**options) for kind in (MLPClassifier, neural.MLPClassifier)]
    for rate in (None, 0.3, 0.02):
        for net in pair:
            if rate is not None:
                setattr(net._optimizer, name, rate)
                assert getattr(net._optimizer, name) == rate
            for _ in range(2):
                net.partial_fit(X, Y, classes=[0, 1])
        np.testing.assert_allclose(*map(parameters, pair), rtol=1e-10, atol=1e-12)
        ours, theirs = (net._optimizer.learning_rate for net in pair)
        assert ours == pytest.approx(theirs)
    np.testing.assert_allclose(
        *(parameters(net.partial_fit(X, Y)) for net in (from_sklearn(pair[1]), pair[0])), rtol=1e-9
    )


def test_rates_of_schedules_and_of_own_optimizers_can_be_set():
    net = model(schedule=schedules.Exponential(0.5), optimizer="rmsprop")
    net.partial_fit(X, Y, classes=[0, 1])
    net._optimizer.learning_rate = 0.4
    assert net.partial_fit(X, Y)._optimizer.rate == pytest.approx(0.2)


def test_what_the_optimizer_does_not_have_cannot_be_set():
    net = model().partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(AttributeError):
        net._optimizer.momentum = 0.5


# Sizes


@pytest.mark.parametrize("sizes", [(6,), (5, 5), ()])
@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
def test_other_sizes_are_refused_where_training_goes_on(go_on, sizes):
    for net in (
        model(warm_start=True, max_iter=2).fit(X, Y),
        pickle.loads(pickle.dumps(model(warm_start=True, max_iter=2).fit(X, Y))),
    ):
        before = parameters(net).copy()
        net.set_params(hidden_layer_sizes=sizes)
        with pytest.raises(ValueError, match="hidden_layer_sizes"):
            getattr(net, go_on)(X, Y)
        np.testing.assert_array_equal(parameters(net), before)
        net.set_params(hidden_layer_sizes=[5])  # as it was
        getattr(net, go_on)(X, Y)
    net.set_params(hidden_layer_sizes=sizes, warm_start=False).fit(X, Y)
    assert [w.shape[1] for w in net.coefs_[:-1]] == list(sizes)


def test_assigned_parameters_are_trained_on_whatever_the_sizes_say():
    net = model(max_iter=2).fit(X, Y)
    net.coefs_ = [net.coefs_[0][:, :3].copy(), net.coefs_[1][:3].copy()]
    net.intercepts_ = [net.intercepts_[0][:3].copy(), net.intercepts_[1]]
    net._optimizer.state = None
    assert np.isfinite(net.partial_fit(X, Y).loss_)


# Threads


def test_threads_that_train_one_estimator_wait_for_each_other():
    net, errors = model(hidden_layer_sizes=(50,)), []

    def train():
        try:
            for _ in range(5):
                net.partial_fit(X, Y, classes=[0, 1])
                assert np.isfinite(net.predict_proba(X)).all()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=train) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    expected = model(hidden_layer_sizes=(50,))
    for _ in range(20):
        expected.partial_fit(X, Y, classes=[0, 1])
    np.testing.assert_array_equal(parameters(net), parameters(expected))
