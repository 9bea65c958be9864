"""``fastmlp evaluate``: predictions compared with known targets."""

from __future__ import annotations

import argparse

import numpy as np
from fastmlp import kernels
from fastmlp.datasets._encoding import Findings

from .._files import shown
from .._model import Model
from ._predict import tell
from ._scores import baseline, details, measure, show, show_guess
from ._sources import load_labelled, text_format
from ._usage import say


def run(options: argparse.Namespace) -> int:
    """Evaluate as ``options`` say; return the exit code."""
    text_format(options)
    if options.backend:
        kernels.use_backend(options.backend)
    model = Model.load(options.model, options.threads)
    findings = Findings(strict=False)
    rows = load_labelled(options, model.preprocessing, findings)
    good = rows.take(np.setdiff1d(np.arange(len(rows)), list(findings.bad)))
    if not len(good):
        raise ValueError(
            f"{shown(options.data)} has no row to evaluate: {next(iter(findings.bad.values()))}"
        )
    output = model.outputs(good.x)
    say(f"rows     {len(good):,}")
    say(f"model    {show(measure(model.preprocessing, output, good.y))}")
    guess = baseline(model.preprocessing, good.y, good.y)
    say(f"baseline {show_guess(model.preprocessing, guess)}")
    for line in details(model, output, good.y):
        say(line)
    return tell(findings, len(rows))
