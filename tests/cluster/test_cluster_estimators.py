"""Estimators and many networks over ranks: the bits of one rank, or of none."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from communicator import Aborted, on_ranks
from fastmlp import (
    MLP,
    MLPClassifier,
    MLPEnsemble,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
    data,
    each,
    fit_many,
)
from fastmlp._many import estimating
from fastmlp._many.estimating import Team
from fastmlp.callbacks import Callback
from fastmlp.model_selection import MLPSearchCV, loguniform
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


@pytest.mark.parametrize("classes", [False, True])
def test_blocks_of_rows_come_one_after_the_other(classes):
    """Moments go on from call to call, beside calls of each rank alone."""

    def fitted(comm):
        kind, y = (MLPClassifier, LABELS) if classes else (MLPRegressor, Y)
        model = kind(**COMMON, batch_size=9)
        more = {"classes": ["down", "up"]} if classes else {}
        model.partial_fit(X[:60], y[:60], comm=comm, **more)
        model.partial_fit(X[60:70], y[60:70])
        return model.partial_fit(X[70:], y[70:], comm=comm)

    (one,), alone = raised(on_ranks(1, fitted)), fitted(None)
    for other in raised(on_ranks(4, fitted)):
        assert_array_equal(other._packed(), one._packed())
        assert other.loss_curve_ == one.loss_curve_
    assert_allclose(one._packed(), alone._packed(), atol=1e-7)
    assert one.t_ == alone.t_ == 101


def test_ranks_that_have_seen_other_rows_are_refused():
    def fitted(comm):
        model = MLPClassifier(**COMMON)
        if comm.rank:
            model.partial_fit(X, LABELS, classes=["down", "up"])
        model.partial_fit(X, LABELS, classes=["down", "up"], comm=comm)

    for error in on_ranks(2, fitted):
        with pytest.raises(ValueError, match="rows seen before=0 and rank 1 rows seen before=101"):
            raise error


def test_a_first_block_without_classes_ends_all_ranks():
    found = on_ranks(2, lambda comm: MLPClassifier(**COMMON).partial_fit(X, LABELS, comm=comm))
    assert [type(error) for error in found] == [ValueError, ValueError]


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


@pytest.mark.parametrize("classes", [False, True])
def test_copies_of_an_ensemble_are_spread_over_ranks(classes, monkeypatch):
    fits, fit = [], estimating.fit
    monkeypatch.setattr(estimating, "fit", lambda *given: (fits.append(1), fit(*given))[1])
    kind, y = (MLPEnsembleClassifier, LABELS) if classes else (MLPEnsembleRegressor, Y)
    base = (MLPClassifier if classes else MLPRegressor)(hidden_layer_sizes=(4,), max_iter=2)

    def fitted(comm, seed):
        return kind(
            base, 5, vary={"alpha": [0.1, 0.01]}, bootstrap=True, oob_score=True, select="greedy",
            random_state=seed, n_threads=1,
        ).fit(X, y, comm=comm)  # fmt: skip

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = fitted(None, 0)
        fits.clear()
        for other in raised(on_ranks(2, lambda comm: fitted(comm, comm.rank))):
            for one, own in zip(other.estimators_, alone.estimators_, strict=True):
                assert_array_equal(one._packed(), own._packed())
            assert other.settings_ == alone.settings_
            assert_array_equal(other.counts_, alone.counts_)
            assert_array_equal(other.predict(X), alone.predict(X))
            assert other.oob_score_ == alone.oob_score_
    assert len(fits) == 5


def test_copies_on_ranks_that_disagree_are_refused():
    found = on_ranks(2, lambda comm: MLPEnsembleRegressor(n_estimators=2).fit(
        X, Y + comm.rank, comm=comm))  # fmt: skip
    for error in found:
        with pytest.raises(ValueError, match="rank 0 has the targets"):
            raise error


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


@pytest.mark.parametrize("halving", [True, False])
def test_candidates_and_folds_of_a_search_are_shared_by_ranks(halving, monkeypatch):
    trained, do = [], Team.do
    monkeypatch.setattr(
        Team, "do", lambda self, *given: (trained.append(len(given[0])), do(self, *given))[1]
    )

    def searched(comm, seed=0):
        model = MLPClassifier((4,), max_iter=4, random_state=0, n_threads=1)
        space = {"alpha": loguniform(1e-5, 1.0), "batch_size": [20, 40]}
        search = MLPSearchCV(
            model, space, 4, cv=3, halving=halving, factor=2, random_state=seed,
            return_train_score=True, n_threads=1,
        )  # fmt: skip
        return search.fit(X, LABELS, comm=comm)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone, (one,) = searched(None), raised(on_ranks(1, searched))
        jobs = sum(trained) // 2
        trained.clear()
        for other in raised(on_ranks(2, lambda comm: searched(comm, comm.rank))):
            for name in ("mean_test_score", "split1_test_score", "mean_train_score"):
                assert_array_equal(other.cv_results_[name], alone.cv_results_[name])
            assert other.best_params_ == alone.best_params_
            assert_array_equal(other.best_estimator_._packed(), one.best_estimator_._packed())
            assert_allclose(other.best_estimator_._packed(), alone.best_estimator_._packed())
            assert_array_equal(other.cv_results_["mean_fit_time"] > 0, True)
    assert sum(trained) == jobs
    assert len(trained) == 2 * (3 if halving else 1)


def test_ranks_that_search_for_different_things_are_refused():
    def searched(comm):
        model = MLPClassifier((4,), max_iter=2, random_state=0)
        space = {"alpha": [0.1] if comm.rank else [0.1, 0.2]}
        return MLPSearchCV(model, space, cv=2).fit(X, LABELS, comm=comm)

    with pytest.raises(ValueError, match=r"rank 0 has space=.* and rank 1 space="):
        raised(on_ranks(2, searched))
