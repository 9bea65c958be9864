"""``fastmlp export``: a trained model for other programs."""

from __future__ import annotations

import argparse

from .._files import shown
from .._model import Model
from ._usage import DONE, UsageError, say


def run(options: argparse.Namespace) -> int:
    """Export as ``options`` say; return the exit code."""
    if options.onnx is None and options.c is None:
        raise UsageError("into what? Say --onnx FILE, --c FILE, or both")
    model = Model.load(options.model)
    network = model.raw_network()
    if options.onnx is not None:
        network.to_onnx(options.onnx)
        say(f"wrote {shown(options.onnx)}: input X, output predict")
    if options.c is not None:
        network.to_c(options.c)
        say(f"wrote {shown(options.c)}: a C99 header, linked with -lm")
    prepare = model.preprocessing
    if prepare.image_shape is not None:
        height, width = prepare.image_shape
        say(f"inputs   {height} × {width} pixels as they are in the files, row by row")
    else:
        names = [name for column in prepare.columns for name in column.feature_names]
        say(f"inputs   {len(names)}, not scaled, in this order:")
        for number, name in enumerate(names):
            say(f"  {number:4}  {name}")
    what = "values of" if prepare.task == "regression" else "the classes"
    say(f"outputs  {what} {', '.join(prepare.target_names)}")
    return DONE
