"""Small files of data for the tests of readers."""

import csv
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from fastmlp.cli import main

TABLE = "size,colour,price\n1.5,red,10\n2,blue,12.5\n-3e1,red,11\n4,green,9\n"


def idx(array, type_code=8):
    array = np.asarray(array, np.uint8)
    header = bytes([0, 0, type_code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_idx_folder(folder, *, dotted=False, zipped=False, n_train=7, n_test=3):
    """A folder of tiny images, in any of the spellings; returns the arrays by file stem."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (n_train, 4, 5)),
        "train-labels-idx1-ubyte": rng.integers(0, 10, n_train),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (n_test, 4, 5)),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, n_test),
    }
    for stem, array in arrays.items():
        name = stem.replace("-idx", ".idx") if dotted else stem
        content = idx(array)
        if zipped:
            name, content = f"{name}.gz", gzip.compress(content)
        (folder / name).write_bytes(content)
    return arrays


def houses(path="houses.csv", n=120):
    """A table whose price is a simple function of a number and a category."""
    rng = np.random.default_rng(0)
    size, district = rng.uniform(50, 150, n), rng.choice(["old", "new"], n)
    price = 1e5 + 3e3 * size * np.where(district == "old", 1, 1.5)
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "district", "kind", "price"])
        for s, d, p in zip(size, district, price, strict=True):
            writer.writerow([f"{s:.2f}", d, "big" if s > 100 else "small", f"{p:.1f}"])
    return path


def write(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def model_file(folder):
    """The bytes of a small model of a table."""
    pytest.importorskip("safetensors")
    (folder / "t.csv").write_text(
        "size,kind,y\n" + "".join(f"{i},{'ab'[i % 2]},{i}.5\n" for i in range(30))
    )
    arguments = ["train", str(folder / "t.csv"), "--target", "y", "--epochs", "1", "--layers", "2"]
    assert main([*arguments, "--quiet", "--out", str(folder / "m")]) == 0
    return (folder / "m" / "model.safetensors").read_bytes()
