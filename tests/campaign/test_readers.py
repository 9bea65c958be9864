"""Damaged and hostile files: a reader returns, or raises one clear error; memory stays in bounds.

What is changed at random, and how, is in ``readers.py``.
"""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from fastmlp import datasets
from readers import READERS, made, npz, read_damaged


def header_alone(kind, shape):
    """An array without its values."""
    file = io.BytesIO()
    entries = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, entries)
    return file.getvalue()


@pytest.mark.parametrize("kind", READERS)
def test_damaged_files_end_in_a_value_error(kind, tmp_path, trials):
    if not READERS[kind].available:
        pytest.skip(f"needs {' and '.join(READERS[kind].needs)}")
    content = made(kind, tmp_path)
    path = tmp_path / f"file.{kind}"
    seeds = trials(60)
    refused = sum(read_damaged(kind, content, path, seed) for seed in seeds)
    assert refused > len(seeds) / 3


def test_text_of_an_archive_has_to_be_characters(tmp_path):
    """NumPy makes text of any numbers, and fails when it becomes Python's."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in (("X", np.ones((2, 1))), ("y", np.array(["a", "b"]))):
            member = io.BytesIO()
            np.save(member, array)
            content = member.getvalue()
            archive.writestr(f"{name}.npy", content[:-1] + b"\x7f" if name == "y" else content)
    (tmp_path / "t.npz").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match=r"t\.npz is no readable NPZ file.*no character"):
        datasets.load_table(tmp_path / "t.npz", "y")


# Files that announce or hold more than they should


def peak_growth(code, folder):
    """MB that a statement adds to a fresh interpreter, and what it printed."""
    script = f"""
import resource
import numpy as np
from fastmlp import MLP, datasets, load_model
from fastmlp.datasets import load_table, read_idx
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
try:
    {code}
    print("read")
except ValueError as error:
    print(error)
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    said, growth = done.stdout.strip().rsplit("\n", 1)
    return said, float(growth)


def bomb(start, part, times):
    """A gzip file of several members, which are read as one."""
    return gzip.compress(start) + gzip.compress(part) * times


ZEROS = bytes(1 << 20)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in Linux's unit")
def test_no_more_is_unpacked_than_announced(tmp_path):
    (tmp_path / "idx").write_bytes(bomb(b"\0\0\x08\1" + struct.pack(">I", 1), ZEROS, 200))
    (tmp_path / "line.csv").write_bytes(bomb(b"a,y\n", b"1" * (1 << 20), 200))
    with zipfile.ZipFile(
        tmp_path / "unused.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1
    ) as archive:
        for name, array in (("X", np.ones((4, 1))), ("y", np.arange(4.0))):
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(f"{name}.npy", file.getvalue())
        with archive.open("other.npy", "w") as member:
            for _ in range(200):
                member.write(ZEROS)
    for code, message in [
        ("read_idx('idx')", "announces 1 values, but holds at least 1048577"),
        ("load_table('line.csv', 'y')", "line 2"),
        ("load_table('unused.npz', 'y')", "read"),
    ]:
        said, growth = peak_growth(code, tmp_path)
        assert message in said
        assert growth < 100, code


def test_announced_sizes_are_not_believed(tmp_path):
    path = tmp_path / "file"
    for shape in ((2**31, 2**31), (2**32 - 1,) * 9, (1,) * 200):
        header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
        for content in (header + b"\1", gzip.compress(header + b"\1")):
            path.write_bytes(content)
            with pytest.raises(ValueError, match="file"):
                datasets.read_idx(path)
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**10)}
    )
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("X.npy", file.getvalue())
    with pytest.raises(ValueError, match=r"t\.npz is no readable NPZ file.*announces"):
        datasets.load_table(tmp_path / "t.npz", "y")


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"no array",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8', ",
        b"\x93NUMPY\x01\x00\x06\x00(((((\n",
        b"\x93NUMPY\x09\x00\x06\x00((((((",
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{",
        header_alone("<U0", (2**40,)),
        header_alone("|O", (2,)),
        header_alone("<f8", (-1, -8)),
    ],
)
def test_members_that_are_no_arrays(member, tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("X.npy", member)
    with pytest.raises(ValueError, match=r"t\.npz is no readable NPZ file"):
        datasets.load_table(tmp_path / "t.npz", "y")


def test_archives_that_the_standard_library_cannot_read(tmp_path):
    good = npz(False)
    np.save(tmp_path / "array.npy", np.ones(3))
    start = good.index(b"PK\x01\x02")
    for name, content in {
        "array": (tmp_path / "array.npy").read_bytes(),
        "method": good[: start + 10] + b"\x63" + good[start + 11 :],
        "encrypted": good[: start + 8] + b"\x01" + good[start + 9 :],
        "version": good[: start + 6] + b"\xff" + good[start + 7 :],
    }.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.npz is no readable NPZ file"):
            datasets.load_table(tmp_path / f"{name}.npz", "y")


def test_a_damaged_stream_within_an_archive(tmp_path):
    content = bytearray(npz(True))
    start = content.index(b"X.npy") + len(b"X.npy")
    content[start + 25 : start + 60] = b"\xff" * 35
    (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"t\.npz is no readable NPZ file"):
        datasets.load_table(tmp_path / "t.npz", "y")
    with pytest.raises(zlib.error):
        zlib.decompress(b"\xff" * 35)


def test_columns_are_read_in_linear_time(tmp_path):
    """10,000 columns take about ten times as long as 1,000, not a hundred times."""
    path = tmp_path / "wide.csv"
    seen = []

    class Counted(str):
        __slots__ = ()

        def __eq__(self, other):
            seen.append(1)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    names = [f"c{i}" for i in range(3000)]
    path.write_text("\n".join([",".join([*names, "y"])] + [",".join("1" * 3001)] * 3))
    from fastmlp.datasets import _tables

    table = _tables.read_columns(path, None, "error")
    for name in names:
        assert table.column(Counted(name)) == ["1", "1", "1"]
    assert len(seen) < 3 * len(names)
