"""The estimators: when training stops, on what it is judged, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor, kernels
from fastmlp._training import together
from fastmlp.estimators._sklearn import split
from problems import blobs, classifier, regressor

# Most tests stop training early on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


def test_training_ends_when_the_loss_does_not_improve():
    x, y = blobs()
    model = classifier(tol=10.0, n_iter_no_change=4).fit(x, y)
    # The first epoch improves on infinity; then more than 4 epochs without progress.
    assert model.n_iter_ == 6
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.t_ == 6 * len(x)


def test_running_out_of_epochs_warns():
    x, y = blobs()
    with pytest.warns(UserWarning, match=r"Maximum iterations \(3\) reached"):
        classifier(max_iter=3).fit(x, y)


def test_adaptive_rate_is_divided_until_it_is_tiny():
    x, y = blobs()
    model = classifier(solver="sgd", learning_rate="adaptive", tol=10.0, n_iter_no_change=1)
    model.set_params(learning_rate_init=1e-4, max_iter=100).fit(x, y)
    assert model._optimizer.learning_rate == pytest.approx(1e-4 / 5**3)
    assert model.n_iter_ < 20


def test_early_stopping_restores_the_best_parameters():
    x, y = blobs(n=200, classes=2)
    y = np.where(np.random.default_rng(1).random(200) < 0.2, 1 - y, y)
    model = classifier(early_stopping=True, learning_rate_init=0.05, n_iter_no_change=8).fit(x, y)
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_ < 200
    _, held_out = split.train_and_validation(200, 0.1, seeded_after_initial_draws(model), y)
    assert model.score(x[held_out], y[held_out]) == model.best_validation_score_


def seeded_after_initial_draws(model):
    state = np.random.RandomState(0)
    for w, b in zip(model.coefs_, model.intercepts_, strict=True):
        state.uniform(size=w.size + b.size)
    return state


@pytest.mark.parametrize("labels", [None, np.arange(57) % 3 == 0, np.repeat([0, 1, 2], 19)])
def test_split_is_that_of_scikit_learn(labels):
    selection = pytest.importorskip("sklearn.model_selection")
    for seed in range(5):
        ours, theirs = np.random.RandomState(seed), np.random.RandomState(seed)
        train, held_out = split.train_and_validation(57, 0.17, ours, labels)
        expected = selection.train_test_split(
            np.arange(57), test_size=0.17, random_state=theirs, stratify=labels
        )
        assert np.array_equal(train, expected[0])
        assert np.array_equal(held_out, expected[1])
        assert ours.randint(1 << 30) == theirs.randint(1 << 30)


def test_splits_that_cannot_be():
    state = np.random.RandomState(0)
    with pytest.raises(ValueError, match="too small"):
        split.train_and_validation(10, 0.1, state, None)
    with pytest.raises(ValueError, match="2 rows of every class"):
        split.train_and_validation(20, 0.2, state, np.arange(20) == 3)


def test_ctrl_c_keeps_what_was_learned(monkeypatch):
    x, y = blobs()
    epochs = []
    original = MLPClassifier._trainer

    def trainer(self, *arguments, **options):
        made = original(self, *arguments, **options)

        class Interrupted:
            step = 0
            load, store = made.load, made.store

            def run_epoch(self, *arguments, **options):
                if len(epochs) == 3:
                    raise KeyboardInterrupt
                epochs.append(made.run_epoch(*arguments, **options))
                return epochs[-1]

        return Interrupted()

    monkeypatch.setattr(MLPClassifier, "_trainer", trainer)
    with pytest.warns(UserWarning, match="interrupted"):
        interrupted = classifier().fit(x, y)
    monkeypatch.undo()
    assert interrupted.loss_curve_ == epochs
    complete = classifier(max_iter=3).fit(x, y)
    assert np.array_equal(interrupted.predict_proba(x), complete.predict_proba(x))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: classifier(max_iter=1).fit(x, y),
        lambda x, y: classifier(batch_size=1000).partial_fit(x, y, classes=[0, 1, 2]),
        lambda x, y: regressor().partial_fit(x, y[:, None]),
        lambda x, y: classifier(solver="lbfgs", max_iter=1).fit(x, y),
    ],
)
def test_warnings_point_at_the_line_that_called(call):
    x, y = blobs()
    with pytest.warns(UserWarning, match=".") as caught:
        call(x, y)
    assert [w.filename for w in caught] == [__file__]


# Epochs that one call of the engine makes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


def fitted(kind, options, one_by_one, monkeypatch):
    """An estimator, how often the engine was entered, and what its generator draws next."""
    calls = []
    trainer = kernels.active().Trainer
    with monkeypatch.context() as patch:
        if one_by_one:
            patch.setattr(together, "at_once", lambda run, most: 1)
        for name in ("run_epoch", "run_epochs"):
            original = getattr(trainer, name)

            def counted(self, *arguments, original=original, **more):
                calls.append(1)
                return original(self, *arguments, **more)

            patch.setattr(trainer, name, counted)
        state = options.get("random_state", 0)
        state = np.random.RandomState(3) if state == "state" else state
        given = {"hidden_layer_sizes": (5,), "batch_size": 16, "max_iter": 40, **options}
        model = kind(**{**given, "random_state": state}).fit(X, Y)
    return model, len(calls), model._random_state.randint(2**31)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, 1),
        ({"random_state": "state"}, 1),
        ({"tol": 0.1, "n_iter_no_change": 3}, 1),
        ({"n_iter_no_change": np.inf}, 1),
        ({"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2}, 13),
        ({"solver": "sgd", "learning_rate": "invscaling"}, 40),
        ({"shuffle": False, "alpha": 0.0}, 1),
    ],
    ids=["adam", "state", "plateau", "endless", "adaptive", "invscaling", "in order"],
)
def test_bits_and_stops_are_those_of_single_epochs(kind, options, most, monkeypatch):
    single, n, drawn = fitted(kind, options, True, monkeypatch)
    several, calls, drawn_too = fitted(kind, options, False, monkeypatch)
    assert n == single.n_iter_
    if kernels.info()["backend"] == "compiled":  # the others make several epochs one by one
        assert calls <= most
    assert np.array_equal(single._packed(), several._packed())
    for name in ("loss_curve_", "loss_", "best_loss_", "n_iter_", "t_", "stop_reason_"):
        assert getattr(single, name) == getattr(several, name), name
    one, other = single._optimizer, several._optimizer
    assert np.array_equal(one.state, other.state)
    for name in ("step", "epochs", "rate", "rows_seen"):
        assert getattr(one, name) == getattr(other, name), name
    assert drawn == drawn_too


@pytest.mark.parametrize("state", [0, "state"])
def test_divergence_ends_in_the_same_error(state, monkeypatch):
    options = {"solver": "sgd", "learning_rate_init": 1e30, "random_state": state}
    for one_by_one in (True, False):
        with (
            np.errstate(all="ignore"),
            pytest.raises(ValueError, match="non-finite parameter weights"),
        ):
            fitted(MLPRegressor, options, one_by_one, monkeypatch)


def test_ctrl_c_within_a_call_leaves_the_finished_epochs(monkeypatch):
    trainer = kernels.active().Trainer
    run_epochs = trainer.run_epochs

    def interrupted(self, x, target, orders, rates, *, sample_weight, plateau, out):
        run_epochs(self, x, target, orders, rates[:2], out=out[:2])
        raise KeyboardInterrupt

    options = {"hidden_layer_sizes": (5,), "random_state": 0, "batch_size": 16}
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "run_epochs", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            found = MLPClassifier(**options).fit(X, Y)
    two = MLPClassifier(**options, max_iter=2).fit(X, Y)
    assert found.loss_curve_ == two.loss_curve_
    assert (found.n_iter_, found.t_, found._optimizer.step) == (2, 120, two._optimizer.step)
    assert np.array_equal(found._packed(), two._packed())
