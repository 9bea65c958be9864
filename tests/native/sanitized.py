"""Run the Python tests on an extension that is built with a sanitizer.

``python tests/native/sanitized.py asan [arguments of pytest]``: ``asan`` (with ``ubsan`` in it),
``ubsan`` or ``tsan``. Without arguments it is the short suite, on the compiled backend, which takes
some ten times as long as usual. What a sanitizer finds ends the process with its report.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tree_copy import Tree

COMMON = "-O1 -g -fno-omit-frame-pointer"
SANITIZERS = {
    "asan": ("address,undefined", ("libasan.so", "libubsan.so")),
    "ubsan": ("undefined", ("libubsan.so",)),
    "tsan": ("thread", ("libtsan.so",)),
}
#: Python itself leaks at its end, and libraries that were not built with it race for tsan.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:ignore_noninstrumented_modules=1",
}
#: What cannot hold under a sanitizer: it allocates by itself, and limits of memory stop it.
EXCEPT = "not allocates_nothing and not not_there and not does_not_grow and not numba and not Numba"


def library(name: str) -> str:
    """Where the compiler keeps a sanitizer's library."""
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in SANITIZERS:
        sys.exit(f"usage: {sys.argv[0]} {{{','.join(SANITIZERS)}}} [arguments of pytest]")
    kinds, libraries = SANITIZERS[sys.argv[1]]
    arguments = sys.argv[2:] or ["-q", "-k", EXCEPT, "-m", "not sweep and not source_tree"]
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder) / "fastmlp")
        tree.make()
        tree.build(f"{COMMON} -fsanitize={kinds} -fno-sanitize-recover=all")
        environment = {**OPTIONS, "LD_PRELOAD": " ".join(map(library, libraries))}
        return tree.test(arguments, FASTMLP_BACKEND="compiled", **environment).returncode


if __name__ == "__main__":
    sys.exit(main())
