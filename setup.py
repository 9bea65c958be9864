"""Builds the compiled kernels; everything else about the package stands in pyproject.toml.

Two C sources, ``kernels.c`` and ``lanes.c`` in ``kernels/compiled/src/passes``, are compiled once
per instruction set and precision, each with its own flags; which of them runs is decided at import.
Without a C compiler the build still succeeds and fastmlp runs on Numba or NumPy;
``FASTMLP_REQUIRE_COMPILED=1`` turns that into an error. ``FASTMLP_ISAS`` names the instruction sets
that are built, as ``avx2,baseline``, or ``native`` for the best of this machine; by default all.
"""

import os
import platform
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Event
from typing import Any

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
    "engine/hessian",
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
# What a compiler defines that is asked for this machine's own code, best set first; dispatch.c asks
# the processor for the same.
AVX2_MACROS = {"__AVX2__", "__FMA__", "__BMI__", "__BMI2__", "__F16C__", "__MOVBE__"}
NATIVE = {
    "AVX512": AVX2_MACROS | {f"__AVX512{part}__" for part in ("F", "BW", "CD", "DQ", "VL")},
    "AVX2": AVX2_MACROS,
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


def native(compiler: Any) -> str:
    """The best instruction set of this machine, as its compiler sees it."""
    command = [*getattr(compiler, "compiler_so", ["cc"]), "-march=native"]
    command += ["-dM", "-E", "-x", "c", os.devnull]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ExecError(f"{command[0]} does not say what this machine is: {error}") from error
    macros = set(found.split())
    return next((name for name, needed in NATIVE.items() if macros >= needed), "BASELINE")


def instruction_sets(compiler: Any) -> dict[str, list[str]]:
    """Those that are built, with their flags."""
    known = ISA_FLAGS[architecture()]
    text = os.environ.get("FASTMLP_ISAS", "").strip().lower() or "all"
    names = [name.strip().upper() for name in text.split(",")]
    if names == ["ALL"]:
        return known
    if names == ["NATIVE"]:
        names = [native(compiler)] if len(known) > 1 else list(known)
    if not set(names) <= set(known):
        possible = ", ".join(known).lower()
        raise SystemExit(
            f"FASTMLP_ISAS must be all, native or some of {possible} separated by commas, "
            f"got {text!r}"
        )
    return {name: flags for name, flags in known.items() if name in names}


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

    def compile_kernels(
        self, ext: Extension, file: str, isa: tuple[str, list[str]], bits: str
    ) -> list[str]:
        """One source of one instruction set and precision."""
        name, flags = isa
        objects: list[str] = self.compiler.compile(
            [str(SOURCES / f"passes/{file}.c")],
            output_dir=str(Path(self.build_temp, f"{name}_{bits}")),
            macros=[(f"FASTMLP_ISA_{name}", "1"), ("FASTMLP_REAL_BITS", bits)],
            include_dirs=ext.include_dirs,
            extra_postargs=[*FLAGS, *flags],
        )
        return objects

    def link_after(self, parts: list[Future[list[str]]], rest_is_compiled: Event) -> None:
        """Let everything else be compiled while the kernels are, and link what comes of both."""
        link = self.compiler.link_shared_object

        def link_all(objects: list[str], *args: Any, **options: Any) -> None:
            rest_is_compiled.set()
            link([*objects, *(one for part in parts for one in part.result())], *args, **options)

        self.compiler.link_shared_object = link_all

    def has_left_out(self, ext: Extension, names: list[str]) -> bool:
        """Whether the library that lies there lacks these instruction sets and no others."""
        built = Path(self.get_ext_fullpath(ext.name))
        text = f"left out of this build: {' '.join(names).lower() or 'none'}\0"
        return built.exists() and text.encode() in built.read_bytes()

    def build_extension(self, ext: Extension) -> None:
        try:
            chosen = instruction_sets(self.compiler)
            left_out = [name for name in ISA_FLAGS[architecture()] if name not in chosen]
            # Sources that are older than the library do not make it right.
            self.force = self.force or not self.has_left_out(ext, left_out)
            ext.define_macros += [(f"FASTMLP_NO_{name}", "1") for name in left_out]
            rest_is_compiled = Event()
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                try:
                    # One of the cores is this thread's until then.
                    pool.submit(rest_is_compiled.wait)
                    parts = [  # the longest first
                        pool.submit(self.compile_kernels, ext, *part)
                        for part in product(("kernels", "lanes"), chosen.items(), ("32", "64"))
                    ]
                    self.link_after(parts, rest_is_compiled)
                    super().build_extension(ext)
                finally:
                    rest_is_compiled.set()
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

if __name__ == "__main__":
    setup(ext_modules=[extension], cmdclass={"build_ext": BuildKernels})
