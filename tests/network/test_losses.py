"""``fastmlp.losses``: names, constants, and values beside scikit-learn's."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from fastmlp import kernels, losses

CLASSES = [c for c in losses.Loss.registry.values() if c.__module__.startswith("fastmlp.losses")]


def test_every_loss_of_the_kernels_has_a_class():
    assert [cls.name for cls in CLASSES] == list(kernels.LOSSES)
    for cls in CLASSES:
        assert cls.__name__ in losses.__all__
        assert losses.get(cls.name) == cls()
        assert cls().outputs == kernels.LOSS_OUTPUTS[cls.name]
        constants = {field.name: field.default for field in dataclasses.fields(cls)}
        constants.pop("ordered", None)  # says how several quantiles are meant
        assert constants == kernels.LOSS_CONSTANTS.get(cls.name, {})
        assert cls().spec() == kernels.Loss(cls.name)
        assert pickle.loads(pickle.dumps(cls())) == cls()


def test_get():
    huber = losses.Huber(0.5)
    assert losses.get(huber) is huber
    assert huber.spec() == kernels.Loss("huber", {"delta": 0.5})
    assert losses.get(huber.spec()) == huber
    custom = losses.custom(lambda z, y: (z - y) ** 4, name="fourth power")
    assert losses.get(custom) is custom
    for name in ("Huber", "mse", ""):
        with pytest.raises(ValueError, match=r"loss must be one of .*'squared_error'"):
            losses.get(name)
    for thing in (None, 3, losses.Huber):
        with pytest.raises(TypeError, match="loss must be a name or an object"):
            losses.get(thing)


@pytest.mark.parametrize(
    ("cls", "constants"),
    [
        (losses.Huber, {"delta": 0}),
        (losses.Huber, {"delta": float("nan")}),
        (losses.Quantile, {"quantile": 0}),
        (losses.Quantile, {"quantile": 1}),
        (losses.BinaryCrossEntropy, {"label_smoothing": 1}),
        (losses.CrossEntropy, {"label_smoothing": -0.1}),
    ],
)
def test_constants_outside_their_range(cls, constants):
    (name,) = constants
    with pytest.raises(ValueError, match=name):
        cls(**constants)


@pytest.mark.covers("backend", "cls")
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.name)
def test_value_and_derivative(backend, cls, rng):
    """Lists do, and the derivative is the value's by each score."""
    loss = cls()
    z, labels = rng.standard_normal((5, 3)), rng.integers(0, 3, 5)
    weight = rng.random(5)
    for output in loss.outputs:
        slope = loss.derivative(z, labels, output, weight)
        step = 1e-6
        for place in np.ndindex(z.shape):
            change = np.zeros_like(z)
            change[place] = step
            above = loss(z + change, labels, output, weight)
            below = loss((z - change).tolist(), labels.tolist(), output, weight.tolist())
            expected = (above - below) / (2 * step) * weight.sum()
            assert slope[place] == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert loss(z, labels) == loss(z, labels, loss.outputs[0])
    assert loss.derivative(z.astype("f4"), labels).dtype == np.float32


@pytest.mark.parametrize(
    ("loss", "name", "options"),
    [
        (losses.SquaredError(), "mean_squared_error", {}),
        (losses.AbsoluteError(), "mean_absolute_error", {}),
        (losses.Quantile(0.3), "mean_pinball_loss", {"alpha": 0.3}),
        (losses.Poisson(), "mean_poisson_deviance", {}),
    ],
)
def test_regression_as_in_scikit_learn(backend, loss, name, options, rng):
    """Half its squared error, and half its Poisson deviance, as its networks have them."""
    metrics = pytest.importorskip("sklearn.metrics")
    z, weight = rng.standard_normal(50), rng.random(50)
    y = rng.poisson(1.5, 50).astype(float)
    predicted = np.exp(z) if loss.name == "poisson" else z
    theirs = getattr(metrics, name)(y, predicted, sample_weight=weight, **options)
    factor = 0.5 if loss.name in ("squared_error", "poisson") else 1
    ours = loss(z[:, None], y[:, None], sample_weight=weight)
    assert ours == pytest.approx(factor * theirs, rel=1e-12)


def test_classification_as_in_scikit_learn(backend, rng):
    metrics = pytest.importorskip("sklearn.metrics")
    z, labels, weight = rng.standard_normal((50, 4)), rng.integers(0, 4, 50), rng.random(50)
    probabilities = kernels.activate(z, "softmax")
    theirs = metrics.log_loss(labels, probabilities, sample_weight=weight)
    ours = losses.CrossEntropy()(z, labels, sample_weight=weight)
    assert ours == pytest.approx(theirs, rel=1e-12)
    theirs = metrics.hinge_loss(labels, z, sample_weight=weight)
    ours = losses.MulticlassHinge()(z, labels, sample_weight=weight)
    assert ours == pytest.approx(theirs, rel=1e-12)
    signs = np.where(labels > 1, 1.0, -1.0)
    theirs = metrics.hinge_loss(signs, z[:, 0], sample_weight=weight)
    ours = losses.Hinge()(z[:, :1], signs[:, None], sample_weight=weight)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_one_against_the_rest(backend, rng):
    """Labels of a hinge: 1 at the label and -1 elsewhere."""
    z, labels = rng.standard_normal((6, 3)), np.array([0, 1, 2, 0, 1, 2])
    signs = 2 * np.eye(3)[labels] - 1
    for loss in (losses.Hinge(), losses.SquaredHinge()):
        assert loss(z, labels) == loss(z, signs)
        np.testing.assert_array_equal(loss.derivative(z, labels), loss.derivative(z, signs))


def test_smooth_targets(backend, rng):
    """``y (1 - s) + s / 2`` of two outcomes; ``y (1 - s) + s / K`` of K classes."""
    z = rng.standard_normal((6, 4))
    labels = np.arange(6) % 4
    smooth = 0.9 * np.eye(4)[labels] + 0.1 / 4
    assert losses.CrossEntropy(0.1)(z, labels) == pytest.approx(
        losses.CrossEntropy()(z, smooth), rel=1e-14
    )
    y = rng.random((6, 4))
    assert losses.BinaryCrossEntropy(0.2)(z, y) == pytest.approx(
        losses.BinaryCrossEntropy()(z, 0.8 * y + 0.1), rel=1e-14
    )


@pytest.mark.parametrize("value", ["a", None, [1.0]], ids=repr)
@pytest.mark.parametrize(
    ("loss", "name"),
    [(c, f.name) for c in CLASSES for f in dataclasses.fields(c) if f.name != "ordered"],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_constants_that_are_no_numbers_are_named(loss, name, value):
    if name == "quantile" and isinstance(value, list):
        with pytest.raises(ValueError, match="several quantiles must rise, between 0 and 1"):
            loss(value)
        return
    with pytest.raises(TypeError, match=f"{name} must be a number"):
        loss(**{name: value})
