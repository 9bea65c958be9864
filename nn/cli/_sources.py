"""Where the rows come from: the data of a command, dealt to training, validation and test."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fastmlp import datasets
from fastmlp.datasets._tables import is_table
from fastmlp.kernels import LOSS_OUTPUTS, OUTPUTS

from .._model import Preprocessing, of_images, of_table
from .._typing import Array
from ._usage import NAMED_DATA, UsageError

DIGITS = tuple(str(digit) for digit in range(10))
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Rows:
    """Features and targets of one part, as they stand in the source."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Source:
    """Data for training, with what turns it into inputs of a network."""

    train: Rows
    validation: Rows | None
    test: Rows
    preprocessing: Preprocessing
    default_epochs: int


def check_options(options: argparse.Namespace) -> None:
    """Complain about options that do not fit the data, before anything is read."""
    data = options.data
    if data in NAMED_DATA:
        if options.target or options.task != "auto":
            raise UsageError(f"--target and --task are for tables, not for {data}")
        if data != "digits" and not options.data_dir:
            raise UsageError(
                f"{data} needs --data-dir, the folder with its four IDX files "
                "(fastmlp downloads nothing)"
            )
        if data == "digits" and options.data_dir:
            raise UsageError("digits is part of fastmlp and takes no --data-dir")
        if data != "digits" and options.test is not None:
            raise UsageError(f"{data} has its own test images; --test does not apply")
    elif not is_table(data):
        raise UsageError(
            f"unknown data {data!r}: expected {', '.join(NAMED_DATA)}, or a file whose name ends "
            "in .csv, .tsv, .txt (also .gz) or .npz"
        )
    elif options.data_dir:
        raise UsageError("--data-dir is for mnist and fashion-mnist, not for tables")
    elif not options.target:
        raise UsageError(f"which column of {data} is to be predicted? Say --target COLUMN")


def load(options: argparse.Namespace) -> Source:
    """Read and split the data that ``options`` name."""
    if options.data == "digits":
        return _digits(options)
    if options.data in NAMED_DATA:
        return _idx(options)
    return _table(options)


def default_name(data: str) -> str:
    """What a run is called in the name of its folder."""
    return data if data in NAMED_DATA else Path(data).name.split(".")[0] or "table"


def load_inputs(options: argparse.Namespace, preprocessing: Preprocessing) -> Array:
    """Read the features that ``options`` of ``fastmlp predict`` name."""
    data, path = options.data, Path(options.data)
    if data == "digits":
        x: Array = datasets.load_digits().X
    elif data in NAMED_DATA:
        if not options.data_dir:
            raise UsageError(f"{data} needs --data-dir, the folder with its four IDX files")
        x = datasets.load_idx(options.data_dir, scale=False)[1][0]
    elif is_table(data):
        return datasets.load_features(path, preprocessing.columns)
    else:
        images = datasets.read_idx(path)
        if images.ndim != 3:
            raise ValueError(f"{path} should have 3 dimensions (images), has {images.ndim}")
        x = images.reshape(len(images), -1)
    if x.shape[1] != preprocessing.n_features or preprocessing.image_shape is None:
        raise ValueError(
            f"the model of {preprocessing.name} takes {preprocessing.n_features} features, "
            f"{data} has {x.shape[1]} pixels"
        )
    return x


def _digits(options: argparse.Namespace) -> Source:
    data = datasets.load_digits()
    rest, test = _split(data.X, data.y, options.test or TEST_SHARE, options.seed, True)
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
    data = datasets.load_table(options.data, _target_columns(options), task=options.task)
    classes = data.task == "classification"
    rest, test = _split(data.X, data.y, options.test or TEST_SHARE, options.seed, classes)
    train, validation = _hold_out(rest, options, stratify=classes)
    # An output that cannot reach every value must see the targets as they are.
    scale_targets = (
        not classes
        and options.output in (None, "identity")
        and (options.loss is None or LOSS_OUTPUTS[options.loss] == OUTPUTS)
    )
    preprocessing = of_table(data, train.x, train.y, scale_targets)
    return Source(train, validation, test, preprocessing, default_epochs=100)


def _target_columns(options: argparse.Namespace) -> str | list[str]:
    """``a,b`` names two columns, which only text tables have."""
    if "," in options.target and not options.data.lower().endswith(".npz"):
        return [name.strip() for name in options.target.split(",")]
    return str(options.target)


def _hold_out(
    rows: Rows, options: argparse.Namespace, *, stratify: bool
) -> tuple[Rows, Rows | None]:
    if options.validation == 0:
        return rows, None
    return _split(rows.x, rows.y, options.validation, options.seed + 1, stratify)


def _split(x: Array, y: Array, share: float, seed: int, stratify: bool) -> tuple[Rows, Rows]:
    x_train, x_test, y_train, y_test = datasets.train_test_split(
        x, y, share, np.random.default_rng(seed), stratify=y if stratify else None
    )
    return Rows(x_train, y_train), Rows(x_test, y_test)
