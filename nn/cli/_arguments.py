"""The command line: its words, their types, and what each option means."""

from __future__ import annotations

import argparse

from fastmlp import kernels

from . import _parser as types
from ._parser import Commands, Parser, add_command, add_machine, add_memory, add_text_format
from ._train_arguments import add_train
from ._usage import NAMED_DATA, version

PREDICT_EXAMPLES = """\
examples:
  fastmlp predict houses new_houses.csv
  fastmlp predict fastmlp-digits digits --out predictions.csv
  fastmlp predict fastmlp-mnist data/mnist/t10k-images-idx3-ubyte.gz

Rows that cannot be read get an empty prediction; the exit code is then 3.
"""
EVALUATE_EXAMPLES = """\
examples:
  fastmlp evaluate houses more_houses.csv
  fastmlp evaluate fastmlp-mnist mnist --data-dir data/mnist
"""


COMPLETION = """\
Print a script; where it goes depends on the shell, for instance
  fastmlp completion bash > ~/.local/share/bash-completion/completions/fastmlp
  fastmlp completion zsh > ~/.zfunc/_fastmlp     (with ~/.zfunc in fpath)
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser; the name of the chosen command is ``options.command``."""
    parser = Parser(
        prog="fastmlp",
        description="Multilayer perceptrons at the speed of the hardware.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong command line, 3 some rows could not be "
        "predicted, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    info = add_command(commands, "info", "version, live backend, installed extras")
    info.add_argument("--backend", choices=kernels.available())
    _add_describe(commands)
    _add_export(commands)
    _add_warmup(commands)
    completion = add_command(commands, "completion", "print the completion of a shell", COMPLETION)
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def _add_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model, or the folder it was put in")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="table (CSV, NPZ, Parquet, Excel; - reads CSV from standard input), IDX file of "
        f"images, digits, or ({' and '.join(NAMED_DATA[1:])} with --data-dir) test images",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the four IDX files (mnist)")


def _add_predict(commands: Commands) -> None:
    predict = add_command(
        commands,
        "predict",
        "predict with a model that fastmlp train wrote",
        "Print predictions as CSV, one line for each row of the data.",
        PREDICT_EXAMPLES,
    )
    _add_rows(predict)
    predict.add_argument("--out", metavar="FILE", help="write there instead of printing")
    predict.add_argument(
        "--probabilities", action="store_true", help="those of all classes, a column each"
    )
    add_machine(predict)
    add_memory(predict)
    add_text_format(predict)


def _add_evaluate(commands: Commands) -> None:
    evaluate = add_command(
        commands,
        "evaluate",
        "measure a model on data with known targets",
        "Compare predictions with the target column: accuracy and a table by class, or RMSE, R².",
        EVALUATE_EXAMPLES,
    )
    _add_rows(evaluate)
    add_machine(evaluate)
    add_text_format(evaluate)


def _add_describe(commands: Commands) -> None:
    describe = add_command(
        commands,
        "describe",
        "say what is in a table",
        "One line for each column: what fastmlp train would take it for, what it holds.",
    )
    describe.add_argument("data", metavar="DATA", help="CSV (- reads standard input), Parquet, …")
    add_text_format(describe)


def _add_export(commands: Commands) -> None:
    export = add_command(
        commands,
        "export",
        "a trained model as ONNX, or as a header for C",
        "Write the network with the scaling of its inputs and targets inside of it.",
    )
    export.add_argument("model", metavar="MODEL", help="the model, or the folder it was put in")
    export.add_argument("--onnx", metavar="FILE", help="ONNX (needs fastmlp[onnx])")
    export.add_argument("--c", metavar="FILE", help="a C99 header without dependencies")


def _add_warmup(commands: Commands) -> None:
    warmup = add_command(
        commands,
        "warmup",
        "compile the Numba backend's kernels ahead of time",
        "Compile what the Numba backend would compile at first use, for this CPU, and\n"
        "keep it in the user's cache folder (FASTMLP_CACHE_DIR moves it).",
    )
    warmup.add_argument(
        "--dtype", choices=("float32", "float64", "both"), default="float32", help="(float32)"
    )
    warmup.add_argument(
        "--threads", type=types.count, metavar="N", help="1 leaves out what several threads need"
    )
