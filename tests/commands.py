"""Short runs of the command on tables, for its tests."""

from __future__ import annotations

import csv
from pathlib import Path

from fastmlp import load_model
from fastmlp.cli import main

QUICK = ["--quiet", "--epochs", "3", "--layers", "4", "--threads", "1", "--out", "m"]


def table(text, name="t.csv", encoding="utf-8"):
    Path(name).write_bytes(text.encode(encoding))
    return name


def rows(make, n=60, header="a,b,y"):
    return header + "\n" + "".join(f"{make(i)}\n" for i in range(n))


def train(*words, code=0, capsys):
    """Output and errors of a short training."""
    capsys.readouterr()
    assert main(["train", *words, *QUICK]) == code
    return capsys.readouterr()


def predict(*words, code=0, capsys):
    """Header, rows and complaints of a prediction."""
    capsys.readouterr()
    assert main(["predict", "m", *words]) == code
    out, err = capsys.readouterr()
    header, *lines = csv.reader(out.splitlines())
    return header, lines, err


def columns(folder="m"):
    return {column.name: column for column in load_model(folder).preprocessing.columns}
