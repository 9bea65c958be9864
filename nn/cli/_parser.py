"""Options that several commands have, and the parser that all are made of."""

from __future__ import annotations

import argparse
from typing import NoReturn, TypeAlias

from fastmlp import kernels

from . import _types


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
        "--sep", type=_types.sign, metavar="SIGN", help="between cells: , ; tab | (by the header)"
    )
    group.add_argument("--decimal", choices=(".", ","), help="before fractions (by the column)")
    group.add_argument(
        "--thousands", type=_types.sign, metavar="SIGN", help="in 1,234,567 (by the column)"
    )
    group.add_argument("--encoding", metavar="NAME", help="(default: UTF-8, or by the first bytes)")
    group.add_argument(
        "--no-header", action="store_true", help="the first line is data; columns are 1, 2, …"
    )


def add_machine(parser: argparse._ActionsContainer) -> None:
    """Options that say where the work is done."""
    parser.add_argument("--threads", type=_types.count, metavar="N", help="(default: usable CPUs)")
    parser.add_argument("--backend", choices=kernels.available())
