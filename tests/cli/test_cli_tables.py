"""Tables as people have them: they train and predict, or one sentence says what to type."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import columns, predict, rows, table, train
from fastmlp import load_model
from fastmlp.cli import main
from fastmlp.datasets import train_test_split

pytest.importorskip("safetensors")


# What files look like


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bom.csv", "\ufeffa,b,y\n{}".encode()),
        ("utf16.csv", "a,b,y\n{}".encode("utf-16")),
        ("utf16-le.csv", "a,b,y\n{}".encode("utf-16-le")),
        ("lines.csv", b"a,b,y\r\n{}"),
        ("comment.csv", b"# made by a tool\n# on a day\na,b,y\n{}"),
        ("hash.csv", b"#a,b,y\n{}"),
        ("tab.tsv", b"a\tb\ty\n{}"),
        ("bar.txt", b"a|b|y\n{}"),
        ("packed.csv.gz", b"a,b,y\n{}"),
    ],
)
def test_files_of_many_kinds_are_read(name, content, capsys):
    body = "".join(f"{i % 7},{i % 5},{i / 4}\n" for i in range(60))
    if "tab" in name or "bar" in name:
        body = body.replace(",", "\t" if "tab" in name else "|")
    encoding = "utf-16-le" if "utf16" in name else "utf-8"
    body = body.encode(encoding)
    mark = "{}".encode(encoding)
    content = content.replace(mark, body)
    Path(name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    train(name, "--target", "y", capsys=capsys)
    assert set(columns()) == {"a", "b"}
    header, lines, _ = predict(name, capsys=capsys)
    assert (header, len(lines)) == (["y"], 60)


def test_options_say_what_a_file_does_not(capsys):
    body = "".join(f"é{i % 2}:{i % 7},5:{i}\n" for i in range(60))
    table(body, "t.txt", "latin-1")
    said = train("t.txt", "--target", "3", capsys=capsys, code=1).err
    assert "this is not UTF-8 text" in said
    assert "--encoding cp1252" in said
    form = ["--sep", ":", "--decimal", ",", "--encoding", "latin-1", "--no-header"]
    train("t.txt", "--target", "3", *form, capsys=capsys)
    assert columns()["1"].categories == ("é0", "é1")
    assert columns()["2"].categories is None
    assert len(predict("t.txt", *form, capsys=capsys)[1]) == 60


def test_standard_input_is_a_table(monkeypatch, capsys):
    text = rows(lambda i: f"{i % 7},{i % 5},{i / 4}").encode()

    class Stdin:
        buffer = io.BytesIO(text)

    monkeypatch.setattr(sys, "stdin", Stdin)
    train("-", "--target", "y", capsys=capsys)
    Stdin.buffer.seek(0)
    assert len(predict("-", capsys=capsys)[1]) == 60


def test_parquet_by_polars(capsys):
    polars = pytest.importorskip("polars")
    polars.DataFrame(
        {"a": [1.5, None] * 30, "b": ["x", "y", "z"] * 20, "y": [i / 4 for i in range(60)]}
    ).write_parquet("t.parquet")
    train("t.parquet", "--target", "y", capsys=capsys)
    assert columns()["a"].missing == "marked"
    assert columns()["b"].categories == ("x", "y", "z")
    assert len(predict("t.parquet", capsys=capsys)[1]) == 60
    Path("bad.parquet").write_bytes(b"PAR1")
    assert "no readable Parquet" in train("bad.parquet", "--target", "y", capsys=capsys, code=1).err


def test_a_package_that_is_missing_is_named(monkeypatch, capsys):
    Path("t.xlsx").write_bytes(b"PK")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    said = train("t.xlsx", "--target", "y", capsys=capsys, code=1).err
    assert "pip install openpyxl" in said


# What columns hold


def trained_rows(n, seed=0):
    """Numbers of the rows of an ``n``-row table of regression that train it."""
    rest, _, _, _ = train_test_split(np.arange(n), np.arange(n), 0.2, np.random.default_rng(seed))
    return train_test_split(rest, rest, 0.1, np.random.default_rng(seed + 1))[0]


def test_what_is_filled_in_comes_from_the_training_rows(capsys):
    """The medians of numbers and dates do not know the rows that test them."""
    days = [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(60)]
    path = table(rows(lambda i: f"{i if i % 4 else ''},{days[i] if i % 5 else ''},{i}.5"))
    train(path, "--target", "y", capsys=capsys)
    first, before = trained_rows(60), columns()
    lines = Path(path).read_text().splitlines()
    for i in set(range(60)) - set(first):
        lines[1 + i] = f"{1000 if i % 4 else ''},{'1999-01-01' if i % 5 else ''},{i}.5"
    Path(path).write_text("\n".join(lines) + "\n")
    train(path, "--target", "y", capsys=capsys)
    assert {name: columns()[name].fill for name in "ab"} == {n: before[n].fill for n in "ab"}
    assert before["b"].date
    expected = np.median([i for i in first if i % 4])
    assert before["a"].fill == expected


def test_excel(capsys):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["a", "b", "y"])
    for i in range(60):
        sheet.append([None if i % 7 == 0 else i / 2, "xyz"[i % 3], i / 4])
    book.save("t.xlsx")
    train("t.xlsx", "--target", "y", capsys=capsys)
    assert columns()["a"].missing == "marked"
    assert columns()["b"].categories == ("x", "y", "z")
    assert len(predict("t.xlsx", capsys=capsys)[1]) == 60
    Path("bad.xlsx").write_bytes(b"PK")
    assert "no readable Excel" in train("bad.xlsx", "--target", "y", capsys=capsys, code=1).err


def test_missing_values_are_filled_in_and_marked(capsys):
    words = ["", "NA", "none", "?", "NaN", "N/A"]
    path = table(
        rows(lambda i: f"{words[i % 6] if i % 4 == 0 else i},{'?' if i % 9 == 0 else 'k'},{i}.5")
    )
    said = train(path, "--target", "y", capsys=capsys).out
    assert "missing values are filled in and marked: 15 of 'a', 7 of 'b'" in said
    assert columns()["a"].feature_names == ("a", "a is missing")
    assert columns()["a"].fill == np.median(trained_rows(60)[trained_rows(60) % 4 != 0])
    assert columns()["b"].feature_names == ("b=k", "b is missing")
    assert "15 of 'a'" in predict(path, capsys=capsys)[2]
    said = train(path, "--target", "y", "--missing", "drop", capsys=capsys).out
    assert "20 rows are left out" in said
    assert columns()["a"].feature_names == ("a",)
    _, lines, said = predict(path, capsys=capsys, code=3)
    assert [line == [""] for line in lines] == [i % 4 == 0 or i % 9 == 0 for i in range(60)]
    assert "20 of 60 rows have no prediction" in said
    said = train(path, "--target", "y", "--missing", "error", capsys=capsys, code=1).err
    assert "line 2, column 'a': the value is missing" in said
    assert "--missing impute" in said


def test_rows_without_a_target_are_left_out(capsys):
    path = table(rows(lambda i: f"{i},{i % 3},{'' if i % 10 == 0 else i / 3}"))
    assert "6 rows without a target" in train(path, "--target", "y", capsys=capsys).out


@pytest.mark.parametrize(
    ("cells", "value", "sign"),
    [
        (["1,234.5", "12,345,678", "7"], 1234.5, (".", ",")),
        (["1.234,5", "12.345.678", "7"], 1234.5, (",", ".")),
        (["3,5", "-0,25", "12"], 3.5, (",", "")),
        (["$1,200", "$3", "-$4.50"], 1200, (".", ",")),
        (["12%", "7.5 %", "-3%"], 12, (".", "")),
        (["1 234", "12 345,5", "3"], 1234, (",", " ")),
        (["€ 5", "6 €", "(7)"], 5, (".", "")),
    ],
)
def test_numbers_as_people_write_them(cells, value, sign, capsys):
    path = table(rows(lambda i: f'"{cells[i % 3]}";{i % 5};"{cells[i % 3]}"', header="a;b;y"))
    said = train(path, "--target", "y", "--task", "regression", capsys=capsys).out
    first = next(cell for cell in cells if not cell.replace(".", "").isdecimal())
    assert f"'a': {first!r} is read as the number {value:.15g}" in said
    assert (columns()["a"].decimal, columns()["a"].thousands) == sign
    assert predict(path, capsys=capsys)[0] == ["y"]


def test_dates_become_parts(capsys):
    path = table(rows(lambda i: f"2023-{1 + i % 12:02}-{1 + i % 28:02},{i % 3},{i}.5"))
    said = train(path, "--target", "y", capsys=capsys).out
    assert "'a': dates" in said
    assert columns()["a"].feature_names[:2] == ("a: year", "a: month")
    model = load_model("m")
    x = model.features([{"a": "1970-01-03", "b": 1}])
    assert x[0, :5].tolist() == [1970, 1, 3, 5, 2]
    for name, cell, form in (("d", "31.12.2022", "d.m.y"), ("u", "12/31/2022", "m/d/y")):
        path = table(rows(lambda i, cell=cell: f"{cell},{i % 3},{i}.5"), f"{name}.csv")
        train(path, "--target", "y", capsys=capsys)
        assert columns()["a"].date == form


def test_identifiers_and_free_text_are_left_out_and_said(capsys):
    path = table(
        rows(lambda i: f"ORD-{i},{i % 3},{10_000_000 + i},{i}.5", header="id,b,customer,y")
    )
    said = train(path, "--target", "y", capsys=capsys).out
    assert "column 'id' is text with 60 different values" in said
    assert "column 'customer' numbers the rows" in said
    assert set(columns()) == {"b"}
    train(path, "--target", "y", "--keep", "customer", capsys=capsys)
    assert set(columns()) == {"b", "customer"}
    train(path, "--target", "y", "--drop", "b,id", "--keep", "customer", capsys=capsys)
    assert set(columns()) == {"customer"}
    said = train(path, "--target", "y", "--drop", "cost", capsys=capsys, code=1).err
    assert "no column 'cost'" in said


def test_many_categories_and_upper_case(capsys):
    path = table(rows(lambda i: f"c{i % 70},{('Yes', 'yes', 'NO')[i % 3]},{i}.5", 210))
    said = train(path, "--target", "y", capsys=capsys).out
    assert len(columns()["a"].categories) == 70
    assert columns()["b"].categories == ("no", "yes")
    assert "upper and lower case are one category" in said


def test_codes_keep_their_zeros(capsys):
    path = table(rows(lambda i: f"0{1234 + i % 3},{i % 5},{i}.5"))
    assert "codes such as '01234'" in train(path, "--target", "y", capsys=capsys).out
    assert columns()["a"].categories == ("01234", "01235", "01236")


def test_classes_that_look_like_numbers_are_said(capsys):
    path = table(rows(lambda i: f"{i},{i % 7},{3 + i % 4}"))
    said = train(path, "--target", "y", capsys=capsys).out
    assert "its 4 whole numbers" in said
    assert "--task regression" in said
    assert {line[0] for line in predict(path, capsys=capsys)[1]} <= {"3", "4", "5", "6"}
    train(path, "--target", "y", "--task", "regression", capsys=capsys)
    assert predict(path, capsys=capsys)[0] == ["y"]


def test_a_column_with_a_comma_in_its_name_can_be_the_target(capsys):
    path = table(rows(lambda i: f"{i},{i % 7},{i}.5", header='a,b,"x,y"'))
    train(path, "--target", "x,y", capsys=capsys)
    assert predict(path, capsys=capsys)[0] == ["x,y"]


# Rows that are not like the others


def test_one_bad_row_does_not_stop_a_prediction(capsys):
    path = table(rows(lambda i: f"{i},{'uv'[i % 2]},{i}.5"))
    train(path, "--target", "y", capsys=capsys)
    new = table("a,b\n1,u\nlong,u\n2\n3,w\n,v\n4,v,5\n", "new.csv")
    header, lines, said = predict(new, capsys=capsys, code=3)
    assert [line == [""] for line in lines] == [False, True, True, False, False, True]
    assert "line 3, column 'a': expected a number, found 'long'" in said
    assert "3 of 6 rows have no prediction" in said
    assert "1 rows have a value of 'b' that training had not ('w')" in said
    assert "filled in: 1 of 'a'" in said
    assert main(["predict", "m", new, "--out", "p.csv"]) == 3
    assert list(csv.reader(Path("p.csv").read_text().splitlines())) == [header, *lines]


def test_bad_rows_of_training_are_refused_or_skipped(capsys):
    path = table(rows(lambda i: f"{'x' if i == 7 else i},{i % 3},{i}.5") + "1,2\n")
    said = train(path, "--target", "y", capsys=capsys, code=1).err
    assert "line 62: expected 3 values as in the header, found 2; --bad-rows skip" in said
    said = train(path, "--target", "y", "--bad-rows", "skip", capsys=capsys).out
    assert "1 lines with too many or too few values left out" in said
    assert "1 rows are left out" in said
    assert "expected a number, found 'x'" in said
