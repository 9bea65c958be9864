"""What the estimators have beyond scikit-learn's: keyword-only parameters, off by default."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fastmlp import (
    activations,
    kernels,
    losses,
    optimizers,
    schedules,
)
from problems import quick_classifier, quick_regressor, rings

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")

SQUARE_ROOT = activations.custom(lambda z: z / np.sqrt(1 + z**2), name="square_root")


def test_extras_that_are_off_change_nothing():
    x, y = rings()
    plain = quick_classifier(max_iter=5).fit(x, y)
    spelled = quick_classifier(
        max_iter=5, optimizer=None, schedule=None, l1=0.0, dropout=0.0, stop=[], class_weight=None
    ).fit(x, y)
    assert plain.loss_curve_ == spelled.loss_curve_
    assert plain.stop_reason_ == "epochs"
    assert plain.validation_loss_curve_ is None


@pytest.mark.parametrize(
    "activation",
    ["leaky_relu", "gelu", "mish", "sigmoid", ["silu"], activations.get("elu"), SQUARE_ROOT],
    ids=str,
)
def test_activations(activation):
    x, y = rings()
    assert quick_classifier(activation=activation).fit(x, y).score(x, y) > 0.9


def test_an_activation_for_each_layer():
    x, y = rings()
    model = quick_classifier(hidden_layer_sizes=(12, 8), activation=["tanh", "relu"]).fit(x, y)
    a = np.tanh(x @ model.coefs_[0] + model.intercepts_[0])
    a = np.maximum(a @ model.coefs_[1] + model.intercepts_[1], 0)
    scores = a @ model.coefs_[2] + model.intercepts_[2]
    assert np.array_equal(model.predict(x), scores.argmax(1))


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "multiclass_hinge"])
@pytest.mark.parametrize("classes", [2, 3])
def test_margins(loss, classes):
    x, y = rings()
    x, y = x[y < classes], np.array(["a", "b", "c"])[y[y < classes]]
    model = quick_classifier(loss=loss).fit(x, y)
    assert model.score(x, y) > 0.9
    assert model.out_activation_ == "identity"
    margins = model.decision_function(x)
    if classes == 2:
        assert margins.shape == (len(x),)
        assert np.array_equal(model.predict(x), model.classes_[(margins > 0).astype(int)])
    else:
        assert np.array_equal(model.predict(x), model.classes_[margins.argmax(1)])
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")


def test_margins_of_several_labels():
    x, _ = rings()
    y = np.column_stack([x[:, 0] > 0, x[:, 1] > 0]).astype(int)
    model = quick_classifier(loss="squared_hinge").fit(x, y)
    assert model.score(x, y) > 0.9
    assert np.array_equal(model.predict(x), model.decision_function(x) > 0)


def test_probabilities_have_no_decision_function():
    assert not hasattr(quick_classifier(), "decision_function")


@pytest.mark.parametrize(
    "loss",
    ["absolute_error", "huber", "quantile", losses.Huber(delta=0.5), "squared_error"],
)
def test_losses_of_regression(loss):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 2))
    y = x[:, 0] + np.sin(3 * x[:, 1])
    assert quick_regressor(loss=loss, max_iter=100).fit(x, y).score(x, y) > 0.9


def test_smooth_labels():
    x, y = rings()
    smooth = quick_classifier(loss=losses.CrossEntropy(label_smoothing=0.3), max_iter=200).fit(x, y)
    plain = quick_classifier(max_iter=200).fit(x, y)
    proba = [np.median(model.predict_proba(x).max(1)) for model in (smooth, plain)]
    assert abs(proba[0] - (0.7 + 0.3 / 3)) < 0.08
    assert proba[1] > 0.95


def test_quantiles_lie_where_they_should():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 1))
    y = x[:, 0] + rng.exponential(size=400)
    model = quick_regressor(loss=losses.Quantile(0.9), max_iter=150).fit(x, y)
    assert 0.85 < (y <= model.predict(x)).mean() < 0.95


def test_class_weights_are_sample_weights():
    x, y = rings()
    given = quick_classifier(class_weight={0: 5.0, 2: 0.5}, max_iter=5).fit(x, y)
    weight = np.array([5.0, 1.0, 0.5])[y]
    assert given.loss_curve_ == quick_classifier(max_iter=5).fit(x, y, weight).loss_curve_
    rows = np.flatnonzero((y != 1) | (np.arange(len(y)) < 60))
    counts = np.bincount(y[rows])
    balanced = quick_classifier(class_weight="balanced", max_iter=5).fit(x[rows], y[rows])
    weight = (len(rows) / (3 * counts))[y[rows]]
    np.testing.assert_allclose(
        balanced.loss_curve_,
        quick_classifier(max_iter=5).fit(x[rows], y[rows], weight).loss_curve_,
        rtol=1e-12,
    )


def test_balanced_weights_follow_sample_weights():
    x, y = rings(90)
    twice = np.r_[np.arange(90), np.arange(0, 90, 4)]
    repeated = quick_classifier(class_weight="balanced", max_iter=5, batch_size=200, shuffle=False)
    weighted = quick_classifier(class_weight="balanced", max_iter=5, batch_size=200, shuffle=False)
    with pytest.warns(UserWarning, match="clipped"):
        repeated.fit(x[twice], y[twice])
    with pytest.warns(UserWarning, match="clipped"):
        weighted.fit(x, y, 1.0 + (np.arange(90) % 4 == 0))
    # The penalty is divided by rows here and by weights there, which are the same number.
    np.testing.assert_allclose(repeated.loss_curve_, weighted.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [({7: 1.0}, "7"), ({0: -1.0}, "negative"), ({0: float("nan")}, "finite"), ("even", "str")],
)
def test_wrong_class_weights_are_named(class_weight, message):
    with pytest.raises(ValueError, match=message):
        quick_classifier(class_weight=class_weight).fit(*rings())


@pytest.mark.parametrize(
    "optimizer", ["rmsprop", "lion", optimizers.AdamW(0.02), optimizers.SGD(0.1, momentum=0.9)]
)
def test_optimizers(optimizer):
    x, y = rings()
    model = quick_classifier(optimizer=optimizer, max_iter=120).fit(x, y)
    assert model.score(x, y) > 0.85
    # A name has the rate of the estimator, an object its own.
    rate = 0.03 if isinstance(optimizer, str) else optimizer.learning_rate
    assert model._optimizer.rate == rate


def test_an_optimizer_is_the_solver_of_the_same_constants():
    x, y = rings()
    named = quick_classifier(max_iter=5).fit(x, y)
    given = quick_classifier(optimizer=optimizers.Adam(0.03, epsilon_hat=True), max_iter=5).fit(
        x, y
    )
    assert named.loss_curve_ == given.loss_curve_


def test_a_schedule_changes_the_rate():
    x, y = rings()
    model = quick_classifier(schedule=schedules.Step(step_size=2, gamma=0.1), max_iter=5).fit(x, y)
    assert model._optimizer.rate == pytest.approx(0.03 * 0.1**2)
    constant = quick_classifier(max_iter=2).fit(x, y)
    assert model.loss_curve_[:2] == constant.loss_curve_


def test_initial_weights():
    x, y = rings()
    model = quick_classifier(init="orthogonal", hidden_layer_sizes=(2,), learning_rate_init=1e-12)
    model.set_params(max_iter=1).fit(x, y)
    np.testing.assert_allclose(model.coefs_[0].T @ model.coefs_[0], np.eye(2), atol=1e-9)
    assert abs(model.intercepts_[0]).max() < 1e-9


def test_l1_empties_weights():
    x, y = rings()
    x = np.column_stack([x, np.random.default_rng(1).normal(size=(len(x), 3))])
    dense, sparse = quick_classifier(max_iter=150), quick_classifier(l1=0.3, max_iter=150)
    noise = [abs(m.fit(x, y).coefs_[0][2:]).mean() for m in (dense, sparse)]
    assert noise[1] < 0.5 * noise[0]


def test_dropout_and_clipping_change_the_run_and_repeat():
    x, y = rings()
    plain = quick_classifier(max_iter=5).fit(x, y)
    for options in ({"dropout": 0.3}, {"dropout": [0.1, 0.0]}, {"clip_norm": 0.01}):
        first, again = (quick_classifier(max_iter=5, **options).fit(x, y) for _ in range(2))
        assert first.loss_curve_ == again.loss_curve_ != plain.loss_curve_
    tight = quick_classifier(max_iter=5, max_norm=0.1).fit(x, y)
    assert np.linalg.norm(tight.coefs_[0], axis=0).max() <= 0.1 * (1 + 1e-9)


def test_dtype_is_that_of_the_computation():
    x, y = rings()
    model = quick_classifier(dtype="float32", max_iter=5).fit(x, y)
    assert {p.dtype for p in (*model.coefs_, *model.intercepts_)} == {np.dtype(np.float32)}
    assert model.predict_proba(x).dtype == np.float32
    single = quick_classifier(max_iter=5).fit(x.astype(np.float32), y)
    assert np.array_equal(model.predict_proba(x), single.predict_proba(x.astype(np.float32)))
    assert model.partial_fit(x, y).coefs_[0].dtype == np.float32


@pytest.mark.parametrize("name", kernels.available())
def test_backend_and_threads(name):
    x, y = rings()
    model = quick_classifier(backend=name, n_threads=1, max_iter=5).fit(x, y)
    np.testing.assert_allclose(
        model.loss_curve_, quick_classifier(max_iter=5).fit(x, y).loss_curve_, rtol=1e-12
    )
    assert model._network(np.dtype(np.float64)).n_threads == 1


def test_sum_and_mean_of_several_outputs():
    x, _ = rings()
    y = np.column_stack([x[:, 0], x[:, 1] ** 2])
    models = [quick_regressor(output_reduction=r, max_iter=4).fit(x, y) for r in ("mean", "sum")]
    mean, total = models
    assert np.array_equal(mean.predict(x), total.predict(x))
    means, sums = np.array(mean.loss_curve_), np.array(total.loss_curve_)
    # They differ by the penalty, which is small, and counted in full in both.
    assert (means > sums / 2).all()
    np.testing.assert_allclose(means, sums / 2, rtol=1e-3)
    by_lbfgs = quick_regressor(solver="lbfgs", output_reduction="sum", max_iter=200).fit(x, y)
    residual = 0.5 * np.square(by_lbfgs.predict(x) - y).sum(1).mean()
    penalty = 0.5 * 1e-4 * sum(np.square(w).sum() for w in by_lbfgs.coefs_) / len(x)
    assert by_lbfgs.loss_ == pytest.approx(residual + penalty, rel=1e-9)


def test_lbfgs_says_what_it_cannot_do():
    x, y = rings()
    for options in (
        {"dropout": 0.1},
        {"l1": 0.1},
        {"optimizer": "adam"},
        {"stop": "plateau"},
        {"callbacks": print},
    ):
        with pytest.raises(ValueError, match="needs solver"):
            quick_classifier(solver="lbfgs", **options).fit(x, y)
    with pytest.raises(ValueError, match="batch by batch"):
        quick_classifier(optimizer="lbfgs").fit(x, y)


def test_extras_go_through_partial_fit():
    x, y = rings()
    model = quick_classifier(optimizer="rmsprop", activation="elu", l1=0.01)
    losses = [model.partial_fit(x, y, classes=[0, 1, 2]).loss_ for _ in range(20)]
    assert all(b < a for a, b in itertools.pairwise(losses[:5]))
    with pytest.raises(ValueError, match="all rows"):
        quick_classifier(class_weight="balanced").partial_fit(x, y, classes=[0, 1, 2])
