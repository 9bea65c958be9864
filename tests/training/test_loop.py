"""The training loop: one for networks and estimators, whose state can be taken and set."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, stopping
from fastmlp._inputs import sparse
from fastmlp._training import fit, loop
from fastmlp.estimators._fitting import descent
from fastmlp.kernels import CSR
from fastmlp.optimizers import GradientDescent


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    return x, (x[:, :1] > 0).astype(float)


def prepared(optimizer="adam", **options):
    """A network and its trainer."""
    net = MLP([3, 6, 1], output="sigmoid", random_state=0, dtype="float64")
    return net, net.trainer(optimizer=optimizer, batch_size=8, epochs=8, **options)


def test_networks_and_estimators_run_the_same_loop():
    assert fit.train is descent.train is loop.train


@pytest.mark.parametrize("epochs", [1, 3, 7])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"learning_rate": "reduce_on_plateau", "dropout": 0.3},
        {"learning_rate": "one_cycle", "validation_data": data(), "stop": "early_stopping"},
        {"optimizer": "lbfgs"},
        {"optimizer": GradientDescent(line_search="wolfe"), "l2": 1e-3},
    ],
)
def test_a_run_that_is_cut_in_two_equals_the_whole(epochs, options):
    x, y = data()
    taken = []

    def take(network, history):
        if history.epochs == epochs:
            taken.append(run.state)

    whole, run = prepared(callbacks=take, **options)
    run.run(x, y, 8)
    second, again = prepared(**options)
    second.parameters[...] = np.nan  # all comes from the state
    again.state = taken[0]
    again.run(x, y, 8 - epochs)
    np.testing.assert_array_equal(second.parameters, whole.parameters)
    assert again.history.loss == run.history.loss
    assert again.history.best_epoch == run.history.best_epoch


def test_callbacks_of_an_estimator_see_the_epoch_in_which_a_rule_stops():
    seen = []
    x, y = data()
    model = MLPClassifier(
        (4,),
        max_iter=20,
        stop=stopping.Plateau(tol=1e9, n_iter_no_change=2),
        callbacks=lambda model, history: seen.append(history.epochs),
    ).fit(x, y.ravel())
    assert model.stop_reason_ == "plateau"
    assert seen == list(range(1, model.n_iter_ + 1))


@pytest.mark.parametrize(
    ("answer", "epochs"),
    [(True, 1), (np.bool_(True), 1), (False, 3), (np.bool_(False), 3), (None, 3), (1, 3)],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_callback_stops_by_true_of_python_or_numpy(answer, epochs):
    x, y = data()
    net = MLP([3, 2, 1], output="sigmoid")
    assert net.fit(x, y, epochs=3, callbacks=lambda *_: answer).epochs == epochs
    model = MLPClassifier((2,), max_iter=3, callbacks=lambda *_: answer)
    assert model.fit(x, y.ravel()).n_iter_ == epochs


def test_rows_of_sparse_batches():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    x = scipy_sparse.random(9, 5, 0.4, format="csr", random_state=0)
    rows = np.array([8, 0, 0, 3])
    taken = sparse.take(CSR(x.data, x.indices, x.indptr, x.shape), rows)
    back = scipy_sparse.csr_matrix((taken.data, taken.indices, taken.indptr), taken.shape)
    np.testing.assert_array_equal(back.toarray(), x.toarray()[rows])
