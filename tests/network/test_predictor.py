"""Predictors: the bits of ``predict``, whatever happens to their network, shared by threads."""

import pickle
import threading

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, MLPRegressor, Predictor, kernels

SIZES = {"narrow": (10, 10, 1), "odd": (37, 53, 29, 5), "wide": (130, 300, 17)}


def network(shape, dtype, activation="tanh", output="identity"):
    return MLP(SIZES[shape], activation, output, dtype=dtype, random_state=0, n_threads=2)


@pytest.fixture(autouse=True, params=kernels.available())
def backend(request):
    with kernels.use_backend(request.param):
        yield request.param


@pytest.mark.covers("backend", "shape", "dtype", "n")
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 16, 33, 200, 700])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SIZES)
def test_bits_of_predict(backend, shape, dtype, n):
    net = network(shape, dtype, output="softmax" if shape == "odd" else "identity")
    x = np.random.default_rng(n).standard_normal((n, SIZES[shape][0])).astype(dtype)
    predict, want = net.predictor(), net.predict(x)
    out = np.full_like(want, np.nan)
    assert predict(x, out=out) is out
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(predict(x), want)
    if n and backend != "reference":  # a row does not depend on those beside it
        np.testing.assert_array_equal(predict(x[n // 2 : n // 2 + 1])[0], want[n // 2])


@pytest.mark.covers("backend", "kind")
@pytest.mark.parametrize("kind", ["float64", "int8", "bool", "list", "csr", "columns"])
def test_rows_of_other_kinds_are_read_in_blocks(backend, kind, monkeypatch):
    net = network("odd", "float32", "relu")
    dense = np.random.default_rng(1).integers(0, 2, (300, 37)).astype("float32")
    want = net.predict(dense)
    monkeypatch.setattr("fastmlp._network.blocks.CONVERTED", 37 * 70)
    rows = {
        "list": dense.tolist,
        "columns": lambda: np.asfortranarray(dense),
        "csr": lambda: pytest.importorskip("scipy.sparse").csr_array(dense),
    }.get(kind, lambda: dense.astype(kind))()
    for found in (net.predict(rows), net.predictor()(rows, out=np.empty_like(want))):
        if kind == "csr" or backend == "reference":  # other sums
            np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(found, want)


def test_a_predictor_stays_as_it_was_made():
    net = network("odd", "float64")
    x = np.ones((20, 37))
    predict, before = net.predictor(), net.predict(x)
    net.parameters[:] += 1
    np.testing.assert_array_equal(predict(x), before)
    assert not predict.parameters.flags.writeable
    with pytest.raises(AttributeError):
        predict.extra = 1
    again = pickle.loads(pickle.dumps(predict))
    np.testing.assert_array_equal(again(x), before)
    assert isinstance(again, Predictor)
    assert again.dtype == np.float64
    assert again.architecture == net.architecture


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_begin_with_a_cache_line(dtype, tmp_path):
    """Vectors of large weights, which few rows read as they lie, then lie in one line each."""
    net = network("wide", dtype)
    net.save(tmp_path / "net.safetensors")
    for made in (net, MLP.load(tmp_path / "net.safetensors")):
        assert made.parameters.__array_interface__["data"][0] % 64 == 0
    for shape in SIZES:
        flat = network(shape, dtype).architecture.zeros(dtype)
        assert (flat.shape, flat.dtype) == (network(shape, dtype).parameters.shape, dtype)
        assert not flat.any()
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got int32"):
        net.architecture.zeros("int32")


def test_threads_share_one():
    net = network("odd", "float32")
    predict = net.predictor()
    xs = [
        np.random.default_rng(i).standard_normal((40 + i, 37)).astype("float32") for i in range(4)
    ]
    wants = [net.predict(x) for x in xs]
    wrong = []

    def work(x, want):
        out = np.empty_like(want)
        for _ in range(30):
            out[...] = np.nan
            if not np.array_equal(predict(x, out=out), want):
                wrong.append(x.shape)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(xs, wants, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_errors_name_what_came():
    predict = network("narrow", "float32").predictor()
    x = np.zeros((3, 10), "float32")
    with pytest.raises(
        ValueError, match=r"X must have shape \(n, 10\) for this network, got \(3, 9\)"
    ):
        predict(x[:, :9])
    with pytest.raises(ValueError, match=r"out must have shape \(3, 1\), got \(2, 1\)"):
        predict(x, out=np.empty((2, 1), "float32"))
    with pytest.raises(ValueError, match="out"):
        predict(x.astype("float64"), out=np.empty((2, 1), "float32"))
    with pytest.raises(ValueError, match="share memory"):
        predict(x, out=x.reshape(-1)[:3, None])
    with pytest.raises(TypeError, match="real numbers"):
        predict([["a"] * 10])


def test_plain_rows_are_those_that_need_no_look(backend):
    """What is not plain is left to the checks, which say what is wrong or convert it."""
    net = kernels.network(kernels.Architecture((6, 9, 2), ("tanh",), "identity"), "float32")
    random = np.random.default_rng(0)
    flat = random.standard_normal(net.architecture.n_parameters).astype("float32")
    x = random.standard_normal((5, 6)).astype("float32")
    want, packed, out = net.predict(flat, x), net.pack(flat), np.empty((5, 2), "float32")
    for parameters in (flat, packed):
        np.testing.assert_array_equal(net.predict_plain(parameters, x, 30), want)
        assert net.predict_plain(parameters, x, 30, out) is out
        np.testing.assert_array_equal(out, want)
        for not_plain in (x[0], x[:, :5], x.astype("float64"), x.tolist(), x.astype(">f4"), None):
            assert net.predict_plain(parameters, not_plain, 30) is None
        assert net.predict_plain(parameters, x, 29) is None
        for not_plain in (out[:4], out.astype("float64"), out.tolist()):
            assert net.predict_plain(parameters, x, 30, not_plain) is None
    other = kernels.network(kernels.Architecture((6, 9, 2), ("relu",), "identity"), "float32")
    assert other.predict_plain(flat[1:], x, 30) is None


def test_out_is_checked_in_every_call(backend):
    """Also where calls of this shape have been prepared."""
    predict = network("narrow", "float32").predictor()
    x = np.random.default_rng(0).standard_normal((3, 10)).astype("float32")
    expected, before = predict(x), x.copy()
    read_only = np.empty((3, 1), "float32")
    read_only.flags.writeable = False
    for out, error, message in (
        (x.reshape(-1)[:3, None], ValueError, "share memory"),
        (read_only, ValueError, "read-only"),
        (np.empty((6, 1), "float32")[::2], ValueError, "C-contiguous"),
        (np.empty((3, 2), "float32"), ValueError, "shape"),
        (np.empty((3, 1)), TypeError, "float32"),
    ):
        predict(x)
        with pytest.raises(error, match=message):
            predict(x, out=out)
    np.testing.assert_array_equal(x, before)
    out = np.empty((3, 1), "float32")
    for _ in range(2):
        out.fill(7)
        assert predict(x, out=out) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_estimators_have_them():
    x = np.random.default_rng(0).standard_normal((60, 4))
    regressor = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    with pytest.raises(ValueError, match="not fitted"):
        regressor.predictor()
    regressor.fit(x, x[:, 0])
    np.testing.assert_array_equal(regressor.predictor()(x)[:, 0], regressor.predict(x))
    classifier = MLPClassifier(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    classifier.fit(x, np.arange(60) % 3)
    np.testing.assert_array_equal(classifier.predictor()(x), classifier.predict_proba(x))


@pytest.mark.covers("backend", "n", "shape")
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 12, 13])
@pytest.mark.parametrize("shape", SIZES)
def test_a_few_rows_of_any_layout(backend, shape, n):
    if backend == "reference":
        pytest.skip("its sums depend on the layout")
    net = network(shape, "float32", "relu", "softmax" if shape == "odd" else "sigmoid")
    x = np.random.default_rng(n).standard_normal((n, SIZES[shape][0])).astype("float32")
    x[np.abs(x) < 0.5] = 0
    want = np.concatenate([net.predict(row[None]) for row in x])
    layouts = (x, np.asfortranarray(x), x[::-1][::-1], np.repeat(x, 2, axis=0)[::2])
    for rows in (*layouts, x[:, ::-1].copy()[:, ::-1]):
        np.testing.assert_array_equal(net.predict(rows), want)
        np.testing.assert_array_equal(net.predictor()(rows), want)
    sparse = pytest.importorskip("scipy.sparse").csr_array(x)
    one_by_one = np.concatenate([net.predict(sparse[[i]]) for i in range(n)])
    np.testing.assert_array_equal(net.predict(sparse), one_by_one)
    np.testing.assert_allclose(one_by_one, want, rtol=1e-4, atol=1e-6)


@pytest.mark.covers("backend", "dtype", "n", "end")
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 12, 17, 23, 30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("end", [(520, 7), (643,)])
def test_rows_of_many_weights_are_shared_by_columns(backend, dtype, end, n):
    """Megabytes of weights: several threads read them, whatever is left of the last vector."""
    if backend == "reference":
        pytest.skip("its sums depend on the number of rows")
    sizes, output = (301, 530, 611, *end), "softmax" if len(end) == 1 else "identity"
    nets = [MLP(sizes, "tanh", output, dtype=dtype, random_state=0, n_threads=t) for t in (1, 2, 3)]
    random = np.random.default_rng(n)
    x = random.standard_normal((300, sizes[0])).astype(dtype)
    x[np.abs(x) < 0.3] = 0
    parameters = random.standard_normal(nets[0].parameters.shape) * 0.05
    for net in nets:
        net.parameters[...] = parameters
    want, sparse = nets[0].predict(x)[:n], pytest.importorskip("scipy.sparse").csr_array(x[:n])
    for net in nets:
        np.testing.assert_array_equal(net.predict(x[:n]), want)
        np.testing.assert_array_equal(net.predictor()(x[:n]), want)
        np.testing.assert_array_equal(net.predict(sparse), nets[0].predict(sparse))


@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_outputs_of_many_rows(backend, dtype, outputs):
    """Rows are taken in sets where outputs are few; each has the bits of a row alone."""
    if backend == "reference":
        pytest.skip("its sums depend on the number of rows")
    for sizes in ((20, 30, outputs), (300, outputs), (16, outputs)):
        net = MLP(sizes, "relu", dtype=dtype, random_state=0, n_threads=1)
        x = np.random.default_rng(outputs).standard_normal((75, sizes[0])).astype(dtype)
        want = np.concatenate([net.predict(x[i : i + 1]) for i in range(len(x))])
        np.testing.assert_array_equal(net.predict(x), want)
        np.testing.assert_array_equal(net.predictor()(x), want)


@pytest.mark.covers("backend", "layout")
@pytest.mark.parametrize("layout", ["backwards", "columns cut out", "pages apart", "one row"])
def test_rows_are_read_where_they_are(backend, layout):
    """Any strides give the bits of a copy: rows apart, the wrong way round, all in one place."""
    net = MLP([256, 40, 3], "relu", dtype="float32", random_state=0, n_threads=1)
    x = np.random.default_rng(2).standard_normal((90, 1024)).astype("float32")
    rows = {
        "backwards": x[::-1, :256],
        "columns cut out": x[:, 5:261],
        "pages apart": x[:, :256],
        "one row": np.broadcast_to(x[0, :256], (90, 256)),
    }[layout]
    predict = net.predictor()
    np.testing.assert_array_equal(predict(rows), predict(rows.copy()))
    np.testing.assert_array_equal(net.predict(rows), net.predict(rows.copy()))


@pytest.mark.parametrize("n", [3, 100])
def test_predict_writes_where_it_is_told(n):
    net = network("odd", "float32")
    x = np.random.default_rng(3).standard_normal((n, 37)).astype("float32")
    want = net.predict(x)
    for out in (
        np.empty((n, 5), "float32"),
        np.empty((n, 5)),
        np.empty((n, 10), "float32")[:, ::2],
    ):
        assert net.predict(x, out=out) is out
        np.testing.assert_array_equal(out, want.astype(out.dtype))
    part = x[:, :5]  # of the rows themselves: they are read before
    assert net.predict(x, out=part) is part
    np.testing.assert_array_equal(part, want)
    with pytest.raises(ValueError, match="out must have shape"):
        net.predict(x, out=np.empty((n, 4), "float32"))


def test_sparse_rows_of_another_dtype_are_converted_in_blocks(backend, monkeypatch):
    scipy = pytest.importorskip("scipy.sparse")
    net = network("odd", "float32", "relu")
    x = scipy.random(300, 37, 0.2, "csr", dtype="float64", random_state=0)
    want = net.predict(x.astype("float32"))
    monkeypatch.setattr("fastmlp._network.blocks.CONVERTED", 37 * 70)
    near = 1e-6 if backend == "reference" else 0  # other sums for other numbers of rows
    np.testing.assert_allclose(net.predict(x), want, rtol=0, atol=near)
