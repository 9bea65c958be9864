"""``fastmlp predict``: rows in, one line of CSV for each out."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TextIO

import numpy as np
from fastmlp import kernels
from fastmlp.datasets import _tables
from fastmlp.datasets._encoding import Findings

from .._files import replacement, shown, write
from .._model import FILE_NAME, Model
from .._typing import Array
from ._sources import check_blocks, lines_of, load_inputs, text_format
from ._usage import DONE, INCOMPLETE, UsageError, say

#: Complaints about single rows that are printed.
SHOWN = 3


def run(options: argparse.Namespace) -> int:
    """Predict as ``options`` say; return the exit code."""
    text_format(options)
    if options.out is not None:
        _refuse_inputs(options)
    if options.backend:
        kernels.use_backend(options.backend)
    model = Model.load(options.model, options.threads)
    if options.probabilities and not model.has_probabilities:
        raise UsageError("--probabilities: this model's outputs are no probabilities of classes")
    if options.memory is not None:
        return _in_blocks(options, model)
    findings = Findings(strict=False)
    output = model.outputs(load_inputs(options, model.preprocessing, findings))
    lines = _all if options.probabilities else _values if _is_real(model) else _best
    if options.out is None:
        _write(sys.stdout, *lines(model, output), findings)
    else:
        text = io.StringIO()
        _write(text, *lines(model, output), findings)
        write(options.out, text.getvalue().encode("utf-8", "backslashreplace"))
        n = len(output) - len(findings.bad)
        say(f"wrote {n:,} predictions to {shown(options.out)}")
    return tell(findings, len(output))


def _in_blocks(options: argparse.Namespace, model: Model) -> int:
    """Read, predict and write block by block."""
    check_blocks(options)
    pieces, columns = lines_of(options), model.preprocessing.columns
    if model.preprocessing.image_shape is not None:
        raise UsageError("--memory is for models of tables, and this one takes images")
    lines = _all if options.probabilities else _values if _is_real(model) else _best
    every, n = Findings(strict=False), 0
    with contextlib.ExitStack() as stack:
        file: TextIO = sys.stdout
        if options.out is not None:
            binary = stack.enter_context(replacement(options.out))
            file = io.TextIOWrapper(binary, "utf-8", "backslashreplace", write_through=True)
            stack.callback(file.detach)
        for i in range(len(pieces)):
            findings = Findings(strict=False)
            x = _tables.read_features(pieces.read(i), columns, findings, pieces.form)
            _write(file, *lines(model, model.outputs(x)), findings, header=i == 0)
            for row, complaint in findings.bad.items():
                every.bad[n + row] = pieces.named(i, complaint)
            for name, values in findings.unknown.items():
                every.unknown.setdefault(name, Counter()).update(values)
            every.filled.update(findings.filled)
            n += len(x)
    held = f"{len(pieces):,} blocks, at most {options.memory / 1e6:,.0f} MB of rows at a time"
    if options.out is not None:
        done = n - len(every.bad)
        say(f"wrote {done:,} predictions to {shown(options.out)}, in {held}")
    return tell(every, n)


def tell(findings: Findings, n_rows: int) -> int:
    """Say what was wrong with the rows; return the exit code."""
    for name, values in findings.unknown.items():
        examples = ", ".join(repr(value[:40]) for value in list(values)[:SHOWN])
        say(
            f"fastmlp: {sum(values.values()):,} rows have a value of {name!r} that training had "
            f"not ({examples}); it counts as none of the known ones",
            error=True,
        )
    if findings.filled:
        counts = ", ".join(f"{n:,} of {name!r}" for name, n in findings.filled.items())
        say(f"fastmlp: missing values were filled in: {counts}", error=True)
    for complaint in list(dict.fromkeys(findings.bad.values()))[:SHOWN]:
        say(f"fastmlp: {complaint}", error=True)
    if findings.bad:
        say(f"fastmlp: {len(findings.bad):,} of {n_rows:,} rows have no prediction", error=True)
    return INCOMPLETE if findings.bad else DONE


def _refuse_inputs(options: argparse.Namespace) -> None:
    """Predictions must not take the place of what they are made from."""
    out = Path(options.out)
    model = Path(options.model)
    for path in (model, model / FILE_NAME, Path(options.data)):
        same = os.path.realpath(path) == os.path.realpath(out)
        if same or (out.exists() and path.exists() and path.samefile(out)):
            raise UsageError(f"--out {shown(out)} would overwrite an input of the command")
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else f"there is no folder {shown(out.parent)}"
        raise UsageError(f"--out {shown(out)} cannot be written: {what}")


def _is_real(model: Model) -> bool:
    return model.preprocessing.task == "regression"


def _write(
    file: TextIO,
    names: list[str],
    lines: list[list[str]],
    findings: Findings,
    header: bool = True,
) -> None:
    writer = csv.writer(file, lineterminator="\n")
    if header:
        writer.writerow(names)
    for row in findings.bad:
        lines[row] = [""] * len(names)
    writer.writerows(lines)


def _values(model: Model, output: Array) -> tuple[list[str], list[list[str]]]:
    """Real values by target, with all their digits; beside them what is known of their spread."""
    prepare, exact = model.preprocessing, output.astype(np.float64)
    header, columns = list(prepare.target_names), [prepare.values(exact)]
    for name, values in prepare.spread(exact).items():
        header += [f"{target}_{name}" for target in prepare.target_names]
        columns.append(values)
    return header, [[repr(v) for v in row] for row in np.concatenate(columns, axis=1).tolist()]


def _best(model: Model, output: Array) -> tuple[list[str], list[list[str]]]:
    """Classes with the network's confidence in each."""
    prepare = model.preprocessing
    numbers = prepare.classes(output)
    scores = prepare.probabilities(output) if model.has_probabilities else output
    confidence = scores[np.arange(len(output)), np.minimum(numbers, scores.shape[1] - 1)]
    header = ["prediction", "probability" if model.has_probabilities else "score"]
    pairs = zip(numbers.tolist(), confidence, strict=True)
    return header, [[prepare.target_names[k], str(value)] for k, value in pairs]


def _all(model: Model, output: Array) -> tuple[list[str], list[list[str]]]:
    """Classes with the probabilities of all."""
    prepare = model.preprocessing
    table = prepare.probabilities(output)
    header = ["prediction", *(f"probability_{name}" for name in prepare.target_names)]
    rows = zip(prepare.classes(output).tolist(), table, strict=True)
    return header, [[prepare.target_names[k], *map(str, row)] for k, row in rows]
