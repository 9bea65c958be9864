"""The parser that all commands are made of, types of options, and those that several have.

Of a type argparse prints what its ``ArgumentTypeError`` says after the option's name.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NoReturn, TypeAlias

from fastmlp import kernels

from ..data._source import bytes_of

#: Larger counts overflow somewhere below; there is no use for them.
LARGEST_COUNT = 2**31 - 1
SMALLEST_MEMORY = 10**6


def count(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, 1)


def seed(text: str) -> int:
    """A whole number of at least 0."""
    return _whole(text, 0)


def folds(text: str) -> int:
    """A whole number of at least 2."""
    return _whole(text, 2)


def number(text: str) -> float:
    """Any number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None


def positive(text: str) -> float:
    """A number above 0."""
    value = number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def not_negative(text: str) -> float:
    """A number of at least 0."""
    value = number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return value


def share(text: str) -> float:
    """A number of at least 0 and below 1."""
    value = number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 0 and below 1, got {text!r}")
    return value


def share_or_file(text: str) -> float | Path:
    """A number of at least 0 and below 1, or the name of a file."""
    try:
        float(text)
    except ValueError:
        return Path(text)
    return share(text)


def open_share(text: str) -> float:
    """A number between 0 and 1."""
    value = number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, got {text!r}")
    return value


def layers(text: str) -> tuple[int, ...]:
    """Sizes of hidden layers."""
    if text == "none":
        return ()
    try:
        return tuple(count(part.strip()) for part in text.split(","))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"expected sizes of hidden layers such as 100 or 64,32, got {text!r}"
        ) from None


def levels(text: str) -> tuple[float, ...]:
    """Rising numbers between 0 and 1."""
    found = tuple(open_share(part.strip()) for part in text.split(","))
    if list(found) != sorted(set(found)):
        raise argparse.ArgumentTypeError(
            f"expected rising levels such as 0.05,0.5,0.95, got {text!r}"
        )
    return found


def names(text: str) -> list[str]:
    """Names of columns, with commas between them."""
    return [name.strip() for name in text.split(",")]


def sign(text: str) -> str:
    """One character; words for those that a shell swallows."""
    found = {"tab": "\t", "\\t": "\t", "space": " ", "none": ""}.get(text, text)
    if len(found) > 1:
        raise argparse.ArgumentTypeError(f"expected one character, got {text!r}")
    return found


def memory(text: str) -> int:
    """A number of bytes, such as 500M or 2G; at least a megabyte."""
    try:
        found = bytes_of(text)
    except ValueError:
        found = 0
    if found < SMALLEST_MEMORY:
        raise argparse.ArgumentTypeError(
            f"expected a size of at least 1M such as 500M or 2G, got {text[:40]!r}"
        )
    return found


def _whole(text: str, smallest: int) -> int:
    plain = text.isascii() and text.isdecimal() and len(text) < 20
    if not plain or int(text) < smallest:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at least {smallest}, got {text[:40]!r}"
        )
    if int(text) > LARGEST_COUNT:
        raise argparse.ArgumentTypeError(f"expected at most {LARGEST_COUNT}, got {text!r}")
    return int(text)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a line or two, without the whole list of options."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


#: What ``add_subparsers`` returns.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_command(
    commands: Commands, name: str, summary: str, description: str = "", examples: str = ""
) -> Parser:
    """A command; an option must be written out (``--drop`` is not ``--dropout``)."""
    return commands.add_parser(
        name,
        help=summary,
        description=description or None,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_text_format(parser: argparse.ArgumentParser) -> None:
    """Options that say how a text file is written."""
    group = parser.add_argument_group("tables (what a file does not say itself)")
    group.add_argument(
        "--sep", type=sign, metavar="SIGN", help="between cells: , ; tab | (by the header)"
    )
    group.add_argument("--decimal", choices=(".", ","), help="before fractions (by the column)")
    group.add_argument(
        "--thousands", type=sign, metavar="SIGN", help="in 1,234,567 (by the column)"
    )
    group.add_argument("--encoding", metavar="NAME", help="(default: UTF-8, or by the first bytes)")
    group.add_argument(
        "--no-header", action="store_true", help="the first line is data; columns are 1, 2, …"
    )


def add_memory(parser: argparse._ActionsContainer) -> None:
    """The option that reads a table block by block."""
    parser.add_argument(
        "--memory",
        type=memory,
        metavar="SIZE",
        help="read a CSV file block by block, however large it is, and hold at most so much of its "
        "rows at a time: 500M, 2G (targets and predictions are held beside them)",
    )


def add_machine(parser: argparse._ActionsContainer) -> None:
    """Options that say where the work is done."""
    parser.add_argument("--threads", type=count, metavar="N", help="(default: usable CPUs)")
    parser.add_argument("--backend", choices=kernels.available())
