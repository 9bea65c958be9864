"""Metrics of scores, probabilities and values beside scikit-learn's."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from fastmlp import metrics

theirs = pytest.importorskip("sklearn.metrics")


def approx(value):
    return pytest.approx(value, rel=1e-11, abs=1e-11, nan_ok=True)


def weights(rng, n):
    return [None, rng.uniform(0, 2, n) * (rng.random(n) < 0.8)]


def scores(rng, shape, kind):
    """Scores with ties, or probabilities."""
    z = rng.integers(-3, 4, shape) / 2 if kind == "ties" else rng.normal(size=shape)
    if len(shape) == 2 and shape[1] > 1:
        p = np.exp(z)
        return p / p.sum(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("kind", ["ties", "smooth"])
def test_two_classes(rng, kind):
    for _ in range(4):
        true, p = rng.integers(0, 2, 40), scores(rng, (40,), kind)
        both = np.column_stack([1 - p, p])
        for w in weights(rng, 40):
            for ours, scikit in (
                (metrics.roc_auc, theirs.roc_auc_score),
                (metrics.average_precision, theirs.average_precision_score),
                (metrics.brier, theirs.brier_score_loss),
                (functools.partial(metrics.top_k, k=1), functools.partial(top_k, k=1)),
            ):
                expected = approx(scikit(true, p, sample_weight=w))
                assert ours(true, p, w) == expected
                assert ours(true[:, None], p[:, None], w) == expected
                if kind == "smooth":  # of equal scores a column decides in another way
                    assert ours(true, both, w) == expected
            assert metrics.roc_auc(2 * true - 1, p, w) == approx(metrics.roc_auc(true, p, w))
            margins = np.log(p / (1 - p))
            assert metrics.roc_auc(true, margins, w) == approx(metrics.roc_auc(true, p, w))


def top_k(true, p, k, sample_weight=None):
    return theirs.top_k_accuracy_score(true, p, k=k, sample_weight=sample_weight)


@pytest.mark.parametrize("kind", ["ties", "smooth"])
def test_several_classes(rng, kind):
    true, p = rng.integers(0, 4, 60), scores(rng, (60, 4), kind)
    one_hot = np.eye(4)[true]
    for w in weights(rng, 60):
        expected = {
            metrics.roc_auc: theirs.roc_auc_score(one_hot, p, sample_weight=w),
            metrics.average_precision: theirs.average_precision_score(true, p, sample_weight=w),
            metrics.brier: theirs.brier_score_loss(true, p, sample_weight=w),
            metrics.top_k: theirs.top_k_accuracy_score(true, p, sample_weight=w),
        }
        for ours, value in expected.items():
            assert ours(true, p, w) == approx(value)
            assert ours(one_hot, p, w) == approx(value)
        if w is None:  # scikit-learn's weights of several classes are only in later versions
            ovr = theirs.roc_auc_score(true, p, multi_class="ovr")
            assert metrics.roc_auc(true, p) == approx(ovr)
        for k in (1, 3, 4, 9):
            expected_k = top_k(true, p, min(k, 4), w) if k < 4 else 1.0
            assert metrics.top_k(true, p, w, k) == approx(expected_k)


def test_several_labels(rng):
    true, p = rng.integers(0, 2, (50, 3)), scores(rng, (50, 3), "ties")
    for w in weights(rng, 50):
        assert metrics.roc_auc(true, p, w) == approx(theirs.roc_auc_score(true, p, sample_weight=w))
        assert metrics.average_precision(true, p, w) == approx(
            theirs.average_precision_score(true, p, sample_weight=w)
        )


def test_one_class_only_has_no_curve():
    assert np.isnan(metrics.roc_auc([1, 1], [0.2, 0.7]))
    assert np.isnan(metrics.roc_auc([0, 0], [0.2, 0.7]))
    assert metrics.average_precision([0, 0], [0.2, 0.7]) == 0
    assert np.isnan(metrics.roc_auc([0, 1], [0.2, np.nan]))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_matrix_and_correlation(rng, n_classes):
    true, pred = rng.integers(0, n_classes, (2, 50))
    for w in weights(rng, 50):
        assert metrics.mcc(true, pred, w) == approx(
            theirs.matthews_corrcoef(true, pred, sample_weight=w)
        )
        for labels in (None, [1, 0], [1, 7]):
            expected = theirs.confusion_matrix(true, pred, labels=labels, sample_weight=w)
            np.testing.assert_allclose(metrics.confusion(true, pred, w, labels), expected)
    assert metrics.mcc([1, 1], [1, 0]) == theirs.matthews_corrcoef([1, 1], [1, 0]) == 0
    names = metrics.confusion(["b", "a", "b"], ["b", "b", "b"])
    assert names.tolist() == [[0, 1], [0, 2]]
    assert names.dtype.kind == "i"


@pytest.mark.parametrize("shape", [(31,), (30, 1), (30, 3)])
def test_values(rng, shape):
    true, pred = np.round(rng.normal(size=(2, *shape)), 1)
    for w in weights(rng, shape[0]):
        options = {"sample_weight": w}
        assert metrics.mse(true, pred, w) == approx(
            theirs.mean_squared_error(true, pred, **options)
        )
        assert metrics.mape(true, pred, w) == approx(
            theirs.mean_absolute_percentage_error(true, pred, **options)
        )
        for alpha in (0.0, 0.1, 0.5, 0.9):
            assert metrics.pinball(true, pred, w, alpha) == approx(
                theirs.mean_pinball_loss(true, pred, alpha=alpha, **options)
            )
            assert metrics.d2(true, pred, w, alpha) == approx(
                theirs.d2_pinball_score(true, pred, alpha=alpha, **options)
            )
        assert metrics.d2(true, pred, w) == approx(
            theirs.d2_absolute_error_score(true, pred, **options)
        )


def test_r2_is_scikit_learns_to_the_bit(rng):
    for shape in ((200,), (200, 3)):
        true, pred = rng.normal(size=(2, *shape)) * 1e3 + 7
        w = rng.uniform(size=200)
        assert metrics.r2(true, pred) == theirs.r2_score(true, pred)
        assert metrics.r2(true, pred, w) == theirs.r2_score(true, pred, sample_weight=w)


@pytest.mark.parametrize("name", ["r2", "d2"])
def test_a_target_that_does_not_vary(name):
    score = getattr(metrics, name)
    scikit = {"r2": theirs.r2_score, "d2": theirs.d2_absolute_error_score}[name]
    same = np.full(4, 0.1)
    for pred in (same, [*same[:3], 1.1]):
        assert score(same, pred) == scikit(same, pred)
    assert np.isnan(score([1.0], [1.0]))


def test_estimators_and_fits_have_one_r2(rng):
    """Of a constant target, too: ``score``, ``metrics.r2`` and scikit-learn agree."""
    import fastmlp

    x, y = rng.normal(size=(20, 2)), np.full(20, 3.0)
    model = fastmlp.MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=500).fit(x, y)
    pred = model.predict(x)
    assert model.score(x, y) == metrics.r2(y, pred) == theirs.r2_score(y, pred)


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.roc_auc([0, 2], [0.1, 0.2]),
        lambda: metrics.roc_auc([0, 1, 1], [0.1, 0.2]),
        lambda: metrics.roc_auc([], []),
        lambda: metrics.brier([0, 2], [[0.5, 0.5], [0.5, 0.5]]),
        lambda: metrics.top_k([0, 1], [[0.5, 0.5], [0.5, 0.5]], k=0),
        lambda: metrics.pinball([1.0], [1.0], alpha=2),
        lambda: metrics.confusion([[0, 1]], [[0, 1]]),
        lambda: metrics.confusion([0, 1], [0, 1], labels=[]),
        lambda: metrics.mape([1.0, 2.0], [1.0]),
    ],
)
def test_wrong_arguments(call):
    with pytest.raises(ValueError, match=r"y_true|alpha|k must|labels"):
        call()
