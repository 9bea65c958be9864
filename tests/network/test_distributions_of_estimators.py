"""Regressors whose loss describes a target by several outputs: quantiles, a mean and a variance."""

from __future__ import annotations

import copy
import pickle
from statistics import NormalDist

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, MLPRegressor, data, losses, metrics

pytestmark = pytest.mark.filterwarnings("ignore:.*(onverge|Maximum iterations)")
RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 3))
Y = np.stack([X[:, 0] + RNG.normal(0, 0.3, 60), X[:, 1] ** 2], axis=1)
BANDS = losses.Quantile([0.1, 0.5, 0.9], ordered=True)
LOSSES = {"gaussian": losses.GaussianNLL(), "quantiles": BANDS}


def regressor(**options):
    given = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, "activation": "tanh"}
    return MLPRegressor(**{**given, **options})


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["one", "two"])
def test_it_learns_what_a_network_learns(loss, y):
    model = regressor(loss=loss, solver="sgd", shuffle=False, alpha=0.0, batch_size=60)
    net = MLP([3, 5, y.size // 60 * loss.outputs_a_target], "tanh", dtype="f8", random_state=0)
    model.fit(X, y)
    start = regressor(loss=loss, solver="sgd", learning_rate_init=1e-300, max_iter=1).fit(X, y)
    net.parameters[:] = start._packed()
    trainer = net.trainer(loss=loss, optimizer="sgd", learning_rate=1e-3, batch_size=60)
    assert model.loss_curve_[0] == pytest.approx(trainer.step(X, y.reshape(60, -1)), rel=1e-12)
    assert model.n_outputs_ == net.architecture.sizes[-1]


@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["one", "two"])
def test_a_normal_distribution(y):
    model = regressor(loss="gaussian_nll").fit(X, y)
    outputs = model.predictor()(X)
    mean, deviation = model.predict(X, return_std=True)
    assert mean.shape == deviation.shape == y.shape
    np.testing.assert_array_equal(mean.reshape(60, -1), outputs[:, ::2])
    np.testing.assert_allclose(deviation.reshape(60, -1), np.exp(outputs[:, 1::2] / 2))
    np.testing.assert_array_equal(model.predict(X), mean)
    for found, expected in zip(model.predict_distribution(X), (mean, deviation), strict=True):
        np.testing.assert_array_equal(found, expected)
    band = model.predict_quantiles(X, [0.5, 0.975])
    np.testing.assert_allclose(band[..., 0], mean)
    np.testing.assert_allclose(band[..., 1], mean + NormalDist().inv_cdf(0.975) * deviation)
    assert model.predict_quantiles(X).shape == (*y.shape, 3)
    assert model.score(X, y) == pytest.approx(metrics.r2(y, mean), rel=1e-12)


@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["one", "two"])
def test_several_quantiles(y):
    model = regressor(loss=BANDS).fit(X, y)
    values = BANDS.values(model.predictor()(X))
    shaped = model.predict_quantiles(X)
    assert shaped.shape == (*y.shape, 3)
    np.testing.assert_array_equal(shaped.reshape(values.shape), values)
    assert (np.diff(shaped) >= 0).all()
    np.testing.assert_array_equal(model.predict(X), shaped[..., 1])
    np.testing.assert_array_equal(model.predict_quantiles(X, [0.9, 0.1]), shaped[..., [2, 0]])
    assert model.score(X, y) == pytest.approx(metrics.r2(y, shaped[..., 1]), rel=1e-12)


@pytest.mark.parametrize(
    ("levels", "weights"),
    [((0.1, 0.9), (0.5, 0.5)), ((0.2, 0.4, 0.9), (0, 0.8, 0.2)), ((0.6, 0.9), (1, 0)),
     ((0.1, 0.3), (0, 1)), ((0.1, 0.5, 0.6), (0, 1, 0))],
)  # fmt: skip
def test_the_point_of_quantiles_is_the_median_or_lies_between(levels, weights):
    outputs = RNG.normal(size=(4, 2 * len(levels)))
    expected = outputs.reshape(4, 2, -1) @ np.array(weights, float)
    np.testing.assert_allclose(losses.Quantile(levels).point(outputs), expected)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_holes_weights_and_validation(loss, solver):
    holes = np.where(RNG.random(Y.shape) < 0.3, np.nan, Y)
    held = {"X_val": X, "y_val": holes} if solver == "adam" else {}
    model = regressor(loss=loss, solver=solver, missing_targets="ignore").fit(X, holes, **held)
    weight = np.where(np.isnan(holes), 0.0, 1.0)
    same = regressor(loss=loss, solver=solver).fit(X, Y, weight)
    np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])
    if held:
        assert model.validation_scores_[-1] == pytest.approx(model.score(X, holes), rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_early_stopping_steps_sources_and_copies(loss, tmp_path):
    pytest.importorskip("safetensors")
    model = regressor(loss=loss, early_stopping=True).fit(X, Y)
    assert np.isfinite(model.validation_scores_).all()
    model.save(tmp_path / "model.safetensors")
    others = MLPRegressor.load(tmp_path / "model.safetensors"), copy.deepcopy(model)
    for other in (*others, pickle.loads(pickle.dumps(model))):
        assert other.loss == loss
        np.testing.assert_array_equal(other.predict_quantiles(X), model.predict_quantiles(X))
    step = regressor(loss=loss)
    for _ in range(2):
        step.partial_fit(X[:8], Y[:8, 0])
    assert step.predict(X).shape == (60,)
    options = {"loss": loss, "shuffle": False, "batch_size": 20}
    whole, source = regressor(**options).fit(X, Y), data.arrays(X, Y, block_rows=20)
    by_blocks = regressor(**options).fit(source)
    np.testing.assert_allclose(by_blocks.coefs_[0], whole.coefs_[0], rtol=1e-10)
    np.testing.assert_allclose(by_blocks.predict(source), whole.predict(X), rtol=1e-9)


def test_a_name_stands_for_the_loss_everywhere():
    model, named = regressor(loss=losses.GaussianNLL()), regressor(loss="gaussian_nll")
    np.testing.assert_array_equal(model.fit(X, Y).coefs_[0], named.fit(X, Y).coefs_[0])
    net = MLP([3, 4], random_state=0)
    assert net.loss(X, Y, "gaussian_nll") == net.loss(X, Y, losses.GaussianNLL())
    assert losses.get("gaussian_nll") == losses.GaussianNLL()


def test_onnx_gives_the_outputs():
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = regressor(loss="gaussian_nll").fit(X, Y)
    session = runtime.InferenceSession(model.to_onnx().SerializeToString())
    found = session.run(None, {"X": X})[0]
    np.testing.assert_allclose(found, model.predictor()(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m: m.predict(X, return_std=True), ValueError, "needs loss=losses.GaussianNLL"),
        (lambda m: m.predict_quantiles, AttributeError, r"needs loss=fastmlp.losses.Quantile"),
        (lambda m: m.predict_distribution, AttributeError, "learns a variance"),
        (lambda m: m.set_params(loss=BANDS).predict(X), ValueError, "3 outputs for each target"),
        (lambda m: m.set_params(loss="gaussian_nll").partial_fit(X, Y), ValueError,
         "y must have 1 outputs"),
        (lambda m: regressor(loss=BANDS).fit(X, Y).predict_quantiles(X, [0.2]), ValueError,
         r"among \[0.1, 0.5, 0.9\], as learnt, got 0.2"),
        (lambda m: regressor(loss="gaussian_nll").fit(X, Y).predict_quantiles(X, [0, 1]),
         ValueError, "between 0 and 1"),
        (lambda m: regressor(loss="gaussian_nll").fit(X, Y).predict(X, True, out=Y), ValueError,
         "rows in memory, without out"),
        (lambda m: regressor(loss="gaussian_nll", solver="lm").fit(X, Y), ValueError,
         "a loss with curvature"),
        (lambda m: MLPClassifier(loss=BANDS).fit(X, Y[:, 0] > 0), ValueError, "for a regressor"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call(regressor().fit(X, Y))
