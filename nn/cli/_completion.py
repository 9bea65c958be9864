"""``fastmlp completion``: what a shell completes after ``fastmlp``."""

from __future__ import annotations

import argparse

from ._usage import DONE


def run(options: argparse.Namespace) -> int:
    """Print the script for a shell; return the exit code."""
    try:
        import shtab
    except ImportError as error:
        message = "fastmlp completion needs shtab: pip install 'fastmlp[completion]'"
        raise ImportError(message) from error
    from ._arguments import build_parser

    print(shtab.complete(build_parser(), shell=options.shell))
    return DONE
