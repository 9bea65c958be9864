"""Files that change, or are damaged, while a network is trained on them: a sentence, no crash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastmlp import MLP, data
from numpy.testing import assert_array_equal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3)).astype("f")
Y = X[:, 0].copy()
MEMORY = "40 KB"


def npy():
    np.save("X.npy", X)
    np.save("y.npy", Y)
    return data.npy("X.npy", "y.npy", memory=MEMORY)


def csv():
    for k in range(4):
        rows = [",".join(map(str, [*x, y])) for x, y in zip(X[k::4], Y[k::4], strict=True)]
        Path(f"{k}.csv").write_text("\n".join(["a,b,c,y", *rows]))
    return data.csv(".", "y", block_bytes=1000, memory=MEMORY)


def parquet(names="abc"):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    for k in range(4):
        columns = {name: X[k::4, i] for i, name in enumerate(names if k == 2 else "abc")}
        table = pyarrow.table({**columns, "y": Y[k::4]})
        library.write_table(table, f"{k}.parquet", row_group_size=25)
    return data.parquet(".", "y", memory=MEMORY)


def zarr():
    library = pytest.importorskip("zarr")
    group = library.open("z.zarr", mode="w")
    group.create_array("X", data=X, chunks=(25, 3))
    group.create_array("y", data=Y, chunks=(25,))
    return data.zarr("z.zarr", block_rows=25, memory=MEMORY)


def cut(name):
    with Path(name).open("r+b") as file:
        file.truncate(300)


def spoil(path):
    def act():
        (file,) = (place for place in Path(path).rglob("*") if place.is_file())
        file.write_bytes(b"rubbish")

    return act


@pytest.mark.parametrize(
    ("make", "happens", "words"),
    [
        (npy, lambda: cut("X.npy"), r"rows 0…\d+ of .*X.npy: the file has become shorter: 300 byt"),
        (csv, lambda: cut("2.csv"), r"of 2.csv: 2.csv has become shorter: 300 bytes"),
        (parquet, lambda: cut("2.parquet"), r"rows 0…24 of 2.parquet: 2.parquet is no readable"),
        (parquet, lambda: parquet("axc"), r"rows 0…24 of 2.parquet: there is no column 'b', but"),
        (zarr, spoil("z.zarr/X/c/7"), r"rows 175…199 of z.zarr: it cannot be read: "),
    ],
    ids=["map cut", "text cut", "parquet cut", "other columns", "chunk spoilt"],
)
def test_files_that_change_meanwhile(make, happens, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source, net, after = make(), MLP([3, 4, 1], random_state=0, n_threads=1), []

    def change(network, history):
        after.append(network.parameters.copy())
        if history.epochs == 2:
            happens()

    with pytest.raises(ValueError, match=words):
        net.fit(source, epochs=9, batch_size=16, shuffle=False, callbacks=change)
    assert 2 <= len(after) < 9
    # At the last finished step: that of an epoch, or of those before the bad block.
    assert np.isfinite(net.parameters).all()
    if make is npy:  # one buffer holds all blocks
        assert_array_equal(net.parameters, after[-1])


def test_lines_of_text_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    csv()
    lines = Path("2.csv").read_text().split("\n")
    lines[60] = "1,oops,1,1"
    Path("2.csv").write_text("\n".join(lines))
    source = data.csv(".", "y", block_bytes=1000)
    with pytest.raises(ValueError, match=r"2.csv, line 61, column 'b': expected a number, found"):
        MLP([3, 4, 1]).fit(source, epochs=1)


def test_a_damaged_hdf5_file_is_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "rows.h5"
    with h5py.File(path, "w") as file:
        file["X"], file["y"] = X, Y
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"rows.h5 cannot be read as HDF5"):
        data.hdf5(path)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.h5"):
        data.hdf5(tmp_path / "none.h5")


def test_an_exception_of_a_function_keeps_its_kind_and_names_the_block():
    def divide(x, y):
        raise ZeroDivisionError("by nothing")

    source = data.arrays(X, Y, block_rows=100).map(divide)
    with pytest.raises(ZeroDivisionError, match="by nothing") as caught:
        MLP([3, 4, 1]).fit(source, epochs=1)
    assert caught.value.__notes__ == ["in rows 0…99 of the arrays"]
