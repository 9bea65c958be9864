"""Models cross the border: from_sklearn, to_sklearn, and converters that know scikit-learn's."""

from __future__ import annotations

import warnings

import fastmlp
import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor

neural = pytest.importorskip("sklearn.neural_network")

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")

SOLVERS = {
    "adam": {},
    "nesterov": {"solver": "sgd"},
    "plain": {"solver": "sgd", "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True},
}


def data(task):
    """Class name, rows, targets and options of a task."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 5))
    y = {
        "binary": np.array(["no", "yes"])[(x[:, 0] > 0).astype(int)],
        "multiclass": np.array([3, 5, 8])[np.digitize(x[:, 1], [-0.5, 0.5])],
        "multilabel": (x[:, :3] > 0).astype(int),
        "regression": x[:, 0] * x[:, 1],
        "outputs": x[:, :2] ** 2,
        "poisson": rng.poisson(np.exp(x[:, 2])),
    }[task]
    numbers = task in ("regression", "outputs", "poisson")
    options = {"loss": "poisson"} if task == "poisson" else {}
    return ("MLPRegressor" if numbers else "MLPClassifier"), x, y, options


def assert_equal_models(ours, theirs, x):
    """Equal predictions and fitted attributes."""
    for method in ("predict", "predict_proba"):
        if hasattr(theirs, method):
            have, want = getattr(ours, method)(x), getattr(theirs, method)(x)
            assert have.shape == want.shape
            if have.dtype.kind == "f":
                np.testing.assert_allclose(have, want, rtol=1e-10, atol=1e-12)
            else:
                assert np.array_equal(have, want)
    for name, value in vars(theirs).items():
        if (
            name.endswith("_")
            and not name.startswith("_")
            and name not in ("coefs_", "intercepts_")
        ):
            np.testing.assert_equal(getattr(ours, name), value, err_msg=name)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "task", ["binary", "multiclass", "multilabel", "regression", "outputs", "poisson"]
)
def test_there_and_back(task, solver):
    name, x, y, options = data(task)
    if task == "binary" and solver == "early stopping":
        y = (y == "yes").astype(int)  # scikit-learn 1.8 cannot score texts there
    options |= {"hidden_layer_sizes": (7,), "max_iter": 5, "random_state": 0, **SOLVERS[solver]}
    theirs = getattr(neural, name)(**options).fit(x, y)
    ours = fastmlp.from_sklearn(theirs)
    assert type(ours) is getattr(fastmlp, name)
    assert {k: ours.get_params()[k] for k in theirs.get_params()} == theirs.get_params()
    assert_equal_models(ours, theirs, x)
    back = ours.to_sklearn()
    assert type(back) is type(theirs)
    assert_equal_models(back, theirs, x)
    ours.coefs_[0][:] = 0
    assert abs(theirs.coefs_[0]).min() > 0
    assert abs(back.coefs_[0]).min() > 0


@pytest.mark.parametrize("solver", ["adam", "nesterov", "plain", "invscaling"])
def test_training_goes_on_as_it_would_have(solver):
    name, x, y, _ = data("multiclass")
    options = {"hidden_layer_sizes": (7,), "max_iter": 4, "random_state": 0, **SOLVERS[solver]}
    theirs = getattr(neural, name)(**options).fit(x, y)
    ours = fastmlp.from_sklearn(theirs).partial_fit(x, y)
    back = ours.to_sklearn().partial_fit(x, y)
    theirs.partial_fit(x, y).partial_fit(x, y)
    np.testing.assert_allclose(back.loss_curve_, theirs.loss_curve_, rtol=1e-12)
    for a, b in zip(back.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    assert back._optimizer.learning_rate == pytest.approx(theirs._optimizer.learning_rate)


def test_estimators_that_are_not_fitted():
    ours = fastmlp.from_sklearn(neural.MLPRegressor(hidden_layer_sizes=(5,), alpha=0.5))
    assert isinstance(ours, MLPRegressor)
    assert not hasattr(ours, "coefs_")
    assert ours.to_sklearn().get_params()["alpha"] == 0.5


def test_subclasses_are_taken():
    class Own(neural.MLPClassifier):
        pass

    assert isinstance(fastmlp.from_sklearn(Own((3,))), MLPClassifier)


def test_what_cannot_cross_is_named():
    with pytest.raises(TypeError, match="got dict"):
        fastmlp.from_sklearn({})
    with pytest.raises(TypeError, match="got MLPClassifier"):
        fastmlp.from_sklearn(MLPClassifier())
    for model, message in [
        (MLPClassifier(activation="gelu"), "gelu"),
        (MLPClassifier(activation=["relu"]), "relu"),
        (MLPClassifier(loss="hinge"), "hinge"),
        (MLPClassifier(loss="squared_error"), "squared_error"),
        (MLPRegressor("huber"), "huber"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.to_sklearn()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "outputs"])
def test_onnx(task):
    """skl2onnx takes what to_sklearn gives, and its converters take ours where they are told."""
    skl2onnx = pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    from skl2onnx.common import shape_calculator
    from skl2onnx.operator_converters import multilayer_perceptron

    name, x, y, _ = data(task)
    x = x.astype(np.float32)
    model = getattr(fastmlp, name)(hidden_layer_sizes=(7,), max_iter=5, random_state=0).fit(x, y)
    kind = "classifier" if name == "MLPClassifier" else "regressor"
    choices = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
    choices |= {"output_class_labels": [False, True]}
    skl2onnx.update_registered_converter(
        type(model),
        f"Fastmlp{name}",
        getattr(shape_calculator, f"calculate_linear_{kind}_output_shapes"),
        getattr(multilayer_perceptron, f"convert_sklearn_mlp_{kind}"),
        options=choices if kind == "classifier" else None,
    )
    options = {"zipmap": False} if kind == "classifier" else None
    for one in (model, model.to_sklearn()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = skl2onnx.to_onnx(one, x[:1], options=options)
        outputs = runtime.InferenceSession(graph.SerializeToString()).run(None, {"X": x})
        if kind == "classifier":
            assert np.array_equal(outputs[0], model.predict(x))
            outputs = [outputs[1]]
            want = model.predict_proba(x)
        else:
            want = model.predict(x)
        np.testing.assert_allclose(outputs[0].reshape(want.shape), want, rtol=1e-4, atol=1e-6)
