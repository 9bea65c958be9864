"""The options of ``fastmlp train``, group by group."""

from __future__ import annotations

import argparse

from fastmlp import kernels

from . import _parser as types
from ._parser import Commands, add_command, add_machine, add_memory, add_text_format
from ._usage import GAUSSIAN, NAMED_DATA, OPTIMIZERS, SCHEDULES

EXAMPLES = """\
examples:
  fastmlp train digits
  fastmlp train mnist --data-dir data/mnist --layers 100 --epochs 10
  fastmlp train houses.csv --target price --layers 64,32 --out houses
  fastmlp train digits --optimizer adamw --schedule cosine --dropout 0.2 --patience 20
  fastmlp train houses.csv --target price --out houses --resume --epochs 500

Writes model.safetensors, history.json, learning_curve.png and run.safetensors (what --resume goes
on from) into the output folder.
"""


def add_train(commands: Commands) -> None:
    """The command with all its groups."""
    train = add_command(
        commands,
        "train",
        "train a network on digits, MNIST files or a table",
        "Split the data, scale it, train a network, and test it beside the plainest guess.",
        EXAMPLES,
    )
    _add_data(train)
    _add_parts(train)
    add_text_format(train)
    _add_network(train.add_argument_group("network"))
    _add_descent(train.add_argument_group("descent"))
    _add_regularisation(train.add_argument_group("regularisation"))
    machine = train.add_argument_group("machine and output")
    add_machine(machine)
    add_memory(machine)
    machine.add_argument(
        "--out", metavar="FOLDER", help="what is written goes here (default fastmlp-NAME)"
    )
    machine.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in the output folder until --epochs are done, to the bit as if it "
        "had never ended; all other options as they were",
    )
    machine.add_argument(
        "--mpi",
        action="store_true",
        help="share every batch with the other processes of an MPI job (mpiexec -n 4 fastmlp train "
        "... --mpi): the same bits for 1, 2, 4 and 8",
    )
    machine.add_argument("--quiet", action="store_true", help="no progress, only the results")


def _add_data(train: argparse.ArgumentParser) -> None:
    data = train.add_argument_group("data")
    data.add_argument(
        "data",
        metavar="DATA",
        help=f"{', '.join(NAMED_DATA)}, or a table: CSV, NPZ, Parquet or Excel file; - reads CSV "
        "from standard input",
    )
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
        "--drop", type=types.names, default=[], metavar="COLUMNS", help="not to be used: a,b"
    )
    data.add_argument(
        "--keep",
        type=types.names,
        default=[],
        metavar="COLUMNS",
        help="to be used even where they look like identifiers",
    )
    data.add_argument(
        "--missing",
        choices=("impute", "drop", "error"),
        default="impute",
        help="missing values (empty, NA, none, ?, …): fill in and mark, leave the row out, or stop "
        "(default impute)",
    )
    data.add_argument(
        "--bad-rows",
        choices=("error", "skip"),
        default="error",
        help="rows of another length, text among numbers: stop, or leave the row out",
    )


def _add_parts(train: argparse.ArgumentParser) -> None:
    parts = train.add_argument_group("validation and test")
    parts.add_argument(
        "--validation",
        type=types.share_or_file,
        default=0.1,
        metavar="SHARE",
        help="share of the training rows that is kept for validation (default 0.1; 0: none), or a "
        "table with such rows",
    )
    parts.add_argument(
        "--test",
        type=types.open_share,
        metavar="SHARE",
        help="share of all rows that is kept for the test (default 0.2; mnist has its own rows)",
    )
    parts.add_argument(
        "--cv",
        type=types.folds,
        metavar="K",
        help="before that, cross-validate: K trainings, each measured on another part of the rows",
    )


def _add_network(network: argparse._ArgumentGroup) -> None:
    network.add_argument(
        "--layers",
        type=types.layers,
        default=(100,),
        metavar="SIZES",
        help="hidden layers: 100, or 64,32; 'none' for a linear model (default 100)",
    )
    network.add_argument("--activation", choices=kernels.ACTIVATIONS, default="relu")
    network.add_argument(
        "--output", choices=kernels.OUTPUTS, help="output activation (default: by task and loss)"
    )
    network.add_argument(
        "--loss",
        choices=(*kernels.LOSSES, GAUSSIAN),
        help="(default: by the output); gaussian_nll learns a mean and a standard deviation",
    )
    network.add_argument(
        "--quantiles",
        type=types.levels,
        metavar="LEVELS",
        help="learn these quantiles of each target, such as 0.05,0.5,0.95",
    )
    network.add_argument("--dtype", choices=("float32", "float64"), default="float32")


def _add_descent(descent: argparse._ArgumentGroup) -> None:
    descent.add_argument(
        "--optimizer", default="adam", metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (adam)"
    )
    descent.add_argument(
        "--learning-rate",
        type=types.positive,
        metavar="RATE",
        help="(default: the optimizer's: adam 0.001, sgd 0.1)",
    )
    descent.add_argument(
        "--schedule",
        default="constant",
        metavar="NAME",
        help=f"of the learning rate: {', '.join(SCHEDULES)} (constant)",
    )
    descent.add_argument("--momentum", type=types.share, metavar="μ", help="of sgd (default 0)")
    descent.add_argument("--nesterov", action="store_true", help="Nesterov's momentum, for sgd")
    descent.add_argument(
        "--batch-size", type=types.count, default=32, metavar="ROWS", help="(default 32)"
    )
    descent.add_argument(
        "--epochs",
        type=types.count,
        metavar="N",
        help="(default: digits 60, mnist 10, tables 100)",
    )
    descent.add_argument("--seed", type=types.seed, default=0, metavar="N", help="(default 0)")


def _add_regularisation(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--l1", type=types.not_negative, default=0.0, metavar="λ", help="penalty λ Σ|W|"
    )
    group.add_argument(
        "--l2", type=types.not_negative, default=0.0, metavar="λ", help="penalty ½ λ Σ W²"
    )
    group.add_argument(
        "--weight-decay", type=types.not_negative, metavar="λ", help="decoupled, of the optimizer"
    )
    group.add_argument(
        "--dropout", type=types.share, default=0.0, metavar="SHARE", help="of hidden units"
    )
    group.add_argument(
        "--clip-norm", type=types.positive, metavar="NORM", help="longer gradients are shortened"
    )
    group.add_argument(
        "--label-smoothing",
        type=types.share,
        default=0.0,
        metavar="SHARE",
        help="of cross-entropies",
    )
    group.add_argument(
        "--balanced", action="store_true", help="classes weigh the same, however rare"
    )
    group.add_argument(
        "--patience",
        type=types.count,
        metavar="N",
        help="stop after N epochs without a lower validation loss, and keep the best weights",
    )
    group.add_argument(
        "--time-limit", type=types.positive, metavar="SECONDS", help="stop training after that"
    )
