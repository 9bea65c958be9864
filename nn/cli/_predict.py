"""``fastmlp predict``: rows in, one line of CSV for each out."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from typing import TextIO

import numpy as np
from fastmlp import kernels

from .._files import write
from .._model import Model
from .._typing import Array
from ._sources import load_inputs


def run(options: argparse.Namespace) -> int:
    """Predict as ``options`` say; return the exit code."""
    if options.backend:
        kernels.use_backend(options.backend)
    model = Model.load(options.model, options.threads)
    output = model.outputs(load_inputs(options, model.preprocessing))
    if options.out is None:
        _write(sys.stdout, model, output)
        return 0
    text = io.StringIO()
    _write(text, model, output)
    write(options.out, text.getvalue().encode("utf-8", "backslashreplace"))
    print(f"wrote {len(output):,} predictions to {options.out}")
    return 0


def _write(file: TextIO, model: Model, output: Array) -> None:
    """Classes with the network's confidence in each, or real values by target."""
    prepare = model.preprocessing
    writer = csv.writer(file, lineterminator="\n")
    if prepare.task == "regression":
        writer.writerow(prepare.target_names)
        writer.writerows([f"{v:.6g}" for v in row] for row in prepare.values(output).tolist())
        return
    numbers = prepare.classes(output)
    if output.shape[1] == 1:
        confidence = np.where(numbers == 1, output[:, 0], 1 - output[:, 0])
    else:
        confidence = output[np.arange(len(output)), numbers]
    # Only these outputs are probabilities of the classes; others are scores of any scale.
    softmax = model.network.architecture.output == "softmax" or output.shape[1] == 1
    writer.writerow(["prediction", "probability" if softmax else "score"])
    writer.writerows(
        [prepare.target_names[k], f"{value:.4f}"]
        for k, value in zip(numbers.tolist(), confidence.tolist(), strict=True)
    )
