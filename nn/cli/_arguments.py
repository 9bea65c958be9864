"""The command line: words, their types, and what each option means."""

from __future__ import annotations

import argparse
from typing import NoReturn

from fastmlp import kernels

from . import _types
from ._usage import NAMED_DATA, OPTIMIZERS, SCHEDULES, version

TRAIN_EXAMPLES = """\
examples:
  fastmlp train digits
  fastmlp train mnist --data-dir data/mnist --layers 100 --epochs 10
  fastmlp train houses.csv --target price --layers 64,32 --out houses
  fastmlp train digits --optimizer adamw --schedule cosine --dropout 0.2 --patience 20

Writes model.safetensors, history.json and learning_curve.png into the output folder.
"""
PREDICT_EXAMPLES = """\
examples:
  fastmlp predict houses new_houses.csv
  fastmlp predict fastmlp-digits digits --out predictions.csv
  fastmlp predict fastmlp-mnist data/mnist/t10k-images-idx3-ubyte.gz
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a line or two, without the whole list of options."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser; the chosen command is ``options.run``."""
    parser = Parser(
        prog="fastmlp",
        description="Multilayer perceptrons at the speed of the hardware.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_predict(commands)
    info = commands.add_parser("info", help="version, live backend, installed extras")
    info.add_argument("--backend", choices=("compiled", "numba", "reference"))
    info.set_defaults(run=_run_info)
    _add_warmup(commands)
    return parser


def _add_train(commands: argparse._SubParsersAction[Parser]) -> None:
    train = commands.add_parser(
        "train",
        help="train a network on digits, MNIST files or a table",
        description="Split the data, scale it, train a network and test it.",
        epilog=TRAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.set_defaults(run=_run_train)
    data = train.add_argument_group("data")
    data.add_argument("data", metavar="DATA", help=f"{', '.join(NAMED_DATA)}, or a CSV or NPZ file")
    data.add_argument("--data-dir", metavar="DIR", help="folder of the four IDX files (mnist)")
    data.add_argument(
        "--target", metavar="COLUMN", help="what to predict: a column, or several a,b (tables)"
    )
    data.add_argument(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="whether the target names classes (tables; default: by its values)",
    )
    data.add_argument(
        "--validation",
        type=_types.share,
        default=0.1,
        metavar="SHARE",
        help="share of the training rows that is kept for validation (default 0.1; 0: none)",
    )
    data.add_argument(
        "--test",
        type=_types.open_share,
        metavar="SHARE",
        help="share of all rows that is kept for the test (default 0.2; mnist has its own rows)",
    )

    network = train.add_argument_group("network")
    network.add_argument(
        "--layers",
        type=_types.layers,
        default=(100,),
        metavar="SIZES",
        help="hidden layers: 100, or 64,32; 'none' for a linear model (default 100)",
    )
    network.add_argument("--activation", choices=kernels.ACTIVATIONS, default="relu")
    network.add_argument(
        "--output", choices=kernels.OUTPUTS, help="output activation (default: by task and loss)"
    )
    network.add_argument("--loss", choices=kernels.LOSSES, help="(default: by the output)")
    network.add_argument("--dtype", choices=("float32", "float64"), default="float32")

    descent = train.add_argument_group("descent")
    descent.add_argument(
        "--optimizer", default="adam", metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (adam)"
    )
    descent.add_argument(
        "--learning-rate",
        type=_types.positive,
        metavar="RATE",
        help="(default: the optimizer's: adam 0.001, sgd 0.1)",
    )
    descent.add_argument(
        "--schedule",
        default="constant",
        metavar="NAME",
        help=f"of the learning rate: {', '.join(SCHEDULES)} (constant)",
    )
    descent.add_argument("--momentum", type=_types.share, metavar="μ", help="of sgd (default 0)")
    descent.add_argument("--nesterov", action="store_true", help="Nesterov's momentum, for sgd")
    descent.add_argument(
        "--batch-size", type=_types.count, default=32, metavar="ROWS", help="(default 32)"
    )
    descent.add_argument(
        "--epochs",
        type=_types.count,
        metavar="N",
        help="(default: digits 60, mnist 10, tables 100)",
    )
    descent.add_argument("--seed", type=_types.seed, default=0, metavar="N", help="(default 0)")

    restraint = train.add_argument_group("restraint")
    restraint.add_argument(
        "--l1", type=_types.not_negative, default=0.0, metavar="λ", help="penalty λ Σ|W|"
    )
    restraint.add_argument(
        "--l2", type=_types.not_negative, default=0.0, metavar="λ", help="penalty ½ λ Σ W²"
    )
    restraint.add_argument(
        "--weight-decay", type=_types.not_negative, metavar="λ", help="decoupled, of the optimizer"
    )
    restraint.add_argument(
        "--dropout", type=_types.share, default=0.0, metavar="SHARE", help="of hidden units"
    )
    restraint.add_argument(
        "--clip-norm", type=_types.positive, metavar="NORM", help="longer gradients are shortened"
    )
    restraint.add_argument(
        "--label-smoothing",
        type=_types.share,
        default=0.0,
        metavar="SHARE",
        help="of cross-entropies",
    )
    restraint.add_argument(
        "--balanced", action="store_true", help="classes weigh the same, however rare"
    )
    restraint.add_argument(
        "--patience",
        type=_types.count,
        metavar="N",
        help="stop after N epochs without a lower validation loss, and keep the best weights",
    )
    restraint.add_argument(
        "--time-limit", type=_types.positive, metavar="SECONDS", help="stop training after that"
    )

    machine = train.add_argument_group("machine and output")
    machine.add_argument("--threads", type=_types.count, metavar="N", help="(default: usable CPUs)")
    machine.add_argument("--backend", choices=("compiled", "numba", "reference"))
    machine.add_argument(
        "--out", metavar="FOLDER", help="what is written goes here (default fastmlp-NAME)"
    )
    machine.add_argument("--quiet", action="store_true", help="no progress, only the results")


def _add_predict(commands: argparse._SubParsersAction[Parser]) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict with a model that fastmlp train wrote",
        description="Print predictions as CSV, one line for each row of the data.",
        epilog=PREDICT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.set_defaults(run=_run_predict)
    predict.add_argument("model", metavar="MODEL", help="the model, or the folder it was put in")
    predict.add_argument(
        "data",
        metavar="DATA",
        help="CSV or NPZ file, IDX file of images, digits, or (mnist with --data-dir) test images",
    )
    predict.add_argument("--data-dir", metavar="DIR", help="folder of the four IDX files (mnist)")
    predict.add_argument("--out", metavar="FILE", help="write there instead of printing")
    predict.add_argument("--threads", type=_types.count, metavar="N", help="(default: usable CPUs)")
    predict.add_argument("--backend", choices=("compiled", "numba", "reference"))


def _add_warmup(commands: argparse._SubParsersAction[Parser]) -> None:
    warmup = commands.add_parser(
        "warmup",
        help="compile the Numba backend's kernels ahead of time",
        description="Compile what the Numba backend would compile at first use, for this CPU, and "
        "keep it in the user's cache folder (FASTMLP_CACHE_DIR moves it).",
    )
    warmup.set_defaults(run=_run_warmup)
    warmup.add_argument(
        "--dtype", choices=("float32", "float64", "both"), default="float32", help="(float32)"
    )
    warmup.add_argument(
        "--threads", type=_types.count, metavar="N", help="1 leaves out what several threads need"
    )


def _run_warmup(options: argparse.Namespace) -> int:
    from ._warmup import run

    return run(options)


def _run_train(options: argparse.Namespace) -> int:
    from ._train import run

    return run(options)


def _run_predict(options: argparse.Namespace) -> int:
    from ._predict import run

    return run(options)


def _run_info(options: argparse.Namespace) -> int:
    from ._info import run

    return run(options)
