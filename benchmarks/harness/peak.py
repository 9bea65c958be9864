"""The FMA peak of the machine: what a core computes when nothing but arithmetic limits it.

A C function of independent chains of fused multiply-adds is compiled into a temporary folder, for
the machine's widest instruction set or the one that FASTMLP_ISA names. Where there is no C
compiler, a large matrix product of NumPy stands in, which reaches some 90-97 % of the peak;
``Peak.source`` says which one it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from . import machine

#: Instruction set → compiler flags, bytes of a vector, vector registers to use as accumulators.
#: Twelve chains hide the latency of AVX2 machines (eight do not on Zen 3) and leave registers for
#: the factor and the addend; the others have 32 registers.
TARGETS = {
    "avx512": (["-mavx512f", "-mfma", "-mprefer-vector-width=512"], 64, 24),
    "avx2": (["-mavx2", "-mfma"], 32, 12),
    "neon": ([], 16, 24),
    "baseline": ([], 16, 12),
}
#: Passes of a call: a third of a millisecond; with several threads so many that starting them, some
#: 50 µs, is less than one per cent.
PASSES_OF_ONE, PASSES_OF_SEVERAL = 100_000, 4_000_000


def c_source(vector_bytes: int, chains: int) -> str:
    """C text of ``fma_float32`` and ``fma_float64``; unrolled, so that chains stay in registers."""
    text = ""
    for dtype, c_type in (("float32", "float"), ("float64", "double")):
        start = "\n".join(f"    V{dtype} a{j} = x + {j};" for j in range(chains))
        steps = "\n".join(f"        a{j} = a{j} * x + y;" for j in range(chains))
        total = " + ".join(f"a{j}" for j in range(chains))
        text += f"""
typedef {c_type} V{dtype} __attribute__((vector_size({vector_bytes})));
{c_type} fma_{dtype}(long passes) {{
    V{dtype} x = (V{dtype}){{0}} + ({c_type})0.999, y = (V{dtype}){{0}} + ({c_type})1e-6;
{start}
    for (long i = 0; i < passes; i++) {{
{steps}
    }}
    V{dtype} total = {total};
    return total[0];
}}
"""
    return text


def _library(instruction_set: str) -> ctypes.CDLL | None:
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    compiler = next((path for name in names if name and (path := shutil.which(name))), None)
    if compiler is None:
        return None
    flags, vector_bytes, chains = TARGETS[instruction_set]
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "peak.c", Path(folder) / "peak.so"
        source.write_text(c_source(vector_bytes, chains))
        command = [compiler, "-O2", "-ffp-contract=fast", "-fPIC", "-shared", *flags]
        # A compiler too old for the flags or that builds nothing loadable is none.
        with contextlib.suppress(subprocess.CalledProcessError, OSError):
            subprocess.run(
                [*command, str(source), "-o", str(library)], check=True, capture_output=True
            )
            return ctypes.CDLL(str(library))
    return None


class Peak:
    """A contender that only multiplies and adds, on ``n_threads`` cores at once.

    ``run`` is what to time, ``flops`` what one call of it computes.
    """

    def __init__(self, dtype: str, n_threads: int) -> None:
        self.n_threads = n_threads
        instruction_set = machine.instruction_set()
        library = _library(instruction_set)
        self._work: Callable[[], object]
        if library is None:
            n = 1024
            a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
            out = np.empty_like(a)
            self.run: Callable[[], object] = lambda: np.matmul(a, a, out=out)
            self.flops = 2 * n**3
            self.source = f"numpy matmul of {n} x {n}, a stand-in: no C compiler was found"
            return
        _, vector_bytes, chains = TARGETS[instruction_set]
        function = getattr(library, f"fma_{dtype}")
        function.argtypes = [ctypes.c_long]
        function.restype = ctypes.c_float if dtype == "float32" else ctypes.c_double
        lanes = vector_bytes // np.dtype(dtype).itemsize
        passes = PASSES_OF_ONE if n_threads == 1 else PASSES_OF_SEVERAL
        self._work = lambda: function(passes)  # ctypes releases the GIL
        self.run = self._work if n_threads == 1 else self._run_on_all
        self.flops = passes * chains * lanes * 2 * n_threads
        self.source = f"C, {instruction_set}, {chains} chains of {lanes} {dtype}"

    def _run_on_all(self) -> None:
        others = [threading.Thread(target=self._work) for _ in range(self.n_threads - 1)]
        for thread in others:
            thread.start()
        self._work()
        for thread in others:
            thread.join()
