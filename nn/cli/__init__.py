"""The ``fastmlp`` command: train on a table or on images, predict, say what is installed.

Exit codes: 0 done; 1 it failed (a file, the data, a backend); 2 the command line makes no sense;
130 interrupted (Ctrl-C; the model of the last finished step has been written).

The files: ``_arguments`` the command line and ``_types`` of its options, ``_choices`` what follows
from them, ``_sources`` where data comes from and how it is split, ``_preprocessing`` scaling that
travels with the model, ``_train``, ``_predict``, ``_info`` and ``_warmup`` the commands,
``_progress`` what is seen meanwhile, ``_metrics``, ``_model`` and ``_report`` what is left behind.
Commands are imported when they are asked for, which keeps ``--help`` quick.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from ._arguments import build_parser
from ._usage import UsageError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``fastmlp``; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    parser = build_parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as request:  # argparse has printed help, the version or its complaint
        return int(request.code or 0)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = int(options.run(options))
            sys.stdout.flush()  # here, where a reader that has gone is no reason to complain
            return code
        except UsageError as error:
            print(f"fastmlp: {error}\nTry: fastmlp {options.command} --help", file=sys.stderr)
            return 2
        except BrokenPipeError:
            # The reader has enough (… | head). The interpreter must not complain on its way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (ValueError, OSError, ImportError, MemoryError, NotImplementedError) as error:
            print(f"fastmlp: {_sentence(error)}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nfastmlp: interrupted", file=sys.stderr)
            return 130


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    return str(error) or type(error).__name__


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A sentence for the person at the terminal instead of a place in the source."""
    print(f"fastmlp: {message}", file=file or sys.stderr)
