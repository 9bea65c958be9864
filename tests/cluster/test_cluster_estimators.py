"""Estimators and many networks over ranks: the bits of one rank, or of none."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from communicator import Aborted, on_ranks
from fastmlp import MLP, MLPClassifier, MLPEnsemble, MLPRegressor, data, each, fit_many
from fastmlp.callbacks import Callback
from numpy.testing import assert_allclose, assert_array_equal

RNG = np.random.default_rng(3)
X = RNG.normal(size=(101, 5))
Y = X[:, 0] * X[:, 1]
LABELS = np.where(Y > 0, "up", "down")
COMMON = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0, "n_threads": 1}
ESTIMATORS = {
    "adam": (MLPRegressor(**COMMON), Y),
    "mean of outputs": (MLPRegressor(**COMMON), np.column_stack([Y, -Y])),
    "stopping": (MLPClassifier(**COMMON, early_stopping=True, dropout=0.2, l1=0.01), LABELS),
    "adaptive": (MLPClassifier(**COMMON, solver="sgd", learning_rate="adaptive"), LABELS),
    "lbfgs": (MLPRegressor(**COMMON, solver="lbfgs"), Y),
    "lm": (MLPRegressor(**COMMON, solver="lm"), Y),
    "reference": (MLPClassifier(**COMMON, backend="reference", class_weight="balanced"), LABELS),
}


def raised(results):
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


@pytest.mark.parametrize("name", ESTIMATORS)
def test_any_number_of_ranks_fits_the_same_estimator(name):
    given, y = ESTIMATORS[name]

    def fitted(comm):
        return copy.deepcopy(given).fit(X, y, comm=comm)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (one,), alone = raised(on_ranks(1, fitted)), fitted(None)
        for other in raised(on_ranks(4, fitted)):
            assert_array_equal(other._packed(), one._packed())
            assert (other.loss_, other.n_iter_) == (one.loss_, one.n_iter_)
            for curve in ("loss_curve_", "validation_scores_"):
                assert getattr(other, curve, None) == getattr(one, curve, None)
            pickle.dumps(other)
    assert "comm" not in one.get_params()
    assert_allclose(one._packed(), alone._packed(), atol=1e-8)


def test_an_estimator_of_a_source():
    source = data.arrays(X, LABELS, block_rows=20)

    def fitted(comm):
        model = MLPClassifier(**COMMON, n_iter_no_change=10)
        return model.fit(source, X_val=source, comm=comm)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = raised(on_ranks(2, fitted))
        (one,) = raised(on_ranks(1, fitted))
    assert_array_equal(second._packed(), first._packed())
    assert_array_equal(first._packed(), one._packed())
    assert first.validation_scores_ == second.validation_scores_


def test_only_rank_0_speaks(capsys):
    called = []

    def fitted(comm):
        model = MLPRegressor(**COMMON, verbose=True, callbacks=lambda m, h: called.append(h.epochs))
        model.fit(X, Y, X_val=X, y_val=Y, comm=comm)

    with pytest.warns(UserWarning, match="Maximum iterations") as found:
        raised(on_ranks(2, fitted))
    assert len(found) == 1
    assert called == [1, 2, 3]
    assert capsys.readouterr().out.count("Iteration 1,") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 1.0}, "rank 0 has alpha=0.0001 and rank 1 alpha=1.0"),
        ({"y": Y + 1}, "rank 0 has the rows .* and rank 1 the rows"),
    ],
)
def test_estimators_that_disagree_are_refused(change, words):
    def fitted(comm):
        given = {**COMMON, **(change if comm.rank else {})}
        y = given.pop("y", Y)
        MLPRegressor(**given).fit(X, y, comm=comm)

    for error in on_ranks(2, fitted):
        with pytest.raises(ValueError, match=words):
            raise error


# Many networks


def networks(seed=0):
    sizes = [[5, 4, 1], [5, 3, 1], [5, 16, 1], [5, 3, 1], [5, 3, 1]]
    return [MLP(layers, random_state=10 * i + seed) for i, layers in enumerate(sizes)]


def test_networks_are_spread_over_ranks():
    """Each with the bits of its own fit, on all ranks, and its generator where that has left it."""
    options = {"epochs": 3, "dropout": 0.1, "learning_rate": [0.1, 0.01, 0.02, 0.03, 0.04]}
    alone = networks()
    expected = fit_many(alone, X, Y, n_threads=1, **options)

    def train(comm):
        nets = networks(seed=comm.rank)  # those of rank 0 count
        seen = []
        histories = fit_many(
            nets, X, Y, n_threads=1, comm=comm, progress=lambda *done: seen.append(done), **options
        )
        return nets, histories, seen

    for size in (1, 2, 3):
        for rank, (nets, histories, seen) in enumerate(raised(on_ranks(size, train))):
            assert bool(seen) == (rank == 0)
            for net, own, history, before in zip(nets, alone, histories, expected, strict=True):
                assert_array_equal(net.parameters, own.parameters)
                assert net._generator.bit_generator.state == own._generator.bit_generator.state
                assert history.loss == before.loss
                assert history.stop_reason == "epochs"


def test_an_ensemble_over_ranks_draws_what_rank_0_draws():
    def train(comm):
        ensemble = MLPEnsemble([5, 4, 1], 4, random_state=None if comm.rank else 0, n_threads=1)
        vary = {"sizes": [[5, 3, 1], [5, 8, 1]], "learning_rate": [0.1, 0.01]}
        ensemble.fit(X, Y, vary=vary, epochs=2, bootstrap=True, comm=comm)
        return ensemble.settings, [net.parameters for net in ensemble.networks]

    first, second = raised(on_ranks(2, train))
    assert first[0] == second[0]
    for one, other in zip(first[1], second[1], strict=True):
        assert_array_equal(one, other)


def test_networks_of_ranks_that_disagree_are_refused():
    found = on_ranks(
        2, lambda comm: fit_many(networks(), X, Y + comm.rank, comm=comm, epochs=1 + comm.rank)
    )
    with pytest.raises(ValueError, match="rank 0 has epochs=1 and rank 1 epochs=2"):
        raise found[0]
    found = on_ranks(2, lambda comm: fit_many(networks(), X[comm.rank :], Y, comm=comm))
    with pytest.raises(RuntimeError, match="rank 1 could not begin: ValueError: X and y must have"):
        raise found[0]


def test_a_network_that_fails_ends_all_ranks(capsys):
    class Fail(Callback):
        def on_epoch_end(self, net, history):
            raise OSError("the disk is full")

    fails = [(), (), (), (), Fail()]
    found = on_ranks(
        2, lambda comm: fit_many(networks(), X, Y, comm=comm, n_threads=1, callbacks=each(fails))
    )
    assert [type(error) for error in found] == [Aborted, Aborted]
    assert "OSError: the disk is full" in capsys.readouterr().err
