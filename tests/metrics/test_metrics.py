"""Metrics: equal to scikit-learn's, values by hand, and what names are understood."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from fastmlp import metrics


def approx(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def weights(rng, n):
    return [None, rng.uniform(0, 2, n) * (rng.random(n) < 0.8)]


def test_by_hand():
    assert metrics.accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
    assert metrics.accuracy([[0, 1], [1, 1]], [[0, 1], [1, 0]]) == 0.5
    assert metrics.balanced_accuracy([0, 0, 0, 1], [0, 0, 1, 1]) == approx((2 / 3 + 1) / 2)
    assert metrics.f1([0, 0, 1, 1], [0, 1, 1, 1], average="binary") == approx(2 * 2 / (2 * 2 + 1))
    assert metrics.log_loss([1, 0], [[0.5, 0.5], [0.25, 0.75]]) == approx(np.log(2) * 1.5)
    assert metrics.r2([1, 2, 3], [1, 2, 3]) == 1
    assert metrics.r2([1.0, 2, 3], [2, 2, 2]) == 0
    assert metrics.mae([[1, 2], [3, 4]], [[2, 2], [3, 2]]) == 0.75
    assert metrics.rmse([[0, 0]], [[3, 4]]) == 3.5


@pytest.mark.parametrize("n_classes", [2, 5])
def test_classes_equal_scikit_learn(rng, n_classes):
    theirs = pytest.importorskip("sklearn.metrics")
    for _ in range(5):
        true, pred = rng.integers(0, n_classes, (2, 40))
        for w in weights(rng, 40):
            options = {"sample_weight": w}
            assert metrics.accuracy(true, pred, w) == approx(
                theirs.accuracy_score(true, pred, **options)
            )
            assert metrics.balanced_accuracy(true, pred, w) == approx(
                theirs.balanced_accuracy_score(true, pred, **options)
            )
            for average in ("macro", "binary")[: 1 + (n_classes == 2)]:
                assert metrics.f1(true, pred, w, average) == approx(
                    theirs.f1_score(true, pred, average=average, **options)
                )


def test_multilabel_equals_scikit_learn(rng):
    theirs = pytest.importorskip("sklearn.metrics")
    true, pred = rng.integers(0, 2, (2, 40, 3))
    true[:, 2] = pred[:, 2] = 0  # a label that is neither there nor predicted counts 0
    for w in weights(rng, 40):
        assert metrics.accuracy(true, pred, w) == approx(
            theirs.accuracy_score(true, pred, sample_weight=w)
        )
        assert metrics.f1(true, pred, w) == approx(
            theirs.f1_score(true, pred, average="macro", zero_division=0, sample_weight=w)
        )


@pytest.mark.parametrize("n_classes", [2, 4])
def test_log_loss_equals_scikit_learn(rng, n_classes, dtype):
    theirs = pytest.importorskip("sklearn.metrics")
    p = rng.dirichlet(np.ones(n_classes) / 3, 50).astype(dtype)
    p[0] = np.eye(n_classes)[0]  # a probability of exactly 0
    true = rng.integers(0, n_classes, 50)
    true[0] = 1
    for w in weights(rng, 50):
        expected = theirs.log_loss(true, p, labels=range(n_classes), sample_weight=w)
        rel = 4 * float(np.finfo(dtype).eps)
        assert metrics.log_loss(true, p, w) == pytest.approx(expected, rel=rel)
        assert metrics.log_loss(np.eye(n_classes)[true], p, w) == metrics.log_loss(true, p, w)
    assert np.isfinite(metrics.log_loss(true, p))
    if n_classes == 2:
        p = p.astype(np.float64)
        p[:, 0] = 1 - p[:, 1]
        one = metrics.log_loss(true[:, None], p[:, 1:])
        assert one == pytest.approx(metrics.log_loss(true, p), rel=1e-12)


@pytest.mark.parametrize("shape", [(30,), (30, 1), (30, 3)])
def test_values_equal_scikit_learn(rng, shape):
    theirs = pytest.importorskip("sklearn.metrics")
    true, pred = rng.normal(size=(2, *shape))
    for w in weights(rng, 30):
        assert metrics.r2(true, pred, w) == approx(theirs.r2_score(true, pred, sample_weight=w))
        assert metrics.mae(true, pred, w) == approx(
            theirs.mean_absolute_error(true, pred, sample_weight=w)
        )
        assert metrics.rmse(true, pred, w) == approx(
            theirs.root_mean_squared_error(true, pred, sample_weight=w)
        )


def test_r2_of_equal_targets_equals_scikit_learn():
    theirs = pytest.importorskip("sklearn.metrics")
    true = np.ones((4, 2))
    pred = np.ones((4, 2))
    pred[0, 1] = 3
    assert metrics.r2(true, pred) == theirs.r2_score(true, pred) == 0.5


def test_names_of_scikit_learns_functions():
    pytest.importorskip("sklearn")
    (metric,) = metrics.get("matthews_corrcoef")
    assert metric.name == "matthews_corrcoef"
    assert metric.function([0, 1, 1, 0], [0, 1, 1, 0]) == 1
    with pytest.raises(ValueError, match="sklearn"):
        metrics.get("accuracies")
    with pytest.raises(ValueError, match="sklearn"):
        metrics.get("ConfusionMatrixDisplay")


def test_without_scikit_learn_its_names_are_named_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert metrics.get("accuracy")[0].name == "accuracy"
    with pytest.raises(ValueError, match=r"fastmlp\[sklearn\]"):
        metrics.get("matthews_corrcoef")


def test_functions_and_lists():
    def largest_error(y_true, y_pred):
        return abs(y_true - y_pred).max()

    found = metrics.get(["mae", largest_error])
    assert [metric.name for metric in found] == ["mae", "largest_error"]
    assert metrics.get(largest_error)[0].function is largest_error
    with pytest.raises(ValueError, match="different names"):
        metrics.get(["mae", "mae"])
    with pytest.raises(TypeError, match="3"):
        metrics.get([3])


def test_which_way_is_better():
    higher = [name for name in metrics.METRICS if metrics.greater_is_better(name)]
    assert higher == [
        *("accuracy", "balanced_accuracy", "f1", "mcc"),
        *("roc_auc", "average_precision", "top_k", "r2", "d2"),
    ]
    assert metrics.greater_is_better("matthews_corrcoef")
    assert not metrics.greater_is_better("mean_absolute_error")


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.accuracy([0, 1], [0, 1, 1]),
        lambda: metrics.accuracy([], []),
        lambda: metrics.f1([0, 1], [0, 1], average="micro"),
        lambda: metrics.balanced_accuracy([[0, 1]], [[0, 1]]),
        lambda: metrics.log_loss([[1, 0, 0]], [[0.5, 0.5]]),
        lambda: metrics.log_loss([-1, 1], [[0.5, 0.5], [0.5, 0.5]]),
        lambda: metrics.log_loss([0, 2], [[0.5, 0.5], [0.5, 0.5]]),
        lambda: metrics.accuracy([0, 1], [0, 1], [1.0]),
        lambda: metrics.accuracy([0, 1], [0, 1], [0.0, 0.0]),
        lambda: metrics.r2([0, 1], [0, 1], [-1.0, 1.0]),
    ],
)
def test_wrong_arguments(call):
    with pytest.raises(ValueError, match=r"y_true|average|one class|sample_weight"):
        call()


def test_the_functions_are_their_names():
    """``log_loss`` takes probabilities, given by its name or as the function."""
    for name, metric in metrics.METRICS.items():
        assert metrics.get(metric.function) == metrics.get(name) == [metric]


def test_r2_of_what_is_no_number_is_no_number():
    assert np.isnan(metrics.r2([1.0, np.nan], [1.0, 2.0]))


def test_unknown_names_say_what_was_meant():
    for name, meant in (("accurracy", "accuracy"), ("roc-auc", "roc_auc"), ("R2", "r2")):
        with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
            metrics.get(name)
