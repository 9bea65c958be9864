"""Labels and tables as people have them: of pandas, polars, pyarrow, and odd arrays."""

from __future__ import annotations

import datetime
import io
from decimal import Decimal

import fastmlp
import numpy as np
import pytest
from fastmlp.estimators import _labels

N = 24
X = np.random.default_rng(0).normal(size=(N, 3))
TWO = ["a", "b"] * (N // 2)


def classifier(**options):
    return fastmlp.MLPClassifier((3,), solver="lbfgs", max_iter=200, tol=1e-2, alpha=1, **options)


def labels():
    """Labels by name; those of pandas and polars where they are installed."""
    numbers = [1, 2] * (N // 2)
    yield "list of str", TWO
    yield "objects that are str", np.array(TWO, object)
    yield "big-endian integers", np.array(numbers, ">i8")
    yield "big-endian floats", np.array(numbers, ">f8")
    yield "big-endian str", np.array(TWO, ">U1")
    yield "int8", np.array(numbers, "i1")
    yield "float32", np.array(numbers, "f4")
    yield "bool", np.array(numbers) == 1
    yield "column of str", np.array(TWO)[:, None]
    try:
        import pandas as pd
    except ImportError:
        return
    for kind in (None, object, "string", "category"):
        yield f"pandas {kind}", pd.Series(TWO, dtype=kind)
    for kind in ("Int64", "category", "int32"):
        yield f"pandas numbers {kind}", pd.Series(numbers, dtype=kind)
    yield "pandas boolean", pd.Series([True, False] * (N // 2), dtype="boolean")
    try:
        import polars as pl
    except ImportError:
        return
    yield "polars", pl.Series(TWO)
    yield "polars categories", pl.Series(TWO, dtype=pl.Categorical)


@pytest.mark.filterwarnings("ignore:A column-vector y:UserWarning")
@pytest.mark.parametrize(("name", "y"), [pytest.param(*pair, id=pair[0]) for pair in labels()])
def test_classes_are_scikit_learns(name, y):
    theirs = pytest.importorskip("sklearn.neural_network")
    ours = classifier(random_state=0).fit(X, y)
    expected = theirs.MLPClassifier(
        (3,), solver="lbfgs", max_iter=200, tol=1e-2, alpha=1, random_state=0
    ).fit(X, y)
    assert ours.classes_.dtype == expected.classes_.dtype
    np.testing.assert_array_equal(ours.classes_, expected.classes_)
    np.testing.assert_array_equal(ours.predict(X), expected.predict(X))
    assert ours.predict(X).dtype == expected.predict(X).dtype
    assert ours.score(X, y) == expected.score(X, y)
    file = io.BytesIO()
    np.save(file, ours.classes_)
    file.seek(0)
    np.testing.assert_array_equal(np.load(file), ours.classes_)  # without allow_pickle


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (np.array([1, 2] * (N // 2), object), ValueError, "Unknown label type"),
        (np.array([True, False] * (N // 2), object), ValueError, "Unknown label type"),
        (np.array([1, "b"] * (N // 2), object), TypeError, "int"),
        (np.array(["a", None] * (N // 2), object), TypeError, "None"),
        (np.ma.masked_array([1, 2] * (N // 2), mask=[0, 1] * (N // 2)), TypeError, "masked"),
    ],
)
def test_labels_that_are_refused(y, error, words):
    theirs = pytest.importorskip("sklearn.neural_network")
    if words != "masked":  # where a mask is lost in silence
        with pytest.raises((TypeError, ValueError)):
            theirs.MLPClassifier((3,)).fit(X, y)
    for model in (classifier(), fastmlp.MLPClassifier((3,), early_stopping=True)):
        with pytest.raises(error, match=words):
            model.fit(X, y)
        assert not hasattr(model, "coefs_")
    with pytest.raises(error, match=words):
        fastmlp.MLPClassifier((3,)).partial_fit(X, np.array(TWO), classes=y[:2])


def test_labels_of_partial_fit_and_validation_are_read_alike():
    y = np.array(TWO, object)
    model = fastmlp.MLPClassifier((3,), random_state=0)
    model.partial_fit(X, y, classes=np.array(["b", "a"], object)).partial_fit(X, TWO, classes=TWO)
    assert model.classes_.dtype.kind == "U"
    model = fastmlp.MLPClassifier((3,), max_iter=2, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, TWO, X_val=X, y_val=y)
    assert len(model.validation_scores_) == 2


def pandas_frames():
    """Frames, and the numbers that they are."""
    pd = pytest.importorskip("pandas")
    a = X[:, 0]
    k = (a > 0).astype(int)
    expected = np.column_stack([a, k])
    for name, column in (
        ("bool", a > 0),
        ("nullable integers", pd.array(k, dtype="Int64")),
        ("nullable booleans", pd.array(a > 0, dtype="boolean")),
        ("nullable floats", pd.array(k, dtype="Float32")),
        ("categories", pd.Series(k).astype("category")),
        ("objects", pd.Series(k, dtype=object)),
        ("decimals", pd.Series([Decimal(int(v)) for v in k], dtype=object)),
        ("text", [str(v) for v in k]),
        ("small integers", k.astype("i1")),
    ):
        yield name, pd.DataFrame({"a": a, "k": column}), expected
    twice = pd.DataFrame(np.column_stack([a, k]), columns=["a", "a"]).astype({"a": "Float64"})
    yield "names that occur twice", twice, expected
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return
    frame = pd.DataFrame({"a": a, "k": a > 0})
    yield "pyarrow", frame.convert_dtypes(dtype_backend="pyarrow"), expected


def other_frames():
    a, expected = X[:, 0], np.column_stack([X[:, 0], X[:, 0] > 0])
    for module, make in (
        ("polars", "DataFrame"),
        ("pyarrow", "table"),
        ("pyarrow", "record_batch"),
    ):
        try:
            table = getattr(__import__(module), make)
        except ImportError:
            continue
        yield module, table({"a": a, "k": a > 0}), expected


def test_every_entry_point_reads_tables_alike():
    y = X[:, 1]
    for name, frame, numbers in (*pandas_frames(), *other_frames()):
        net = fastmlp.MLP([2, 3, 1], random_state=0, dtype=np.float64)
        same = fastmlp.MLP([2, 3, 1], random_state=0, dtype=np.float64)
        net.fit(frame, y, epochs=1, validation_data=(frame, y))
        same.fit(numbers, y, epochs=1)
        np.testing.assert_array_equal(net.predict(frame), same.predict(numbers), err_msg=name)
        if "twice" in name:
            continue  # scikit-learn's names of features differ
        model = fastmlp.MLPRegressor(hidden_layer_sizes=(3,), random_state=0)
        model.partial_fit(frame, y)
        flat = fastmlp.MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(numbers, y)
        np.testing.assert_array_equal(model.predict(frame), flat.predict(numbers), err_msg=name)


def refused():
    pd = pytest.importorskip("pandas")
    day = [datetime.datetime(2020, 1, 1 + i) for i in range(N)]
    colour = ["red", "blue"] * (N // 2)
    yield pd.DataFrame({"a": X[:, 0], "colour": colour}), ValueError, "colour.*'red'"
    yield (
        pd.DataFrame({"colour": pd.Series(colour, dtype="category")}),
        *(ValueError, "colour.*'red'"),
    )
    yield pd.DataFrame({"a": X[:, 0], "day": day}), TypeError, "'day'.*dates"
    yield pd.DataFrame({"t": pd.to_timedelta(range(N), unit="s")}), TypeError, "'t'.*dates"
    yield pd.DataFrame({"things": [[1]] * N}), TypeError, "'things'"
    yield np.array(day, "M8[D]")[:, None], TypeError, "datetime64"
    yield np.ones((N, 1), "m8[s]"), TypeError, "timedelta64"
    yield np.ma.masked_array(X[:, :1], mask=X[:, :1] > 0), TypeError, "masked"
    pl = pytest.importorskip("polars")
    yield pl.DataFrame({"a": X[:, 0], "colour": colour}), ValueError, "colour.*'red'"
    yield pl.DataFrame({"day": [d.date() for d in day]}), TypeError, "'day'.*dates"
    pa = pytest.importorskip("pyarrow")
    yield pa.table({"a": X[:, 0], "colour": colour}), ValueError, "colour.*'red'"
    yield pa.table({"day": [d.date() for d in day]}), TypeError, "'day'.*dates"


def test_what_is_no_number_is_refused_by_its_column():
    y = X[:, 1]
    for x, error, words in refused():
        net = fastmlp.MLP([x.shape[1], 3, 1])
        for call in (
            lambda: fastmlp.MLPRegressor(hidden_layer_sizes=(3,)).fit(x, y),  # noqa: B023
            lambda: net.fit(x, y),  # noqa: B023
            lambda: net.predict(x),  # noqa: B023
        ):
            with pytest.raises(error, match=words):
                call()


def test_missing_values_of_tables_are_nan():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"k": pd.array([None, *[1] * (N - 1)], dtype="Int64"), "a": X[:, 0]})
    net = fastmlp.MLP([2, 3, 1])
    assert np.isnan(net.predict(frame)[0, 0])
    with pytest.raises(ValueError, match="nan at index"):
        net.fit(frame, X[:, 1])
    with pytest.raises(ValueError, match="NaN"):
        fastmlp.MLPRegressor(hidden_layer_sizes=(3,)).fit(frame, X[:, 1])


def test_names_of_features_are_kept():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    frame = pd.DataFrame({"a": X[:, 0], "flag": X[:, 0] > 0})
    model = fastmlp.MLPRegressor(hidden_layer_sizes=(3,)).partial_fit(frame, X[:, 1])
    assert model.feature_names_in_.tolist() == ["a", "flag"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"flag": "k"}))


@pytest.mark.parametrize("name", ["y", "sample_weight"])
def test_masked_arrays_are_refused_wherever_they_come(name):
    masked = np.ma.masked_array(np.ones(N), mask=np.arange(N) < 2)
    arguments = {"y": X[:, 1], name: masked}
    for model in (
        fastmlp.MLPRegressor(hidden_layer_sizes=(3,)),
        fastmlp.MLP([3, 3, 1]),
    ):
        with pytest.raises(TypeError, match=f"{name} is a masked array"):
            model.fit(X, **arguments)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i4", "i8", "u8", "b1"])
def test_labels_are_found_whatever_their_range(dtype):
    """Numbers that are counted give what sorting gives, of the same type."""
    rng = np.random.default_rng(0)
    ends = (0, 1) if dtype == "b1" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    cases = [np.array(ends, dtype), np.array(ends[:1], dtype), rng.integers(0, 2, 50).astype(dtype)]
    if dtype != "b1":
        cases.append(rng.integers(3, 90, 200).astype(dtype))
        cases.append(np.resize(np.arange(ends[0], ends[0] + 100, 7).astype(dtype), 300))
    for labels in (*cases, *(np.resize(labels, 600) for labels in cases)):  # few, and many
        found, expected = _labels.distinct(labels), np.unique(labels)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["i8", "u1", "f8", "bool"])
@pytest.mark.parametrize("classes", [[0, 1, 2], [0, 2, 3], [1, 2, 3], [0, 1], [0]])
def test_labels_are_found_among_the_classes(dtype, classes):
    """Also where they are their own positions, and in a later call of another type."""
    classes = np.array(classes)
    labels = np.tile(classes, 3).astype(dtype)
    known = np.unique(labels) if dtype == "bool" else classes
    found = _labels.indices(labels, known)
    assert found.dtype == np.intp
    assert np.array_equal(known[found], labels)
