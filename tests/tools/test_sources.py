"""Sources of every kind of file: the rows that were written, in blocks; what is wrong is placed."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from fastmlp import MLP, data
from numpy.testing import assert_array_equal

N = 900
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
COLUMNS = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y}


def parquet(path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table(COLUMNS)
    pq.write_table(table.slice(0, 500), path / "1.parquet", row_group_size=200)
    pq.write_table(table.slice(500), path / "2.parquet", row_group_size=200)
    return data.parquet(path, "y")


def arrow(path):
    pa = pytest.importorskip("pyarrow")
    return data.arrow(pa.table(COLUMNS), "y")


def dataset(path):
    parquet(path)
    return data.arrow(importlib.import_module("pyarrow.dataset").dataset(path), "y")


def lazy_frame(path):
    polars = pytest.importorskip("polars")
    return data.query(polars.LazyFrame(COLUMNS), "y", block_rows=200)


def duckdb(path):
    pa, duckdb = pytest.importorskip("pyarrow"), pytest.importorskip("duckdb")
    relation = duckdb.connect().from_arrow(pa.table(COLUMNS))
    return data.query(relation, "y", block_rows=200)


def npy(path):
    np.save(path / "X.npy", X)
    np.save(path / "y.npy", Y)
    return data.npy(path / "X.npy", path / "y.npy", block_rows=200)


def hdf5(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "d.h5", "w") as file:
        file["X"], file["y"] = X, Y
    return data.hdf5(path / "d.h5", block_rows=200)


def zarr(path):
    group = pytest.importorskip("zarr").open(path / "z", mode="w")
    group["X"], group["y"] = X, Y
    return data.zarr(path / "z", block_rows=200)


def csv(path):
    lines = [",".join(map(repr, [*map(float, x), int(y)])) for x, y in zip(X, Y, strict=True)]
    (path / "t.csv").write_text("\n".join(["a,b,c,y", *lines]))
    return data.csv(path / "t.csv", "y", block_bytes=12_000)


KINDS = [parquet, arrow, dataset, lazy_frame, duckdb, npy, hdf5, zarr, csv]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_source_gives_the_rows_that_were_written(kind, tmp_path):
    source = kind(tmp_path)
    blocks = [source[i] for i in range(len(source))]
    assert_array_equal(np.concatenate([np.asarray(x, np.float32) for x, _ in blocks]), X)
    assert_array_equal(np.concatenate([y for _, y in blocks]), Y)
    if kind is not csv:
        assert source.n_rows == N
        assert [source.rows(i) for i in range(len(source))] == [len(y) for _, y in blocks]
    assert kind is arrow or len(blocks) > 3
    assert source.place(0)


def test_a_network_is_trained_on_a_folder_of_files(tmp_path):
    source, net = parquet(tmp_path), MLP([3, 4, 2], output="softmax", random_state=0)
    rest, held_out = source.split(0.2, random_state=0)
    history = net.fit(
        rest, epochs=9, learning_rate=0.03, validation_data=held_out, metrics="accuracy"
    )
    assert history.metrics["validation_accuracy"][-1] > 0.9


def test_columns_are_chosen_and_weights_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({**COLUMNS, "w": np.arange(N)})
    source = data.arrow(table, ["a", "c"], features=["b"], sample_weight="w")
    x, y, weight = source[0]
    assert_array_equal(x, X[:, 1:2])
    assert_array_equal(y, X[:, [0, 2]])
    assert_array_equal(weight, np.arange(N))
    with pytest.raises(ValueError, match="has no column 'd'; it has"):
        data.arrow(table, "d")


@pytest.mark.parametrize("by", ["rows", "blocks"])
def test_a_split_deals_every_row_once(by):
    source = data.arrays(X, np.arange(N), block_rows=50)
    rest, part = source.split(0.3, random_state=1, by=by)
    again = source.split(0.3, random_state=1, by=by)[1]
    numbers = [np.concatenate([y for _, y in s.blocks()]) for s in (rest, part, again)]
    assert_array_equal(np.sort(np.concatenate(numbers[:2])), np.arange(N))
    assert_array_equal(numbers[1], numbers[2])
    assert len(numbers[1]) == part.n_rows
    assert abs(part.n_rows - 0.3 * N) < 60
    with pytest.raises(ValueError, match="share must lie between 0 and 1"):
        source.split(1.0)


def test_a_function_changes_blocks():
    source = data.arrays(X, Y, block_rows=200)
    doubled = source.map(lambda x, y: (2 * x, y))
    assert_array_equal(doubled[1][0], 2 * X[200:400])
    assert doubled.n_rows == N
    positive = source.map(lambda x, y: (x[y > 0], y[y > 0]), same_rows=False)
    assert positive.n_rows is None
    net = MLP([3, 2], output="softmax", random_state=0)
    chosen = MLP([3, 2], output="softmax", random_state=0)
    net.fit(positive, shuffle=False)
    chosen.fit(X[Y > 0], Y[Y > 0], shuffle=False)
    assert_array_equal(net.parameters, chosen.parameters)
    with pytest.raises(ValueError, match="rows 0…199 of the arrays: 200 rows were announced"):
        net.fit(source.map(lambda x, y: (x[y > 0], y[y > 0])), shuffle=False)


def test_files_that_go_or_shrink_are_named(tmp_path):
    source = parquet(tmp_path)
    net = MLP([3, 4, 2], output="softmax", random_state=0)
    os.truncate(tmp_path / "2.parquet", 500)
    with pytest.raises(ValueError, match=r"rows 0…199 of .*2.parquet.*no readable Parquet file"):
        net.fit(source, shuffle=False)
    (tmp_path / "2.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"rows 0…199 of .*2.parquet is not there"):
        net.fit(source, shuffle=False)
    with pytest.raises(FileNotFoundError, match="not there"):
        data.parquet(tmp_path / "3.parquet", "y")
    source = csv(tmp_path)
    os.truncate(tmp_path / "t.csv", 20_000)
    with pytest.raises(ValueError, match="has become shorter"):
        net.fit(source, shuffle=False)


def test_text_is_read_as_the_first_block_was(tmp_path):
    rows = [f"{i % 3},{'red' if i % 2 else 'blue'},{'yes' if i % 5 else 'no'}" for i in range(400)]
    (tmp_path / "t.csv").write_text("\n".join(["n,colour,y", *rows]))
    source = data.csv(tmp_path / "t.csv", "y", block_bytes=1000)
    assert len(source) > 3
    assert source.target_names == ("no", "yes")
    assert [f for column in source.columns for f in column.feature_names][1:] == [
        "colour=blue",
        "colour=red",
    ]
    with (tmp_path / "t.csv").open("a") as file:
        file.write("\n1,red,perhaps\n")
    source = data.csv(tmp_path / "t.csv", "y", block_bytes=1000)
    with pytest.raises(ValueError, match="'perhaps' is none of the classes"):
        MLP([3, 2], output="softmax").fit(source, shuffle=False)


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("h5py", lambda: data.hdf5("d.h5")),
        ("zarr", lambda: data.zarr("z")),
        ("pyarrow.parquet", lambda: data.parquet("f.parquet", "y")),
    ],
)
def test_a_missing_library_is_named(module, make, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=f"pip install {module.partition('.')[0]}"):
        make()


def test_memory_maps_do_not_stay_in_memory(tmp_path):
    source = npy(tmp_path)
    smaps = Path("/proc/self/smaps")
    if not smaps.exists():
        pytest.skip("the system does not say which pages are resident")
    for _ in source.blocks():
        pass
    lines = iter(smaps.read_text().split("\n"))
    for line in lines:
        if line.endswith("X.npy"):
            rss = next(text for text in lines if text.startswith("Rss:"))
            assert int(rss.split()[1]) == 0
            return
    pytest.fail("the memory map was not found")
