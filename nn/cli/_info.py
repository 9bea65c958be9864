"""``fastmlp info``: versions, installed extras and the live backend."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata

from fastmlp import kernels

from ._usage import say, version

#: Extra → the package that it installs.
EXTRAS = {
    "numba": "numba",
    "sklearn": "scikit-learn",
    "plot": "matplotlib",
    "io": "safetensors",
    "cli": "rich",
}


def run(options: argparse.Namespace) -> int:
    """Print the report."""
    if options.backend:
        kernels.use_backend(options.backend)
    live = kernels.info()
    available = live["available"]
    assert isinstance(available, tuple)
    lines = {
        "fastmlp": version(),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "NumPy": metadata.version("numpy"),
        "backend": f"{live['backend']} (available: {', '.join(available)})",
        "instruction set": str(live["isa"]),
        "threads": str(live["n_threads"]),
    }
    for name, text in lines.items():
        say(f"{name:<16} {text}")
    say("extras")
    for extra, package in EXTRAS.items():
        say(f"  {extra:<14} {_installed(extra, package)}")
    return 0


def _installed(extra: str, package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"not installed (pip install 'fastmlp[{extra}]')"
