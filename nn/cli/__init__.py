"""The ``fastmlp`` command: train on a table or on images, predict, evaluate, say what is installed.

Exit codes: 0 done; 1 it failed (a file, the data, a backend); 2 the command line makes no sense;
3 some rows could not be read and have no prediction; 130 interrupted (Ctrl-C; the model of the
last finished step has been written).

The files: ``_usage`` what all share, ``_parser``, ``_arguments`` and ``_train_arguments``
the command line, ``_choices`` what follows from it, ``_sources`` where data comes from
and how it is split, ``_train``, ``_cross_validation``, ``_predict``, ``_evaluate``, ``_describe``,
``_export``, ``_info``, ``_warmup`` and ``_completion`` the commands, ``_progress`` what is seen
meanwhile, ``_scores`` how good predictions are, ``_report`` what is left behind, ``_resume`` what a
run goes on from. Commands are imported when they are asked for, which keeps ``--help`` quick.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from ._arguments import build_parser
from ._usage import DONE, FAILED, INTERRUPTED, USAGE, UsageError, say, silence

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
            command = importlib.import_module(f"._{options.command}", __name__)
            code = int(command.run(options))
            sys.stdout.flush()  # here, where a reader that has gone is no reason to complain
            return code
        except UsageError as error:
            say(f"fastmlp: {error}\nTry: fastmlp {options.command} --help", error=True)
            return USAGE
        except BrokenPipeError:
            # The reader has enough (… | head). The interpreter must not complain on its way out.
            silence(sys.stdout.fileno())
            return DONE
        except (ValueError, OSError, ImportError, MemoryError, NotImplementedError) as error:
            say(f"fastmlp: {_sentence(error)}", error=True)
            return FAILED
        except KeyboardInterrupt:
            say("\nfastmlp: interrupted", error=True)
            return INTERRUPTED


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
    say(f"fastmlp: {message}", error=True)
