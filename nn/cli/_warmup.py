"""``fastmlp warmup``: compile the Numba backend's kernels before they are needed."""

from __future__ import annotations

import argparse
import time

from fastmlp import kernels

from ._usage import say

#: ``--dtype`` → sizes of an element.
ITEMSIZES = {"float32": (4,), "float64": (8,), "both": (4, 8)}


def run(options: argparse.Namespace) -> int:
    """Compile, say what and where to."""
    with kernels.use_backend("numba"):
        warmer = kernels.active()
        live = kernels.info()
        threads = options.threads or int(str(live["n_threads"]))
        say(f"instruction set  {live['isa']}\nfolder           {warmer.cache_folder()}")
        start, compiled, found = time.perf_counter(), 0, 0
        for step in warmer.warm_up(ITEMSIZES[options.dtype], threads):
            if step.compiled:
                compiled += 1
                say(f"{step.seconds:8.2f} s       {step.name}")
            else:
                found += 1
        seconds = time.perf_counter() - start
        say(f"{compiled} compiled, {found} were there: {seconds:.1f} s")
    return 0
