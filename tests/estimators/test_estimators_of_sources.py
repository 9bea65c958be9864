"""Estimators on sources: the bits of a fit of the arrays, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor, data
from numpy.testing import assert_array_equal

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
RNG = np.random.default_rng(3)
N = 157
X = RNG.normal(size=(N, 4))
NUMBER = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
NAMES = np.array(["a", "bb", "ccc"])[NUMBER]
SEVERAL = (X[:, :2] > 0).astype(int)
WEIGHT = RNG.integers(0, 3, N).astype(float)
WEIGHT[30:60] = 0  # a whole block of 30
OPTIONS = {"hidden_layer_sizes": (5,), "max_iter": 4, "batch_size": 20, "shuffle": False}


class Blocks:
    """An object with ``len`` and ``[i]`` that knows nothing else."""

    def __init__(self, *parts):
        self.parts = parts

    def __len__(self):
        return -(-N // 30)

    def __getitem__(self, i):
        return tuple(part[30 * i : 30 * i + 30] for part in self.parts)


def fitted(kind, *args, given=None, **options):
    model = kind(**{**OPTIONS, "random_state": 1, **options})
    return model.fit(*args, **(given or {}))


def assert_same(model, expected):
    for have, want in zip(
        model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True
    ):
        assert_array_equal(have, want)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-12)
    assert (model.t_, model.n_iter_) == (expected.t_, expected.n_iter_)


@pytest.mark.parametrize(
    ("y", "weight", "options"),
    [
        (NAMES, None, {}),
        (NAMES, WEIGHT, {"class_weight": "balanced"}),
        (NUMBER > 0, WEIGHT, {"class_weight": {False: 0.0, True: 2.0}, "solver": "sgd"}),
        (SEVERAL, None, {"batch_size": "auto", "schedule": "one_cycle"}),
        (NUMBER, None, {"dtype": np.float32, "loss": "multiclass_hinge"}),
    ],
)
def test_a_classifier_makes_the_steps_of_the_arrays(y, weight, options):
    parts = (X, y) if weight is None else (X, y, weight)
    expected = fitted(MLPClassifier, *parts, **options)
    for source in (Blocks(*parts), data.arrays(*parts, block_rows=41, buffer=2)):
        model = fitted(MLPClassifier, source, **options)
        assert_same(model, expected)
        assert_array_equal(model.classes_, expected.classes_)
        assert_array_equal(model.predict(source), expected.predict(X))


@pytest.mark.parametrize("y", [X[:, 0] * X[:, 1], X[:, :2] ** 2], ids=["one", "two"])
def test_a_regressor_makes_the_steps_of_the_arrays(y):
    expected = fitted(MLPRegressor, X, y)
    model = fitted(MLPRegressor, Blocks(X, y.reshape(N, -1)))
    assert_same(model, expected)
    out = np.empty(y.shape)
    assert model.predict(Blocks(X), out=out) is out
    assert_array_equal(out, expected.predict(X))


def test_sparse_blocks_and_empty_ones():
    scipy = pytest.importorskip("scipy.sparse")
    rows = scipy.csr_array(X * (X > 0.3))
    model = fitted(MLPClassifier, data.arrays(rows, NAMES, block_rows=30))
    assert_same(model, fitted(MLPClassifier, rows, NAMES))
    rest, _ = data.arrays(X, NAMES, block_rows=2).split(0.3, random_state=0)
    kept = [rest[i] for i in range(len(rest))]
    assert min(len(y) for _, y in kept[1:]) == 0
    expected = fitted(
        MLPClassifier, np.concatenate([x for x, _ in kept]), np.concatenate([y for _, y in kept])
    )
    assert_same(fitted(MLPClassifier, rest), expected)


def test_validation_rows_may_be_a_source():
    arrays = {"X_val": X[:50], "y_val": NAMES[:50]}
    source = {"X_val": data.arrays(X[:50], NAMES[:50], block_rows=20)}
    options = {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 2}
    expected = fitted(MLPClassifier, X, NAMES, given=arrays, **options)
    for rows in ((X, NAMES), (Blocks(X, NAMES),)):
        model = fitted(MLPClassifier, *rows, given=source, **options)
        assert_same(model, expected)
        assert model.validation_scores_ == expected.validation_scores_


def test_shuffling_repeats_itself_and_probabilities_are_written():
    source = data.arrays(X, NAMES, block_rows=30, buffer=2)
    model, again = (fitted(MLPClassifier, source, shuffle=True) for _ in range(2))
    assert_same(model, again)
    assert (model.coefs_[0] != fitted(MLPClassifier, source).coefs_[0]).any()
    out = np.empty((N, 3))
    assert model.predict_proba(source, out=out) is out
    assert_array_equal(out, model.predict_proba(X))
    assert_array_equal(model.predict_proba(X, out=np.empty((N, 3))), out)
    with pytest.raises(ValueError, match="out has 3 rows, the source has more"):
        model.predict(source, out=np.empty(3, NAMES.dtype))


def test_classes_spare_the_pass_over_the_targets():
    blocks = [(X[i : i + 40], NAMES[i : i + 40]) for i in range(0, N, 40)]
    given = {"classes": ["ccc", "bb", "a"]}
    model = fitted(MLPClassifier, data.batches(blocks), given=given)
    assert_same(model, fitted(MLPClassifier, X, NAMES))
    with pytest.raises(ValueError, match=r"classes of y take a pass.*classes="):
        fitted(MLPClassifier, data.batches(blocks))
    with pytest.raises(ValueError, match=r"block 0 .*has classes not in"):
        fitted(MLPClassifier, Blocks(X, NAMES), given={"classes": ["a", "bb"]})


@pytest.mark.parametrize(
    ("source", "options", "given", "message"),
    [
        (Blocks(X, NAMES), {"solver": "lbfgs"}, {}, "solver='lbfgs' needs all rows in memory"),
        (Blocks(X, NAMES), {"early_stopping": True}, {}, "with a source give X_val"),
        (Blocks(X, NAMES), {}, {"sample_weight": WEIGHT}, "sample_weight is for arrays"),
        (Blocks(X, NAMES), {"scoring": "f1"}, {"X_val": Blocks(X, NAMES)}, "scoring needs the"),
        (Blocks(X), {}, {}, "block 0 of the Blocks: a block to train on is"),
        (data.batches(iter([(X, NAMES)])), {}, {}, "gone through once: train with max_iter=1"),
        (Blocks(np.where(X > 2.4, np.nan, X), NAMES), {}, {}, r"block \d .*NaN"),
        (Blocks(X, SEVERAL), {}, {"classes": [0, 1]}, "classes is for one label a row"),
    ],
)
def test_what_does_not_go_with_a_source_is_named(source, options, given, message):
    with pytest.raises(ValueError, match=message):
        fitted(MLPClassifier, source, given=given, **options)
    with pytest.raises(ValueError, match="classes is for a source"):
        fitted(MLPClassifier, X, NAMES, given={"classes": NAMES})
