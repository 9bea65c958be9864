"""``--memory``: tables that are read block by block."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from fastmlp import load_model
from fastmlp._model.in_blocks import Moments
from fastmlp.cli import main
from numpy.testing import assert_allclose

pytest.importorskip("safetensors")

RNG = np.random.default_rng(5)


@pytest.fixture
def table(tmp_path):
    """Of more text than two blocks of the smallest memory take."""
    a, b = RNG.normal(size=(2, 2000)) * 100
    colors = np.array(["red", "green", "blue"])[RNG.integers(3, size=2000)]
    lines = [f"{p},{q},{c},{p * 3 - q}" for p, q, c in zip(a, b, colors, strict=True)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["a,b,color,y", *lines]))
    return path


def test_a_model_of_blocks_is_like_one_of_the_whole_table(table, tmp_path, capsys):
    options = ["--target", "y", "--epochs", "8", "--quiet", "--validation", "0.2"]
    found = {}
    for name, more in {"whole": [], "blocks": ["--memory", "1M"]}.items():
        folder = tmp_path / name
        assert main(["train", str(table), *options, "--out", str(folder), *more]) == 0
        said = capsys.readouterr().out
        found[name] = load_model(folder), json.loads((folder / "history.json").read_text()), said
    said = found["blocks"][2]
    assert re.search(r"read in \d+ blocks: at most 1 MB of rows in memory", said), said
    assert int(re.search(r"read in (\d+) blocks", said)[1]) > 4
    (whole, report, _), (blocks, other, _) = found["whole"], found["blocks"]
    # Scaled by the moments of nearly the same rows, so trained to about the same errors.
    assert_allclose(blocks.preprocessing.scale, whole.preprocessing.scale, rtol=0.1)
    assert_allclose(other["test"]["rmse"], report["test"]["rmse"], rtol=0.6)
    assert other["test"]["r2"] > 0.8
    rows = [other["data"][name] for name in ("rows", "validation_rows", "test_rows")]
    assert sum(rows) == 2000
    assert abs(rows[2] - 400) < 80
    # Nothing but the model stays on the disk.
    names = {path.name for path in (tmp_path / "blocks").iterdir()}
    assert names == {"model.safetensors", "history.json"}

    for more in ([], ["--memory", "1M"]):
        out = tmp_path / f"out{len(more)}.csv"
        assert (
            main(["predict", str(tmp_path / "blocks"), str(table), "--out", str(out), *more]) == 0
        )
    assert "in 8 blocks" in capsys.readouterr().out
    assert out.read_bytes() == (tmp_path / "out0.csv").read_bytes()


def test_bad_rows_are_named_with_their_block(table, tmp_path, capsys):
    model = tmp_path / "model"
    train = ["train", str(table), "--target", "y", "--epochs", "1", "--memory", "1M", "--quiet"]
    assert main([*train, "--out", str(model)]) == 0
    lines = table.read_text().split("\n")
    lines[1500] = "oops,1,purple,2"
    lines[1700] = "1,1,purple,2"
    table.write_text("\n".join(lines))
    capsys.readouterr()
    assert main(["predict", str(model), str(table), "--memory", "1M"]) == 3
    printed = capsys.readouterr()
    assert printed.out.split("\n")[1500] == '""'
    assert len(printed.out.split("\n")) == 2002
    assert "2 rows have a value of 'color' that training had not ('purple')" in printed.err
    assert "rows.csv, line 1501, column 'a': expected a number, found 'oops'" in printed.err
    assert main([*train, "--out", str(tmp_path / "none")]) == 1
    assert "after line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--memory", "much"], "expected a size of at least 1M such as 500M or 2G, got 'much'"),
        (["--memory", "-3G"], "expected one argument"),
        (["--memory", "12"], "expected a size of at least 1M such as 500M or 2G, got '12'"),
        (["--memory", "1M", "--cv", "3"], "--cv needs all rows in memory"),
        (["--memory", "1M", "--resume"], "--resume needs all rows in memory"),
        (["--memory", "1M", "--missing", "drop"], "--missing drop needs all rows in memory"),
    ],
)
def test_what_needs_all_rows_is_refused(words, said, table, capsys):
    try:
        code = main(["train", str(table), "--target", "y", *words])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_other_data_is_refused(tmp_path, capsys):
    assert main(["train", "digits", "--memory", "1G"]) == 2
    assert "--memory reads text tables (.csv, .tsv, .txt)" in capsys.readouterr().err


def test_moments_of_blocks_are_those_of_all_rows():
    x = RNG.normal(size=(100, 3)) * [1, 1e-3, 1e5] + [5, 1e6, 0]
    x[:, 1] = 7
    moments = Moments()
    for rows in (x[:1], x[1:1], x[1:40], x[40:]):
        moments.add(rows)
    mean, deviation = moments.of()
    assert_allclose(mean, x.mean(axis=0))
    assert_allclose(deviation, [x[:, 0].std(), 1, x[:, 2].std()])
