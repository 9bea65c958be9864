"""Ensembles: what each network gets, which of them count, and what they say together."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from fastmlp import (
    MLP,
    MLPClassifier,
    MLPEnsemble,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
)
from fastmlp._many.selection import greedy, loss_of_outputs
from fastmlp._many.settings import integers, loguniform, uniform

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] + 0.1 * RNG.normal(size=120)).astype(np.float32)
LABELS = (Y > 0).astype(int) + (X[:, 2] > 1)
VARY = {
    "learning_rate": loguniform(1e-3, 1e-1),
    "dropout": [0.0, 0.1],
    "sizes": [(3, 8, 1), (3, 4, 4, 1)],
    "activation": ["relu", "tanh"],
}


def fitted(seed=0, k=6, **options):
    ensemble = MLPEnsemble([3, 8, 1], k, random_state=seed)
    ensemble.fit(X[:80], Y[:80], **{"epochs": 5, **options})
    return ensemble


def test_each_network_is_trained_with_what_was_drawn_for_it():
    ensemble = fitted(vary=VARY, bootstrap=True)
    for seeds, net, found, rows in zip(
        np.random.default_rng(0).bit_generator.seed_seq.spawn(6),
        ensemble.networks,
        ensemble.settings,
        ensemble.rows,
        strict=True,
    ):
        own = np.random.default_rng(seeds.spawn(3)[1])
        alone = MLP(found["sizes"], activation=found["activation"], random_state=own)
        options = {name: found[name] for name in ("learning_rate", "dropout")}
        alone.fit(X[:80][rows], Y[:80][rows], epochs=5, **options)
        assert np.array_equal(net.parameters, alone.parameters)
        assert len(rows) == 80 > len(np.unique(rows))
    assert len({found["learning_rate"] for found in ensemble.settings}) == 6


def test_equal_seeds_give_equal_ensembles():
    first, second, other = fitted(1), fitted(1), fitted(2)
    assert np.array_equal(first.predict(X), second.predict(X))
    assert not np.array_equal(first.predict(X), other.predict(X))


def test_mean_and_spread():
    ensemble = fitted()
    ensemble.counts = np.array([2, 0, 1, 0, 0, 0])
    every = ensemble.predict_all(X).astype(float)
    assert every.shape == (6, 120, 1)
    mean, std = ensemble.predict(X, return_std=True)
    three = np.stack([every[0], every[0], every[2]])
    np.testing.assert_allclose(mean, three.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(std, three.std(axis=0), atol=1e-6)
    assert np.array_equal(ensemble.predict(X), mean)


def test_selection_is_no_worse_than_the_best_network():
    ensemble = fitted(vary=VARY, select="greedy", validation_data=(X[80:], Y[80:]))
    alone = [net.loss(X[80:], Y[80:]) for net in ensemble.networks]
    error = ensemble.predict(X[80:])[:, 0] - Y[80:]
    assert np.mean(error**2) / 2 <= min(alone) * (1 + 1e-6)
    assert ensemble.counts.sum() >= 1


def test_selection_by_hand():
    """Two networks that err in opposite directions, and one that is better than either."""
    target = np.zeros((4, 1))
    outputs = np.array([1.0, -1.0, 0.5])[:, None, None] * np.ones((1, 4, 1))
    counts, losses = greedy(outputs, target, "squared_error", "identity", None, rounds=3)
    # The best alone, then with it the one of the other sign: (0.5 - 1) / 2; then 0.5 again: 0.
    assert counts.tolist() == [0, 1, 2]
    assert losses == pytest.approx([0.125, 0.03125, 0.0])


@pytest.mark.parametrize(
    ("output", "loss"),
    [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"), ("exp", "poisson")],
)
def test_losses_of_outputs_are_those_of_the_network(output, loss):
    net = MLP([3, 5, 2], output=output, random_state=0, dtype=np.float64)
    target = np.column_stack([np.arange(120) % 2, 1 - np.arange(120) % 2]).astype(float)
    value = loss_of_outputs(net.predict(X), target, loss, output, None)
    assert value == pytest.approx(net.loss(X, target), rel=1e-9)
    certain = np.array([[0.0, 1.0]])
    assert np.isfinite(loss_of_outputs(certain, np.array([[1.0, 0.0]]), loss, output, None))


def test_files(tmp_path):
    pytest.importorskip("safetensors")
    ensemble = fitted(vary=VARY, select="greedy", validation_data=(X[80:], Y[80:]))
    path = tmp_path / "ensemble.safetensors"
    ensemble.save(path)
    again = MLPEnsemble.load(path)
    assert np.array_equal(again.predict(X), ensemble.predict(X))
    assert again.counts.tolist() == ensemble.counts.tolist()
    content = path.read_bytes()
    for damaged in (content[:-4], content[:100], content.replace(b"fastmlp.MLPE", b"fastmlp.MLPX")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is not a file of fastmlp\.MLPEnsemble"):
            MLPEnsemble.load(path)
    for old, new in [
        (b'\\"counts\\": [', b'\\"counts\\":{['),
        (b'\\"counts\\": [', b'\\"counts\\":[['),
        (b'\\"sizes\\"', b'\\"bytes\\"'),
        (b'"shape":[', b'"shape":{'),
    ]:
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
        with pytest.raises(ValueError, match=r"is not a file of fastmlp\.MLPEnsemble"):
            MLPEnsemble.load(path)
    MLP([3, 1]).save(path)
    with pytest.raises(ValueError, match="its format must be"):
        MLPEnsemble.load(path)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"select": "best"}, ValueError, "select must be 'greedy' or None"),
        ({"select": "greedy"}, ValueError, "needs validation_data"),
        ({"vary": {"epoch": [1]}}, ValueError, "got 'epoch'"),
        ({"vary": {"epochs": []}}, ValueError, "has no values"),
        ({"vary": {"epochs": 3}}, TypeError, "list of values or a distribution"),
        ({"vary": {"epochs": [3]}, "epochs": 2}, ValueError, "as an option and in vary"),
        ({"vary": {"sizes": [(3, 2)]}}, ValueError, "keep 3 inputs and 1 outputs"),
        ({"vary": [3]}, TypeError, "vary must be a dict"),
    ],
)
def test_wrong_arguments(options, kind, message):
    ensemble = MLPEnsemble([3, 8, 1], 2)
    with pytest.raises(kind, match=message):
        ensemble.fit(X, Y, **options)
    with pytest.raises(ValueError, match="call fit before"):
        ensemble.predict(X)


def test_distributions():
    rng = np.random.default_rng(0)
    rates = [loguniform(1e-4, 1e-1).rvs(rng) for _ in range(300)]
    assert 1e-4 <= min(rates) < 2e-4
    assert 5e-2 < max(rates) <= 1e-1
    assert 0.4 < np.mean(np.log10(rates) < -2.5) < 0.6
    assert {integers(1, 3).rvs(rng) for _ in range(50)} == {1, 2, 3}
    assert {integers(1, 4, log=True).rvs(rng) for _ in range(200)} == {1, 2, 3, 4}
    assert 2 <= uniform(2, 3).rvs(1) <= 3
    for wrong in (
        lambda: loguniform(0, 1),
        lambda: uniform(2, 1),
        lambda: integers(0, 1, log=True),
    ):
        with pytest.raises(ValueError, match="in this order"):
            wrong()


# With scikit-learn's contract


def regressor(**options):
    base = MLPRegressor(hidden_layer_sizes=8, max_iter=8, tol=0)
    return MLPEnsembleRegressor(base, 4, random_state=0, **options)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_copies_are_those_that_fit_alone_gives():
    ensemble = regressor(vary={"alpha": loguniform(1e-5, 1e-1)}, bootstrap=True, oob_score=True)
    ensemble.fit(X, Y)
    for one, rows, found in zip(
        ensemble.estimators_, ensemble.estimators_samples_, ensemble.settings_, strict=True
    ):
        alone = MLPRegressor(**one.get_params()).fit(X[rows], Y[rows])
        assert one.alpha == found["alpha"]
        assert all(np.array_equal(a, b) for a, b in zip(alone.coefs_, one.coefs_, strict=True))
    mean, std = ensemble.predict(X, return_std=True)
    assert mean.shape == std.shape == (120,)
    assert np.isfinite(ensemble.oob_score_)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_out_of_bag_scores_use_copies_that_have_not_seen_the_row():
    ensemble = regressor(bootstrap=True, oob_score=True).fit(X, Y)
    total, seen = np.zeros(120), np.zeros(120)
    for one, rows in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        out = np.setdiff1d(np.arange(120), rows)
        total[out] += one.predict(X[out])
        seen[out] += 1
    judged = seen > 0
    truth, mean = Y[judged], total[judged] / seen[judged]
    expected = 1 - ((truth - mean) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert ensemble.oob_score_ == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_classes_that_a_copy_has_not_seen():
    names = np.array(["a", "b", "c"])[LABELS]
    rare = np.concatenate([np.flatnonzero(LABELS < 2)[:40], np.flatnonzero(LABELS == 2)[:1]])
    base = MLPClassifier(hidden_layer_sizes=4, max_iter=3)
    ensemble = MLPEnsembleClassifier(base, 6, bootstrap=True, random_state=0)
    ensemble.fit(X[rare], names[rare])
    assert min(len(one.classes_) for one in ensemble.estimators_) == 2
    proba = ensemble.predict_proba(X)
    assert proba.shape == (120, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert set(ensemble.predict(X)) <= {"a", "b", "c"}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_selection_of_copies_is_made_on_rows_set_apart():
    base = MLPClassifier(hidden_layer_sizes=6, max_iter=10)
    vary = {"learning_rate_init": [1e-6, 1e-2], "hidden_layer_sizes": [(4,), (8, 4)]}
    options = {"vary": vary, "select": "greedy", "validation_fraction": 0.25, "random_state": 1}
    ensemble = MLPEnsembleClassifier(base, 8, **options).fit(X, LABELS > 0)
    assert {len(rows) for rows in ensemble.estimators_samples_} == {90}
    rates = np.array([found["learning_rate_init"] for found in ensemble.settings_])
    assert ensemble.counts_[rates < 1e-5].sum() == 0 < ensemble.counts_.sum()


def test_an_exception_of_one_copy_ends_the_others():
    """Its callback fails while another copy has very much to do."""
    met = threading.Barrier(2, timeout=20)

    def fail(estimator, history):
        if history.epochs == 1:
            met.wait()
            if estimator.alpha:
                raise OSError("full")

    base = MLPRegressor(hidden_layer_sizes=3, max_iter=10**7, tol=0, callbacks=[fail])
    base.set_params(n_iter_no_change=np.inf)
    ensemble = MLPEnsembleRegressor(
        base, 2, vary={"alpha": [0.0, 0.1]}, random_state=3, n_threads=2
    )
    with pytest.raises(OSError, match="full"):
        ensemble.fit(X, Y)
    assert not hasattr(ensemble, "estimators_")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"select": "all"}, ValueError, "select must be"),
        ({"oob_score": True}, ValueError, "needs bootstrap"),
        ({"estimator": MLPClassifier()}, TypeError, "must be a MLPRegressor"),
        ({"n_estimators": 0}, ValueError, "n_estimators"),
        ({"select": "greedy", "validation_fraction": 1}, ValueError, "between 0 and 1"),
    ],
)
def test_wrong_parameters(options, kind, message):
    with pytest.raises(kind, match=message):
        MLPEnsembleRegressor(**options).fit(X, Y)


#: Checks of what ensembles do themselves; they need few epochs. The others are for the long suite.
SHORT = (
    *("check_do_not_raise_errors_in_init_or_set_param", "check_n_features_in_after_fitting"),
    *("check_estimators_pickle", "check_dict_unchanged", "check_fit_idempotent"),
    *("check_dataframe_column_names_consistency", "check_no_attributes_set_in_init"),
    *("check_classifiers_classes", "check_estimators_unfitted", "check_sample_weights_shape"),
    *("check_classifiers_one_label", "check_methods_subset_invariance", "check_estimator_repr"),
)


def _name(check):
    return getattr(check, "func", check).__name__


def _checks():
    pytest.importorskip("sklearn")
    from sklearn.utils.estimator_checks import estimator_checks_generator

    quick = MLPEnsembleClassifier(MLPClassifier(4, max_iter=20), n_estimators=2)
    long = [
        MLPEnsembleClassifier(MLPClassifier(max_iter=100), n_estimators=2),
        MLPEnsembleRegressor(MLPRegressor(solver="lbfgs", max_iter=100), n_estimators=2),
    ]
    found = []
    for ensemble in (quick, *long):
        for one, check in estimator_checks_generator(ensemble):
            if ensemble is not quick or _name(check) in SHORT:
                marks = [] if ensemble is quick else [pytest.mark.sweep]
                name = f"{type(ensemble).__name__}-{_name(check)}"
                found.append(pytest.param(one, check, id=name, marks=marks))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), _checks())
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_pictures(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from fastmlp import plot
    from fastmlp.plot._uncertainty import coverage

    ensemble = fitted()
    axes = plot.uncertainty(ensemble, X, Y)
    y = axes.lines[1].get_ydata()
    assert y[0] <= y[-1] == 1
    assert np.all(np.diff(y) >= 0)
    with pytest.raises(ValueError, match="needs y"):
        plot.uncertainty(ensemble, X)
    one = MLPEnsemble([1, 4, 1], 3, random_state=0)
    one.fit(X[:, :1], Y, epochs=1)
    axes = plot.uncertainty(one, X[:, :1], Y)
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), np.sort(X[:, 0]))
    assert len(axes.collections) == 2
    pyplot.close("all")
    noise = np.random.default_rng(0).normal(size=4000)
    share = coverage(np.zeros(4000), np.ones(4000), noise, np.array([0.5, 0.9]))
    np.testing.assert_allclose(share, [0.5, 0.9], atol=0.03)
