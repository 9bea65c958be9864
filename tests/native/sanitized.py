"""Run the Python tests, or another program, on an extension that is built with a sanitizer.

    python tests/native/sanitized.py asan [arguments of pytest]
    python tests/native/sanitized.py asan --in FOLDER python tests/campaign/run.py files

``asan`` (with ``ubsan`` in it), ``ubsan`` or ``tsan``. Without arguments it is the short suite, on
the compiled backend, which takes some ten times as long as usual. With ``--in`` the build stays in
a folder, for further runs. What a sanitizer finds ends the process with its report. Kernels of
instruction sets other than the one in use are not instrumented.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastmlp import kernels
from tree_copy import Tree

COMMON = "-O1 -g -fno-omit-frame-pointer"
SANITIZERS = {
    "asan": ("address,undefined", ("libasan.so", "libubsan.so")),
    "ubsan": ("undefined", ("libubsan.so",)),
    "tsan": ("thread", ("libtsan.so",)),
}
SUPPRESSIONS = Path(__file__).with_name("tsan_suppressions.txt")
#: Python itself leaks at its end, and libraries that were not built with it race for tsan. Memory
#: that was freed is kept for a while to find who still uses it, but not so much of it that tests of
#: memory fail. Children of a fork may start threads.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:"
    "quarantine_size_mb=16",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:ignore_noninstrumented_modules=1:die_after_fork=0:"
    f"suppressions={SUPPRESSIONS}",
}
#: What cannot hold under a sanitizer: it allocates by itself, and limits of memory stop it.
EXCEPT = "not allocates_nothing and not not_there and not does_not_grow and not numba and not Numba"
#: How the kernels of an instruction set are compiled; what is not used need not be looked at.
FLAGS = "extra_postargs=[*FLAGS, *flags]"


def library(name: str) -> str:
    """Where the compiler keeps a sanitizer's library."""
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def made(folder: Path, kinds: str) -> Tree:
    """A copy of the sources with the extension built in it, or the one that is there."""
    tree = Tree(folder)
    if not tree.made:
        tree.make()
        with kernels.use_backend("compiled"):
            used = str(kernels.info()["isa"]).upper()
        more = f'*(["-O1"] if name == {used!r} else ["-O0", "-fno-sanitize=all"])'
        tree.change("setup.py", FLAGS, f"{FLAGS[:-1]}, {more}]")
        tree.build(f"{COMMON} -fsanitize={kinds} -fno-sanitize-recover=all")
    return tree


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in SANITIZERS:
        sys.exit(f"usage: {sys.argv[0]} {{{','.join(SANITIZERS)}}} [--in FOLDER] [arguments]")
    kinds, libraries = SANITIZERS[arguments[0]]
    with tempfile.TemporaryDirectory() as folder:
        place, rest = Path(folder) / "fastmlp", arguments[1:]
        if rest[:1] == ["--in"]:
            place, rest = Path(rest[1]).resolve(), rest[2:]
        tree = made(place, kinds)
        # pytest keeps what a process says that ends in the middle of a test.
        log = Path(folder) / "report"
        environment = {
            **{name: f"{value}:log_path={log}" for name, value in OPTIONS.items()},
            "LD_PRELOAD": " ".join(map(library, libraries)),
            "FASTMLP_BACKEND": "compiled",
        }
        if rest[:1] == ["python"]:
            done = tree.run([sys.executable, *rest[1:]], **environment)
        else:
            rest = rest or ["-q", "-k", EXCEPT, "-m", "not sweep and not source_tree"]
            done = tree.test(rest, **environment)
        for report in sorted(log.parent.glob(f"{log.name}.*")):
            print(report.read_text("utf-8", "replace"), file=sys.stderr)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
