"""Attributions of inputs, beside those of shap."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, MLPRegressor, explain

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def net(rng):
    net = MLP([4, 16, 3], "tanh", "softmax", dtype=np.float64, random_state=0)
    net.biases = [rng.normal(size=b.shape) for b in net.biases]
    return net


def test_attributions_add_up_to_the_difference_of_the_outputs(net, rng):
    x, background = rng.normal(size=(5, 4)), rng.normal(size=(1, 4))
    for scores, f in ((False, net.predict), (True, net.scores)):
        found = explain.expected_gradients(
            net, x, background, n_samples=5000, scores=scores, random_state=0
        )
        assert found.shape == (5, 4, 3)
        assert np.allclose(found.sum(axis=1), f(x) - f(background), atol=1e-6)
    one = explain.expected_gradients(net, x, background, output=-1, n_samples=50, random_state=1)
    assert one.shape == (5, 4)


def test_many_background_rows_and_seeds(net, rng):
    x, background = rng.normal(size=(3, 4)), rng.normal(size=(20, 4))
    found = [
        explain.expected_gradients(net, x, background, n_samples=9000, random_state=seed)
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() < 0.02
    expected = net.predict(x) - net.predict(background).mean(axis=0)
    assert np.allclose(found[0].sum(axis=1), expected, atol=0.02)


def test_estimators(rng):
    x = rng.normal(size=(40, 3))
    regressor = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0).fit(x, x[:, 0])
    found = explain.expected_gradients(regressor, x[:2], x[2:3], n_samples=20_000, random_state=0)
    assert np.allclose(
        found.sum(axis=1), regressor.predict(x[:2]) - regressor.predict(x[2:3]), atol=1e-4
    )
    classifier = MLPClassifier((5,), max_iter=3, random_state=0).fit(x, x[:, 0] > 0)
    assert explain.expected_gradients(classifier, x[:2], x).shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"background": np.ones((0, 4))}, ValueError, "background has no rows"),
        ({"background": np.ones((1, 3))}, ValueError, r"background must have shape \(n, 4\)"),
        ({"output": 3}, ValueError, "one of the network's 3, got 3"),
        ({"n_samples": 0}, ValueError, "n_samples"),
        ({"model": object()}, TypeError, "an MLP or a fitted estimator"),
    ],
)
def test_wrong_arguments(options, error, message, net):
    arguments = {"model": net, "background": np.ones((1, 4)), **options}
    with pytest.raises(error, match=message):
        explain.expected_gradients(X=np.ones((1, 4)), **arguments)


def test_shap_explains_our_estimators_and_agrees_on_the_twin_in_torch(net, rng):
    shap, torch = pytest.importorskip("shap"), pytest.importorskip("torch")
    x, background = rng.normal(size=(3, 4)), rng.normal(size=(10, 4))
    twin = shap.GradientExplainer(net.to_torch().float(), torch.from_numpy(background).float())
    theirs = twin.shap_values(torch.from_numpy(x).float(), nsamples=5000, rseed=0)
    ours = explain.expected_gradients(net, x, background, n_samples=5000, random_state=0)
    assert np.abs(np.asarray(theirs) - ours).max() < 0.03
    y = rng.integers(2, size=60)
    classifier = MLPClassifier((5,), max_iter=3, random_state=0).fit(rng.normal(size=(60, 4)), y)
    values = shap.Explainer(classifier.predict_proba, background)(x)
    assert values.shape == (3, 4, 2)
    expected = classifier.predict_proba(x) - classifier.predict_proba(background).mean(axis=0)
    assert np.allclose(values.values.sum(axis=1), expected, atol=1e-6)
