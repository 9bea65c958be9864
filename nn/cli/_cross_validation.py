"""``--cv K``: K trainings, each measured on rows that it has not seen."""

from __future__ import annotations

import argparse
import math
import warnings

import numpy as np
from fastmlp import MLP

from .._model import Preprocessing
from .._typing import Array
from ._choices import Plan, fit_arguments
from ._scores import measure, show
from ._sources import Rows, Source
from ._usage import UsageError, say


def cross_validate(options: argparse.Namespace, source: Source, plan: Plan) -> None:
    """Train on all folds but one, for each in turn, and say how good it is on that one.

    The test rows take no part. Every training has its own network from the seed, and no
    validation rows: stop rules that need them do not apply.
    """
    rows = source.train
    assert isinstance(rows, Rows)  # of blocks there is no --cv
    if source.validation is not None:
        assert isinstance(source.validation, Rows)
        parts = (rows, source.validation)
        rows = Rows(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))
    if options.patience:
        raise UsageError("--cv has no validation rows for --patience; choose --epochs instead")
    if options.cv > len(rows) // 2:
        raise UsageError(f"--cv {options.cv}: {len(rows)} rows are too few for so many folds")
    scores = []
    classes = source.preprocessing.task == "classification"
    folds = _folds(rows, options.cv, options.seed, classes)
    for k in range(options.cv):
        train, held_out = rows.take(folds != k), rows.take(folds == k)
        measures = _measure_fold(options, source.preprocessing, plan, train, held_out)
        say(f"fold {k + 1:<3} {show(measures)} ({len(held_out):,} rows)")
        scores.append(measures)
    shown = []
    for name in scores[0]:
        values = np.array([score[name] for score in scores])
        mean, deviation = values.mean(), values.std(ddof=1)
        if name == "accuracy":
            shown.append(f"accuracy {100 * mean:.2f} ± {100 * deviation:.2f} %")
        else:
            title = {"rmse": "RMSE", "r2": "R²"}[name]
            shown.append(f"{title} {mean:.4g} ± {deviation:.2g}")
    say(f"{options.cv} folds  {', '.join(shown)} (mean ± standard deviation)")


def _measure_fold(
    options: argparse.Namespace, prepare: Preprocessing, plan: Plan, train: Rows, held_out: Rows
) -> dict[str, float]:
    network = MLP(
        plan.sizes,
        activation=options.activation,
        output=plan.output,
        dtype=options.dtype,
        random_state=options.seed,
        n_threads=options.threads,
    )
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the loss became")
        history = network.fit(
            prepare.inputs(train.x, options.dtype),
            prepare.targets(train.y, options.dtype),
            **fit_arguments(options, plan),
            stop=plan.stop,
        )
    if not math.isfinite(history.loss[-1]):
        raise ValueError(
            "the loss is not finite any more in a fold of --cv. Try a lower --learning-rate than "
            f"{plan.optimizer.learning_rate:g}"
        )
    output = np.asarray(network.predict(prepare.inputs(held_out.x, network.dtype)))
    return measure(prepare, output, held_out.y)


def _folds(rows: Rows, k: int, seed: int, stratify: bool) -> Array:
    """The fold of each row, drawn at random; every class is dealt to the folds in turn."""
    order = np.random.default_rng(seed + 2).permutation(len(rows))
    if stratify:
        order = order[np.argsort(rows.y[order], kind="stable")]
    folds = np.empty(len(rows), np.intp)
    folds[order] = np.arange(len(rows)) % k
    return folds
