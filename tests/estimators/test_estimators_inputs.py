"""The estimators: wrong parameters and wrong rows are named."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp._inputs import arrays
from problems import blobs, classifier, curve, regressor

# Most tests stop training early on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": -1}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes"),
        ({"activation": "softmax"}, "activation"),
        ({"activation": ["relu", "relu"]}, "activation"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": [0.1]}, "dropout"),
        ({"max_time": 0}, "max_time"),
        ({"dtype": np.int64}, "dtype"),
        ({"backend": "fortran"}, "backend"),
        ({"n_threads": 0}, "n_threads"),
        ({"solver": "newton"}, "solver"),
        ({"alpha": -1}, "alpha"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": "falling"}, "learning_rate"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"power_t": -1}, "power_t"),
        ({"max_iter": 2.5}, "max_iter"),
        ({"shuffle": "yes"}, "shuffle"),
        ({"random_state": "seed"}, "random_state"),
        ({"tol": float("nan")}, "tol"),
        ({"warm_start": None}, "warm_start"),
        ({"momentum": 1.1}, "momentum"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"beta_1": 1}, "beta_1"),
        ({"epsilon": 0}, "epsilon"),
        ({"n_iter_no_change": 0}, "n_iter_no_change"),
        ({"max_fun": 0}, "max_fun"),
    ],
)
def test_wrong_parameters_are_named_by_fit(options, message):
    for make, (x, y) in ((classifier, blobs()), (regressor, curve())):
        model = make(**options)
        with pytest.raises(ValueError, match=message):
            model.fit(x, y)
        assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, y: classifier().predict(x), ValueError, "not fitted"),
        (lambda x, y: classifier().fit(x, np.linspace(0, 1, len(x))), ValueError, "continuous"),
        (lambda x, y: classifier().fit(x, np.c_[y, y]), ValueError, "Multioutput"),
        (lambda x, y: classifier().fit(x[:, 0], y), ValueError, "2D array"),
        (lambda x, y: classifier().fit(x, y[:-1]), ValueError, r"90.*89|\(90,\)"),
        (lambda x, y: classifier().fit(x * np.nan, y), ValueError, "NaN|nan"),
        (lambda x, y: classifier().fit(x, y, -np.ones(90)), ValueError, "negative"),
        (lambda x, y: classifier().fit(x, y, np.ones(3)), ValueError, r"\(90,\)"),
        (lambda x, y: classifier(max_iter=1).fit(x, y).predict(x[:, :2]), ValueError, "2 features"),
        (lambda x, y: classifier().partial_fit(x, y), ValueError, "first call"),
        (lambda x, y: regressor(loss="poisson").fit(x, -y), ValueError, "not negative"),
        (
            lambda x, y: classifier(early_stopping=True).partial_fit(x, y, classes=[0, 1, 2]),
            ValueError,
            "early_stopping",
        ),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(*blobs())


@pytest.mark.filterwarnings("ignore:overflow|invalid")
def test_diverged_parameters_are_an_error():
    x, y = curve()
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="non-finite"),
    ):
        regressor(solver="sgd", learning_rate_init=1e6, activation="identity").fit(x * 1e6, y)


def test_text_is_no_row_to_predict():
    x, y = blobs()
    fitted = classifier(max_iter=2).fit(x, y)
    with pytest.raises(ValueError, match="strings"):
        fitted.predict(x.astype(str))


@pytest.mark.parametrize("kind", [str, "datetime64[s]"])
def test_targets_of_a_regression_are_numbers(kind):
    x, y = curve()
    with pytest.raises(ValueError, match="y must hold real numbers"):
        regressor(max_iter=2).fit(x, (y * 100).astype(int).astype(kind))


@pytest.mark.parametrize("n", [5, 2000])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_numbers_whose_sums_overflow_are_finite(n, dtype):
    """Squares of few and sums of many are looked at first, and each number where they overflow."""
    large = np.full(n, 0.9 * np.finfo(dtype).max, dtype)
    assert arrays.all_finite(large)
    assert arrays.all_finite(large.reshape(-1, 5)[:, ::2])
    for bad in (np.nan, np.inf, -np.inf):
        one = np.ones(n, dtype)
        one[n // 2] = bad
        assert not arrays.all_finite(one)
        one[0] = -bad
        assert not arrays.all_finite(one)
    assert arrays.all_finite(large[:0])
