"""scikit-learn's searches and ensembles of our estimators, on the workers of joblib's backends."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor

pytest.importorskip("sklearn")
joblib = pytest.importorskip("joblib")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

RNG = np.random.default_rng(4)
X = RNG.normal(size=(120, 4))
Y = X[:, 0] * X[:, 1]
MODEL = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0, "n_threads": 1}


@contextlib.contextmanager
def workers(name):
    """Two workers of a backend of joblib; a cluster of its own where it needs one."""
    if name == "dask":
        distributed = pytest.importorskip("distributed")
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
        )
        with cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
            yield
    elif name == "ray":
        ray = pytest.importorskip("ray")
        register = pytest.importorskip("ray.util.joblib").register_ray
        ray.init(num_cpus=2, include_dashboard=False, configure_logging=False)
        register()
        try:
            with joblib.parallel_config("ray"):
                yield
        finally:
            ray.shutdown()
    else:
        with joblib.parallel_config(name, n_jobs=2):
            yield


def found():
    """What a search, a halving search and a bag lead to."""
    from sklearn.ensemble import BaggingRegressor
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV

    grid = GridSearchCV(MLPClassifier(**MODEL), {"alpha": [1e-4, 1.0]}, cv=2).fit(X, Y > 0)
    halving = HalvingRandomSearchCV(
        MLPRegressor(**MODEL), {"learning_rate_init": [0.1, 0.01, 0.001]}, cv=2, random_state=0,
        n_candidates=3, min_resources=40,
    ).fit(X, Y)  # fmt: skip
    bag = BaggingRegressor(MLPRegressor(**MODEL), n_estimators=3, random_state=0).fit(X, Y)
    return (
        grid.cv_results_["mean_test_score"],
        halving.cv_results_["mean_test_score"],
        halving.best_params_["learning_rate_init"],
        bag.predict(X),
    )


@pytest.mark.parametrize(
    "name",
    ["threading", *(pytest.param(n, marks=pytest.mark.sweep) for n in ("loky", "dask", "ray"))],
)
def test_workers_find_what_one_process_finds(name):
    expected = found()
    with workers(name):
        for one, other in zip(found(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
