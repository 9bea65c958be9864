"""Random programs of calls, beside scikit-learn step by step.

A program makes an estimator and calls, copies and changes it; after each step everything that can
be seen is compared. A failure is shrunk, and printed with what reproduces it. The environment
variable ``FASTMLP_STATEFUL_EXAMPLES`` says how many programs are run.
"""

from __future__ import annotations

import copy
import os
import pickle
import warnings

import fastmlp
import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
hypothesis = pytest.importorskip("hypothesis")
sparse = pytest.importorskip("scipy.sparse")

from hypothesis import HealthCheck, Phase, assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from sklearn import base, neural_network  # noqa: E402

#: scikit-learn 1.8 asks of classes that are texts whether they are NaN, where it stops early.
TEXTS_STOP_EARLY = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 9)
EXAMPLES = int(os.environ.get("FASTMLP_STATEFUL_EXAMPLES", "60"))
RNG = np.random.default_rng(0)
# Exact in float32, so that only the arithmetic differs between dtypes.
X = np.round(RNG.normal(size=(24, 3)) * 64) / 64
TARGETS = {
    "binary": (X[:, 0] > 0).astype(int),
    "names": np.array(["no", "yes", "perhaps"])[np.arange(24) % 3],
    "labels": (np.abs(X) > 0.6).astype(int),
    "values": X[:, 0] - X[:, 1],
    "pairs": X[:, :2] + 0.5,
}
CONTAINERS = {
    "float64": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "list": lambda x: x.tolist(),
    "int": lambda x: np.round(4 * x).astype(int),
    "fortran": np.asfortranarray,
    "big-endian": lambda x: x.astype(">f8"),
    "sparse": sparse.csr_matrix,
}

containers = st.sampled_from(sorted(CONTAINERS))
parts = st.sampled_from([slice(None), slice(0, 12), slice(6, 24), slice(3, 24, 2)])
changes = st.one_of(
    st.tuples(st.just("alpha"), st.sampled_from([0.0, 1e-3, 0.1])),
    st.tuples(st.just("learning_rate_init"), st.sampled_from([1e-3, 0.02])),
    st.tuples(st.just("batch_size"), st.sampled_from(["auto", 5, 7])),
    st.tuples(st.just("max_iter"), st.integers(1, 4)),
    st.tuples(st.just("shuffle"), st.booleans()),
    st.tuples(st.just("warm_start"), st.booleans()),
    st.tuples(st.just("hidden_layer_sizes"), st.sampled_from([(4,), [4], (5,), (4, 3)])),
    st.tuples(st.just("random_state"), st.integers(0, 3)),
)
rates = st.tuples(
    st.sampled_from(["learning_rate", "learning_rate_init"]), st.sampled_from([1e-3, 0.05])
)
steps = st.one_of(
    st.tuples(st.just("fit"), containers),
    st.tuples(st.just("partial_fit"), containers, parts),
    st.tuples(st.just("partial_fit"), containers, parts),
    st.tuples(st.just("set_params"), changes),
    st.tuples(st.just("set_rate"), rates),
    st.tuples(st.just("duplicate"), st.sampled_from(["copy", "deepcopy", "pickle", "clone"])),
    st.tuples(st.just("cross over")),
    st.tuples(st.just("replace"), st.sampled_from(["float32", "float64", "in place"])),
)
beginnings = st.fixed_dictionaries(
    {
        "solver": st.sampled_from(["adam", "sgd"]),
        "activation": st.sampled_from(["tanh", "logistic", "identity"]),
        "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
        "momentum": st.sampled_from([0.0, 0.9]),
        "nesterovs_momentum": st.booleans(),
        "n_iter_no_change": st.sampled_from([1, 10]),
        "early_stopping": st.sampled_from([False, False, False, True]),
    }
)


class Pair:
    """An estimator of fastmlp and one of scikit-learn that have lived through the same."""

    def __init__(self, task, options):
        name = "MLPRegressor" if task in ("values", "pairs") else "MLPClassifier"
        options = {"hidden_layer_sizes": (4,), "random_state": 0, "max_iter": 3} | options
        self.ours = getattr(fastmlp, name)(**options)
        self.theirs = getattr(neural_network, name)(**options)
        self.y, self.classes = TARGETS[task], None
        if name == "MLPClassifier":
            self.classes = np.arange(3) if self.y.ndim == 2 else np.unique(self.y)
        self.made_with = None
        #: Whether something was float32 since the network was made.
        self.rough = False

    def each(self, call):
        self.ours, self.theirs = call(self.ours), call(self.theirs)

    def fit(self, container):
        goes_on = self.ours.warm_start and hasattr(self.ours, "coefs_")
        # Two of the documented deviations: another size, and the best parameters of a warm start.
        if self._refused(goes_on, "fit", X, self.y) or (goes_on and self.ours.early_stopping):
            return
        self.rough = container == "float32" or (goes_on and self.rough)
        self.each(lambda m: m.fit(CONTAINERS[container](X), self.y))

    def partial_fit(self, container, part):
        x, y = CONTAINERS[container](X[part]), self.y[part]
        classes = {} if self.classes is None else {"classes": self.classes}
        if self.ours.early_stopping or self._refused(
            hasattr(self.ours, "coefs_"), "partial_fit", x, y
        ):
            return
        self.rough = self.rough or container == "float32"
        self.each(lambda m: m.partial_fit(x, y, **classes))

    def _refused(self, goes_on, name, x, y):
        """Whether ours refuses to go on with other sizes, of which theirs only sees the depth."""
        sizes = tuple(self.ours.hidden_layer_sizes)
        if not goes_on:
            self.made_with = sizes
        if sizes == self.made_with:
            return False
        with pytest.raises(ValueError, match="hidden_layer_sizes"):
            getattr(self.ours, name)(x, y)
        return True

    def set_params(self, change):
        self.each(lambda m: m.set_params(**dict([change])))

    def set_rate(self, assignment):
        if hasattr(self.ours, "_optimizer"):
            for model in (self.ours, self.theirs):
                setattr(model._optimizer, *assignment)

    def duplicate(self, how):
        self.each(
            {
                "copy": copy.copy,
                "deepcopy": copy.deepcopy,
                "pickle": lambda m: pickle.loads(pickle.dumps(m)),
                "clone": base.clone,
            }[how]
        )

    def cross_over(self):
        """Each becomes the other by the package's conversions."""
        if hasattr(self.ours, "coefs_"):
            ours = fastmlp.from_sklearn(self.theirs)
            self.theirs, self.ours = self.ours.to_sklearn(), ours

    def replace(self, how):
        if not hasattr(self.ours, "coefs_"):
            return
        self.rough = self.rough or how == "float32"
        for model in (self.ours, self.theirs):
            for arrays in (model.coefs_, model.intercepts_):
                for i, array in enumerate(arrays):
                    if how == "in place":
                        array *= 0.5
                    else:
                        arrays[i] = array.astype(how)

    def compare(self):
        ours, theirs = self.ours, self.theirs
        assert hasattr(ours, "coefs_") == hasattr(theirs, "coefs_")
        if not hasattr(ours, "coefs_"):
            return
        close = {"rtol": 2e-3, "atol": 2e-4} if self.rough else {"rtol": 1e-7, "atol": 1e-9}
        for name in ("coefs_", "intercepts_"):
            for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, **close)
        assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_)
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, **close)
        predict = "predict" if self.classes is None else "predict_proba"
        a, b = (getattr(m, predict)(X) for m in (ours, theirs))
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, **close)
        assert ours._optimizer.learning_rate == pytest.approx(theirs._optimizer.learning_rate)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
@given(st.sampled_from(sorted(TARGETS)), beginnings, st.lists(steps, min_size=2, max_size=8))
def test_programs_run_beside_scikit_learn(task, options, program):
    assume(TEXTS_STOP_EARLY or task != "names" or not options["early_stopping"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pair = Pair(task, options)
        for name, *arguments in program:
            getattr(pair, name.replace(" ", "_"))(*arguments)
            pair.compare()
