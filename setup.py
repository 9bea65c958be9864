"""Builds the compiled kernels; everything else about the package stands in pyproject.toml.

Two C sources, ``kernels.c`` and ``lanes.c`` in ``kernels/compiled/src/passes``, are compiled once
per instruction set and precision, each with its own flags; which of them runs is decided at import.
Without a C compiler the build still succeeds and fastmlp runs on Numba or NumPy;
``FASTMLP_REQUIRE_COMPILED=1`` turns that into an error.
"""

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

if sys.platform == "darwin":
    # A universal Python would compile every file for both architectures at once, which flags for
    # one instruction set cannot follow.
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")

SOURCES = Path("kernels/compiled/src")
# Compiled once, unlike those in passes.
C_FILES = (
    "engine/caches",
    "engine/calls",
    "engine/derivatives",
    "engine/dispatch",
    "engine/engine",
    "engine/gauss_newton",
    "engine/lanes",
    "engine/memory",
    "engine/names",
    "engine/predictions",
    "engine/ranges",
    "engine/sparse",
    "threads/pool",
    "threads/tuner",
)
# No -ffast-math: the kernels must see NaN, and at link time it would flush subnormal numbers to
# zero in the whole process. Contraction is off so that every FMA is one that the source spells out.
FLAGS = [
    "-std=gnu11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
]
# Those in passes are compiled once for each of these and each precision. A new instruction set goes
# here, into simd.h and into dispatch.c.
ISA_FLAGS = {
    "x86": {
        "BASELINE": ["-march=x86-64-v2"],
        # Chains of operations that stand side by side (GROUP in simd.h) are interleaved; in SSE's
        # code that costs more than it gains.
        "AVX2": ["-march=x86-64-v3", "-fschedule-insns", "-fsched-pressure"],
        "AVX512": [
            "-march=x86-64-v4",
            "-mprefer-vector-width=512",
            "-fschedule-insns",
            "-fsched-pressure",
        ],
    },
    "arm": {"NEON": []},
    "other": {"BASELINE": []},
}


if "-g" not in os.environ.get("CFLAGS", "").split():
    # Python's own flags ask for debug information: seven eighths of the library, and never loaded.
    FLAGS = [*FLAGS, "-g0"]
if sys.platform == "win32":
    # gcc does not align the stack of 64-bit Windows for vectors of 32 bytes.
    FLAGS = [*FLAGS, "-Wa,-muse-unaligned-vector-move"]


def architecture() -> str:
    """The key into ISA_FLAGS for the machine that is built for."""
    machine = os.environ.get("ARCHFLAGS", platform.machine()).lower()
    if "arm64" in machine or "aarch64" in machine:
        return "arm"
    return "x86" if "x86_64" in machine or "amd64" in machine else "other"


def say_loudly(text: str) -> None:
    """Print to the terminal itself too: pip keeps a successful build's output to itself."""
    print(text, file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        try:
            with open("/dev/tty", "w") as terminal:  # noqa: PTH123 - not a file to read or keep
                terminal.write(text + "\n")
        except OSError:
            pass  # nobody sits at one; kernels.info() and the first use still say it


class BuildKernels(build_ext):
    """Compiles each instruction set's file with its own flags; survives a missing compiler."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.cython_c_in_temp = True  # no generated C beside the sources, or in an sdist

    def compile_kernels(self, ext: Extension, isa: tuple[str, list[str]], bits: str) -> list[str]:
        """One instruction set and precision."""
        name, flags = isa
        objects: list[str] = self.compiler.compile(
            [str(SOURCES / f"passes/{file}.c") for file in ("kernels", "lanes")],
            output_dir=str(Path(self.build_temp, f"{name}_{bits}")),
            macros=[(f"FASTMLP_ISA_{name}", "1"), ("FASTMLP_REAL_BITS", bits)],
            include_dirs=ext.include_dirs,
            extra_postargs=[*FLAGS, *flags],
        )
        return objects

    def build_extension(self, ext: Extension) -> None:
        try:
            pairs = product(ISA_FLAGS[architecture()].items(), ("32", "64"))
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for objects in pool.map(lambda pair: self.compile_kernels(ext, *pair), pairs):
                    ext.extra_objects += objects
            super().build_extension(ext)
        except (CCompilerError, ExecError, PlatformError) as error:
            if os.environ.get("FASTMLP_REQUIRE_COMPILED", "") not in ("", "0"):
                raise
            line = "*" * 78
            say_loudly(
                f"{line}\nfastmlp: the compiled kernels could not be built:\n    {error}\n"
                "Installing without them: fastmlp will run on Numba where it is installed\n"
                "(pip install 'fastmlp[numba]'), else on NumPy, many times slower.\n"
                f"Install a C compiler (gcc or clang) and reinstall to get them.\n{line}"
            )
            self.extensions = []  # nothing to copy into the wheel or beside the sources


extension = Extension(
    "fastmlp.kernels.compiled._core",
    ["kernels/compiled/_core.pyx", *(str(SOURCES / f"{name}.c") for name in C_FILES)],
    include_dirs=[numpy.get_include(), str(SOURCES)],
    define_macros=[
        ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
        ("FASTMLP_" + architecture().upper(), "1"),
    ],
    depends=sorted(
        path.as_posix() for path in [*SOURCES.rglob("*.[ch]"), *SOURCES.parent.glob("*.pxi")]
    ),
    extra_compile_args=FLAGS,
    extra_link_args=["-static-libgcc"] if sys.platform == "win32" else ["-pthread"],
)

setup(
    ext_modules=[extension],
    cmdclass={"build_ext": BuildKernels},
)
