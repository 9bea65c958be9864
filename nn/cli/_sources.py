"""Data of a command: read, and split into training, validation and test rows."""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from fastmlp import datasets
from fastmlp.datasets import _tables
from fastmlp.datasets._encoding import Findings, refill
from fastmlp.datasets._targets import read_labelled
from fastmlp.kernels import LOSS_OUTPUTS, OUTPUTS

from .._files import shown
from .._model import Preprocessing, of_images, of_table
from .._model.in_blocks import Blocks, preprocessing_of, spooled
from .._typing import Array
from ..data._text import BLOCK, Lines, Text
from ._usage import GAUSSIAN, NAMED_DATA, UsageError

DIGITS = tuple(str(digit) for digit in range(10))
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"),
    "Ankle boot",
)
TEST_SHARE = 0.2
#: The name of the standard input among the words of a command.
STDIN = "-"
#: Ends of names of tables that are read line by line.
BY_LINES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Rows:
    """Features and targets of one part, as they stand in the source."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Array) -> Rows:
        """Some of them."""
        return Rows(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Source:
    """Data for training, with what turns it into inputs of a network."""

    train: Rows | Blocks
    validation: Rows | Blocks | None
    test: Rows | Blocks
    preprocessing: Preprocessing
    default_epochs: int
    notes: tuple[str, ...] = ()


def check_options(options: argparse.Namespace) -> None:
    """Complain about options that do not fit the data, before anything is read."""
    data = options.data
    text_format(options)
    if options.memory is not None:
        check_blocks(options)
    if isinstance(options.validation, Path) and (
        data in NAMED_DATA or not _tables.is_table(options.validation)
    ):
        raise UsageError(
            "--validation takes a share such as 0.1, or for a table another table, got "
            f"{shown(options.validation)!r}"
        )
    if data in NAMED_DATA:
        if options.target or options.task != "auto" or options.drop or options.keep:
            raise UsageError(f"--target, --task, --drop and --keep are for tables, not for {data}")
        if data != "digits" and not options.data_dir:
            raise UsageError(
                f"{data} needs --data-dir, the folder with its four IDX files "
                "(fastmlp downloads nothing)"
            )
        if data == "digits" and options.data_dir:
            raise UsageError("digits is part of fastmlp and takes no --data-dir")
        if data != "digits" and options.test is not None:
            raise UsageError(f"{data} has its own test images; --test does not apply")
    elif data != STDIN and not _tables.is_table(data):
        raise UsageError(
            f"unknown data {shown(data)!r}: expected {', '.join(NAMED_DATA)}, or a file whose name "
            f"ends in {', '.join(_tables.SUFFIXES)}"
        )
    elif options.data_dir:
        raise UsageError("--data-dir is for mnist and fashion-mnist, not for tables")
    elif not options.target:
        raise UsageError(f"which column of {shown(data)} is to be predicted? Say --target COLUMN")


def check_blocks(options: argparse.Namespace) -> None:
    """Complain about options for which all rows have to be in memory."""
    if options.data == STDIN or not options.data.lower().endswith(BY_LINES):
        raise UsageError(
            f"--memory reads text tables ({', '.join(BY_LINES)}) block by block, got "
            f"{shown(options.data)!r}; fastmlp.data has sources for Parquet, HDF5, Zarr and more"
        )
    for name, plain in (("cv", None), ("resume", False), ("bad_rows", "error")):
        if getattr(options, name, plain) != plain:
            raise UsageError(
                f"--{name.replace('_', '-')} needs all rows in memory, without --memory"
            )
    if getattr(options, "missing", "") == "drop":
        raise UsageError("--missing drop needs all rows in memory, without --memory")
    if isinstance(getattr(options, "validation", 0), Path):
        raise UsageError("--memory takes a share for --validation, not a table")


def lines_of(options: argparse.Namespace) -> Lines:
    """The text of a table in pieces of which many fit into ``--memory``."""
    size = max(1 << 14, min(BLOCK, options.memory // 64))
    return Lines([Path(options.data)], text_format(options), size)


def text_format(options: argparse.Namespace) -> datasets.TextFormat:
    """Format of a text table, as far as options say it."""
    try:
        return datasets.TextFormat(
            options.sep, options.decimal, options.thousands, options.encoding, not options.no_header
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def load(options: argparse.Namespace) -> Source:
    """Read and split the data that ``options`` name."""
    if options.data == "digits":
        return _digits(options)
    if options.data in NAMED_DATA:
        return _idx(options)
    return _table(options) if options.memory is None else _blocks(options)


def default_name(data: str) -> str:
    """Name of a run, for its folder; different files give different names."""
    if data in NAMED_DATA:
        return data
    return "table" if data == STDIN else Path(data).name.removesuffix(".csv") or "table"


def stream_or_path(data: str) -> str | BinaryIO:
    """A path, or all of the standard input."""
    if data != STDIN:
        return data
    return io.BytesIO(sys.stdin.buffer.read())


def load_inputs(
    options: argparse.Namespace, preprocessing: Preprocessing, findings: Findings
) -> Array:
    """Read the features that ``options`` of ``fastmlp predict`` name."""
    data = options.data
    if data == STDIN or _tables.is_table(data):
        return _tables.read_features(
            stream_or_path(data), preprocessing.columns, findings, text_format(options)
        )
    return _images(options, preprocessing)[0]


def load_labelled(
    options: argparse.Namespace, preprocessing: Preprocessing, findings: Findings
) -> Rows:
    """Read features and targets, as ``fastmlp evaluate`` compares them."""
    data = options.data
    if data == STDIN or _tables.is_table(data):
        if not preprocessing.target_columns:
            raise UsageError(
                "this model does not know which column has the classes (fastmlp 0.1 did not write "
                "it down); train it again"
            )
        x, y = read_labelled(
            stream_or_path(data),
            preprocessing.columns,
            preprocessing.target_columns,
            preprocessing.target_names if preprocessing.task == "classification" else None,
            findings,
            text_format(options),
        )
        return Rows(x, y)
    x, labels = _images(options, preprocessing)
    if labels is None:
        raise UsageError(f"{shown(data)} holds images without their classes")
    return Rows(x, labels)


def _images(
    options: argparse.Namespace, preprocessing: Preprocessing
) -> tuple[Array, Array | None]:
    data, labels = options.data, None
    if data == "digits":
        digits = datasets.load_digits()
        x, labels = digits.X, digits.y
    elif data in NAMED_DATA:
        if not options.data_dir:
            raise UsageError(f"{data} needs --data-dir, the folder with its four IDX files")
        x, labels = datasets.load_idx(options.data_dir, scale=False)[1]
    else:
        images = datasets.read_idx(data)
        if images.ndim != 3:
            raise ValueError(f"{shown(data)} should have 3 dimensions (images), has {images.ndim}")
        x = images.reshape(len(images), -1)
    if x.shape[1] != preprocessing.n_features or preprocessing.image_shape is None:
        raise ValueError(
            f"the model of {preprocessing.name} takes {preprocessing.n_features} features, "
            f"{shown(data)} has {x.shape[1]} pixels"
        )
    return x, labels


def _digits(options: argparse.Namespace) -> Source:
    data = datasets.load_digits()
    rest, test = _split(Rows(data.X, data.y), options.test or TEST_SHARE, options.seed, True)
    train, validation = _hold_out(rest, options, stratify=True)
    preprocessing = of_images("digits", data.target_names, (8, 8), 16.0)
    return Source(train, validation, test, preprocessing, default_epochs=60)


def _idx(options: argparse.Namespace) -> Source:
    (x, y), (x_test, y_test) = datasets.load_idx(options.data_dir, scale=False)
    names = FASHION if options.data == "fashion-mnist" else DIGITS
    largest = int(max(y.max(initial=0), y_test.max(initial=0)))
    if largest >= len(names):  # other data of that form, such as letters
        names = tuple(str(k) for k in range(largest + 1))
    train, validation = _hold_out(Rows(x, y), options, stratify=True)
    side = round(x.shape[1] ** 0.5)
    shape = (side, side) if side * side == x.shape[1] else (1, x.shape[1])
    preprocessing = of_images(options.data, names, shape, 255.0)
    return Source(train, validation, Rows(x_test, y_test), preprocessing, default_epochs=10)


def _table(options: argparse.Namespace) -> Source:
    form, source = text_format(options), stream_or_path(options.data)
    data = datasets.load_table(
        source,
        _target_columns(options, source, form),
        task=options.task,
        missing=options.missing,
        drop=options.drop,
        keep=options.keep,
        bad_rows=options.bad_rows,
        form=form,
    )
    classes = data.task == "classification"
    rows = Rows(data.X, data.y)
    rest, test = _split(rows, options.test or TEST_SHARE, options.seed, classes)
    train, validation = _hold_out(rest, options, stratify=classes)
    others = [part.x for part in (validation, test) if part is not None]
    data = replace(data, columns=refill(data.columns, train.x, *others))
    preprocessing = of_table(data, train.x, train.y, _scales_targets(options, classes))
    if isinstance(options.validation, Path):
        strict = options.bad_rows == "error"
        validation = _labelled(str(options.validation), preprocessing, form, strict=strict)
    return Source(train, validation, test, preprocessing, 100, data.notes)


def _blocks(options: argparse.Namespace) -> Source:
    """A text table that is read block by block."""
    form = text_format(options)
    found = Text(
        lines_of(options),
        _target_columns(options, options.data, form),
        task=options.task,
        missing=options.missing,
        drop=options.drop,
        keep=options.keep,
    )
    out = Path(options.out or ".").absolute()
    rows = spooled(found.held(options.memory), next(p for p in (out, *out.parents) if p.is_dir()))
    rest, test = rows.split(options.test or TEST_SHARE, random_state=options.seed)
    train, validation = rest, None
    if options.validation:
        train, held_out = rest.split(options.validation, random_state=options.seed + 1)
        validation = Blocks(held_out)
    prepare = preprocessing_of(
        default_name(options.data), found, train.blocks(), found.columns,
        _scales_targets(options, found.task == "classification"),
    )  # fmt: skip
    size = (rows.n_rows or 0) * 8 * (prepare.n_features + 1) / 1e6
    held = f"at most {options.memory / 1e6:,.0f} MB of rows in memory, {size:,.0f} MB on the disk"
    notes = (*found.notes, f"read in {len(found):,} blocks: {held}, until training ends")
    return Source(Blocks(train), validation, Blocks(test), prepare, 100, notes)


def _scales_targets(options: argparse.Namespace, classes: bool) -> bool:
    """Whether real targets are scaled."""
    # An output that cannot reach every value must see the targets as they are.
    return (
        not classes
        and options.output in (None, "identity")
        and (options.loss in (None, GAUSSIAN) or LOSS_OUTPUTS[options.loss] == OUTPUTS)
    )


def _labelled(
    source: str | BinaryIO, prepare: Preprocessing, form: datasets.TextFormat, *, strict: bool
) -> Rows:
    """Rows of a table that is like the one of ``prepare``; bad ones raise or are left out."""
    findings = Findings(strict=strict)
    classes = prepare.target_names if prepare.task == "classification" else None
    x, y = read_labelled(source, prepare.columns, prepare.target_columns, classes, findings, form)
    good = np.setdiff1d(np.arange(len(x)), list(findings.bad))
    if not len(good):
        raise ValueError(f"no row is left: {next(iter(findings.bad.values()))}")
    return Rows(x, y).take(good)


def _target_columns(
    options: argparse.Namespace, source: str | BinaryIO, form: datasets.TextFormat
) -> str | list[str]:
    """``a,b`` names two columns, unless one is called so; only text tables have several."""
    target = str(options.target)
    if "," not in target or options.data.lower().endswith(_tables.NPZ_SUFFIX):
        return target
    names = _tables.read_columns(source, form, "skip" if options.bad_rows == "skip" else "error")
    return target if target in names else [name.strip() for name in target.split(",")]


def _hold_out(
    rows: Rows, options: argparse.Namespace, *, stratify: bool
) -> tuple[Rows, Rows | None]:
    if options.validation == 0 or isinstance(options.validation, Path):
        return rows, None
    return _split(rows, options.validation, options.seed + 1, stratify)


def _split(rows: Rows, share: float, seed: int, stratify: bool) -> tuple[Rows, Rows]:
    x_train, x_test, y_train, y_test = datasets.train_test_split(
        rows.x, rows.y, share, np.random.default_rng(seed), stratify=rows.y if stratify else None
    )
    return Rows(x_train, y_train), Rows(x_test, y_test)
