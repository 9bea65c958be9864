"""What metrics of a fit are given, when they fail, and which way is better."""

from __future__ import annotations

import functools
import warnings

import fastmlp
import numpy as np
import pytest
from fastmlp import metrics, stopping
from fastmlp.metrics import Metric


def data(seed=0, n=80, classes=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    z = x @ rng.normal(size=4) + rng.normal(size=n)
    return x, np.digitize(z, np.quantile(z, np.linspace(0, 1, classes + 1)[1:-1]))


def network(sizes, output="softmax", **options):
    return fastmlp.MLP(sizes, output=output, random_state=0, dtype=np.float64, **options)


def last(history, name):
    return history.metrics[name][-1]


@pytest.mark.parametrize("net", [([4, 5, 2], "softmax"), ([4, 5, 1], "sigmoid")])
def test_scores_and_probabilities_reach_those_that_take_them(net):
    theirs = pytest.importorskip("sklearn.metrics")
    (x, y), (xv, yv) = data(), data(1)
    net = network(*net)
    names = ["roc_auc_score", "average_precision_score", "brier_score_loss", "log_loss"]
    functions = [theirs.roc_auc_score, theirs.average_precision_score]
    named = [Metric(f"{f.__name__} itself", f, metrics.get(f)[0].takes) for f in functions]
    history = net.fit(
        *(x, y), epochs=2, validation_data=(xv, yv), metrics=["auc", "brier", *names, *named]
    )
    p = net.predict(xv)[:, -1]
    for name, value in (
        ("auc", theirs.roc_auc_score(yv, p)),
        ("roc_auc_score", theirs.roc_auc_score(yv, p)),
        ("roc_auc_score itself", theirs.roc_auc_score(yv, p)),
        ("average_precision_score", theirs.average_precision_score(yv, p)),
        ("brier", theirs.brier_score_loss(yv, p)),
        ("brier_score_loss", theirs.brier_score_loss(yv, p)),
        ("log_loss", theirs.log_loss(yv, p)),
    ):
        assert last(history, f"validation_{name}") == pytest.approx(value, rel=1e-12)


def test_margins_are_scores():
    theirs = pytest.importorskip("sklearn.metrics")
    x, y = data()
    for sizes, loss in (([4, 5, 1], "hinge"), ([4, 5, 2], "multiclass_hinge")):
        net = network(sizes, "identity")
        history = net.fit(x, y, loss=loss, epochs=1, metrics=["roc_auc", "roc_auc_score"])
        z = net.predict(x)
        margin = z[:, 0] if sizes[-1] == 1 else z[:, 1] - z[:, 0]
        for name in history.metrics:
            assert last(history, name) == pytest.approx(theirs.roc_auc_score(y, margin))
    with pytest.raises(ValueError, match="needs probabilities"):
        net.fit(x, y, loss=loss, metrics="brier")


def test_scorers_and_their_names():
    theirs = pytest.importorskip("sklearn.metrics")
    x, y = data(classes=3)
    net = network([4, 5, 3])
    given = [
        *("f1_macro", "neg_log_loss", "roc_auc_ovr", "top_k_accuracy_score"),
        theirs.make_scorer(theirs.fbeta_score, beta=2, average="macro"),
    ]
    found = metrics.get(given)
    assert [m.takes for m in found] == [
        *("either", "probabilities", "probabilities", "scores", "either"),
    ]
    assert [m.direction for m in found] == ["max"] * 5
    history = net.fit(x, y, epochs=1, metrics=given)
    p, decided = net.predict(x), net.predict_classes(x)
    assert history.metrics == {
        "f1_macro": [pytest.approx(theirs.f1_score(y, decided, average="macro"))],
        "neg_log_loss": [pytest.approx(-theirs.log_loss(y, p))],
        "roc_auc_ovr": [pytest.approx(theirs.roc_auc_score(y, p, multi_class="ovr"))],
        "top_k_accuracy_score": [theirs.top_k_accuracy_score(y, p)],
        "fbeta_score": [pytest.approx(theirs.fbeta_score(y, decided, beta=2, average="macro"))],
    }


def test_a_function_of_two_arguments_and_what_it_takes():
    x, y = data(classes=3)
    seen = {}

    def note(name, y_true, y_pred):
        seen[name] = y_true, y_pred
        return 0.0

    net = network([4, 5, 3])
    weight = np.random.default_rng(0).uniform(size=len(y))
    kinds = ("classes", "probabilities", "scores", "either")
    given = [Metric(kind, functools.partial(note, kind), kind) for kind in kinds]
    net.fit(x, y, epochs=1, metrics=given, sample_weight=weight)
    p = net.predict(x)
    for kind, shown in (("classes", p.argmax(1)), ("probabilities", p), ("scores", p)):
        np.testing.assert_array_equal(seen[kind][1], shown)
        np.testing.assert_array_equal(seen[kind][0], y)
    np.testing.assert_array_equal(seen["either"][1], p.argmax(1))
    with pytest.raises(ValueError, match="takes must be"):
        Metric("m", note, "logits")


def test_weights_reach_every_function_that_has_an_argument_for_them():
    theirs = pytest.importorskip("sklearn.metrics")
    x, y = data()
    weight = np.random.default_rng(0).uniform(size=len(y))
    net = network([4, 5, 2])
    history = net.fit(x, y, epochs=1, sample_weight=weight, metrics=["f1_score", "zero_one_loss"])
    decided = net.predict_classes(x)
    assert last(history, "f1_score") == theirs.f1_score(y, decided, sample_weight=weight)


@pytest.mark.parametrize(
    "metric",
    [
        "roc_auc_score",  # needs to be told how several classes are compared
        "confusion_matrix",  # is no number
        "mae",  # needs values
        lambda y_true, y_pred: 1 / 0,
        lambda y_true: 0.0,
        lambda y_true, y_pred: [1, 2],
    ],
)
def test_a_metric_that_fails_leaves_the_network_as_it_was(metric):
    pytest.importorskip("sklearn")
    x, y = data(classes=3)
    net = network([4, 5, 3])
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"^metric '.*' (fails on the first rows|needs)"):
        net.fit(x, y, epochs=1, metrics=metric)
    np.testing.assert_array_equal(net.parameters, before)


def test_a_metric_is_tried_with_rows_of_every_class_and_with_weights():
    """Sorted rows begin with one class alone, of which some metrics are not defined."""
    x, y = data(n=200)
    x, y = x[np.argsort(y)], np.sort(y)
    seen = []

    def area(y_true, y_pred, sample_weight):
        seen.append((len(np.unique(y_true)), sample_weight.min() > 0))
        return 0.0

    weight = np.r_[np.zeros(50), np.ones(150)]
    net = network([4, 5, 2])
    net.fit(x, y, epochs=1, metrics=Metric("area", area, "scores"), sample_weight=weight)
    assert seen[0] == (2, True)


def test_sparse_rows_are_measured():
    sp = pytest.importorskip("scipy.sparse")
    x, y = data(n=60)
    x[np.abs(x) < 0.5] = 0
    net = network([4, 5, 2])
    history = net.fit(sp.csr_matrix(x), y, epochs=1, metrics=["auc", "accuracy"])
    assert last(history, "auc") == pytest.approx(metrics.roc_auc(y, net.predict(x)))


def test_values_stay_values_where_validation_targets_are_0_and_1():
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    x, xv = rng.normal(size=(2, 60, 4))
    y, yv = x[:, 0], (xv[:, 0] > 0).astype(float)
    net = network([4, 5, 1], "identity")
    names = ["r2_score", "mean_absolute_error", "r2"]
    for target in (y, yv):  # also where the training targets are
        history = net.fit(x, target, epochs=1, validation_data=(xv, yv), metrics=names)
        a = net.predict(xv)[:, 0]
        assert last(history, "validation_r2_score") == pytest.approx(theirs.r2_score(yv, a))
        assert last(history, "validation_mean_absolute_error") == pytest.approx(abs(yv - a).mean())
        assert last(history, "validation_r2") == pytest.approx(theirs.r2_score(yv, a))


def test_labels_stay_labels_where_one_part_happens_to_have_one_a_row():
    rng = np.random.default_rng(0)
    x, xv = rng.normal(size=(2, 30, 4))
    y = (rng.random((30, 3)) < 0.5).astype(float)
    yv = np.eye(3)[rng.integers(0, 3, 30)]
    net = network([4, 5, 3], "sigmoid")
    history = net.fit(x, y, epochs=1, validation_data=(xv, yv), metrics="accuracy")
    right = ((net.predict(xv) >= 0.5) == yv).all(axis=1)
    assert last(history, "validation_accuracy") == right.mean()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, "min") for name in ("loss", "mse", "mape", "nll", "log_loss", "rmse", "pinball")),
        *((name, "min") for name in ("brier", "mae", "hamming_loss", "max_error")),
        *((name, "max") for name in ("acc", "auc", "roc_auc", "ap", "mcc", "top_k", "d2", "f1")),
        *((name, "max") for name in ("neg_mean_squared_error", "matthews_corrcoef", "f1_macro")),
        *((name, None) for name in ("gain_at_10", "learning_rate", "lift")),
    ],
)
def test_directions(name, mode):
    assert metrics.direction(name) == metrics.direction(f"validation_{name}") == mode
    if mode is None:
        with pytest.raises(ValueError, match=r"give mode='max' or mode='min'"):
            metrics.greater_is_better(name)
    else:
        assert metrics.greater_is_better(name) == (mode == "max")


def nll(y_true, y_pred):
    return float(np.abs(y_true - y_pred).mean())


def lift(y_true, y_pred):
    return float(np.abs(y_true - y_pred).mean())


def test_early_stopping_keeps_the_best_weights_of_a_loss_by_another_name():
    x, y = data()
    kept = {}
    for rule in (
        stopping.EarlyStopping("validation_nll", patience=50),
        stopping.EarlyStopping("validation_nll", patience=50, mode="min"),
    ):
        net = network([4, 5, 1], "identity")
        history = net.fit(
            *(x, y), epochs=12, metrics=nll, validation_data=(x, y), stop=rule, learning_rate=0.05
        )
        kept[rule.mode] = net.parameters.copy()
        curve = history.metrics["validation_nll"]
        assert history.best_epoch == int(np.argmin(curve)) + 1
    np.testing.assert_array_equal(kept["auto"], kept["min"])


def test_an_unknown_direction_is_asked_for_before_training():
    x, y = data()
    net = network([4, 5, 1], "identity")
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"'lift'.*mode="):
        net.fit(x, y, metrics=lift, stop=stopping.EarlyStopping("lift"))
    np.testing.assert_array_equal(net.parameters, before)
    net.fit(x, y, epochs=1, metrics=lift, stop=stopping.EarlyStopping("lift", mode="min"))
    known = Metric("lift", lift, mode="min")
    net.fit(x, y, epochs=1, metrics=known, stop=stopping.EarlyStopping("lift"))


def test_class_weights_are_those_of_the_training_rows_for_the_validation_rows_too():
    (x, y), (xv, yv) = data(), data(1)
    net = network([4, 5, 2])
    history = net.fit(
        *(x, y), epochs=1, validation_data=(xv, yv), class_weight={0: 3.0}, metrics="accuracy"
    )
    weight = np.where(yv == 0, 3.0, 1.0)
    assert history.validation_loss[-1] == pytest.approx(net.loss(xv, yv, sample_weight=weight))
    right = net.predict_classes(xv) == yv
    assert last(history, "validation_accuracy") == np.average(right, weights=weight)


@pytest.mark.parametrize(
    "given",
    [
        lambda x, y: (x[:, :2], y),
        lambda x, y: (x, y[:-1]),
        lambda x, y: (x, y.astype(float) + 0.5),
        lambda x, y: (x, np.where(y == 0, 7, y)),
        lambda x, y: (x, y, np.zeros(len(y))),
        lambda x, y: (x.astype(str), y),
        lambda x, y: (x,),
    ],
)
def test_errors_in_validation_data_name_it(given):
    x, y = data()
    net = network([4, 5, 2])
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError), match=r"^validation_data"):
        net.fit(x, y, validation_data=given(x, y))
    np.testing.assert_array_equal(net.parameters, before)


def test_validation_rows_that_are_not_finite_are_said_once():
    x, y = data()
    broken = np.where(x > 2, np.inf, x)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        network([4, 5, 2]).fit(x, y, epochs=3, validation_data=(broken, y))
    assert [str(w.message).split(":")[0] for w in said] == ["validation_data"]
    assert said[0].filename == __file__
