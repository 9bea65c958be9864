"""What all examples share: their options, data and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from fastmlp import datasets

from .._files import replacement
from .._typing import Array


def options(
    description: str | None, arguments: Sequence[str] | None, *, mnist: bool = False
) -> argparse.Namespace:
    """Parse the command line; the description is the first line of the example's docstring."""
    parser = argparse.ArgumentParser(description=(description or "").strip().splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("fastmlp-examples"), help="folder for the picture"
    )
    if mnist:
        parser.add_argument(
            "--data-dir", type=Path, help="folder of the four IDX files of MNIST (else: digits)"
        )
    return parser.parse_args(arguments)


def can_draw() -> bool:
    """Whether matplotlib is there; says so where it is not."""
    if find_spec("matplotlib") is not None:
        return True
    print("no picture without matplotlib: pip install 'fastmlp[plot]'")
    return False


def save(figure: Any, folder: Path, name: str) -> None:
    """Write a picture and say where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    with replacement(path) as file:
        figure.savefig(file, format="png")
    print(f"picture: {path}")


@dataclass(frozen=True)
class Images:
    """Handwritten digits: pixels in 0…1, and the shape of an image."""

    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    x_test: Array
    y_test: Array
    shape: tuple[int, int]


def images(folder: Path | None) -> Images:
    """MNIST from a folder of IDX files, or the embedded digits; says which."""
    if folder is not None:
        (x, y), (x_test, y_test) = datasets.load_idx(folder)
        side = int(np.sqrt(x.shape[1]))
        n_validation = 10_000 if len(x) > 20_000 else len(x) // 5
        print(f"data: {len(x):,} + {len(x_test):,} images of {side} × {side} pixels from {folder}")
    else:
        digits = datasets.load_digits()
        x, x_test, y, y_test = datasets.train_test_split(
            digits.X / np.float32(16), digits.y, 0.2, random_state=0, stratify=digits.y
        )
        side, n_validation = 8, 287
        print(
            f"data: the embedded digits, {len(x):,} + {len(x_test):,} images of 8 × 8 pixels; "
            "--data-dir takes the files of MNIST"
        )
    x, x_validation, y, y_validation = datasets.train_test_split(
        x, y, n_validation, random_state=0, stratify=y
    )
    return Images(x, y, x_validation, y_validation, x_test, y_test, (side, side))


def one_hot(labels: Array) -> Array:
    """Ten outputs, 1 at the digit."""
    return np.eye(10, dtype=np.float32)[labels]
