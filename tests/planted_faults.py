"""Plants small faults in a copy of the package, to see whether the short suite finds them.

``python tests/planted_faults.py`` runs, for every fault, the tests that are meant to find it, and
says ``found`` or ``MISSED``; ``--all`` runs the whole short suite on those that are missed, a part
of a fault's name chooses faults, ``--check`` only says which of them no longer fit the sources.

Faults of the C kernels are all compiled in at once, each behind a number that is read from the
environment, as building takes long; others are written into the copy one by one. Faults of the
Numba kernels get a folder of their own for compiled code. Nothing is changed in the working tree.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fault_list import FAULTS, Fault
from tree_copy import ROOT, Tree

#: A fault in C becomes a choice between two expressions. They may be vectors.
DECLARATION = "\nextern int fastmlp_fault;\n"
DEFINITION = """
#include <stdlib.h>
int fastmlp_fault;
__attribute__((constructor)) static void fastmlp_read_fault(void)
{
    const char *number = getenv("FASTMLP_FAULT");
    fastmlp_fault = number ? atoi(number) : 0;
}
"""


def build(tree: Tree) -> None:
    """Build the extension of a copy with all faults of the C kernels in it."""
    for number, fault in enumerate(FAULTS, 1):
        if fault.in_c:
            choice = f"(fastmlp_fault == {number} ? ({fault.new}) : ({fault.old}))"
            tree.change(fault.file, fault.old, choice)
    sources = "kernels/compiled/src"
    for name in ("vector/simd.h", "fastmlp.h"):  # one of them is included everywhere
        tree.change(f"{sources}/{name}", "#include", DECLARATION + "#include")
    engine = tree.folder / sources / "engine/engine.c"
    engine.write_text(engine.read_text("utf-8") + DEFINITION, "utf-8")
    tree.build("-O1")


def run_tests(
    tree: Tree, number: int, fault: Fault, arguments: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run tests of the short suite on a copy, with one fault."""
    environment = {"FASTMLP_FAULT": str(number if fault.in_c else 0)}
    if "kernels/jit" in fault.file:
        environment["FASTMLP_CACHE_DIR"] = str(tree.folder / f"cache-{number}")
    arguments = ["-x", "-q", "-m", "not sweep and not source_tree", *arguments]
    return tree.test(arguments, capture_output=True, text=True, **environment)


def problems(fault: Fault) -> str:
    """Why a fault cannot be planted in these sources."""
    path = ROOT / fault.file
    if not path.is_file():
        return "the file is gone"
    count = path.read_text("utf-8").count(fault.old)
    return "" if count == 1 else f"its text occurs {count} times"


def plant(tree: Tree, number: int, fault: Fault, everything: bool) -> str:
    """What becomes of a fault: found, and how; or missed."""
    path = tree.folder / fault.file
    before = path.read_text("utf-8")
    if not fault.in_c:
        path.write_text(before.replace(fault.old, fault.new), "utf-8")
    try:
        done = run_tests(tree, number, fault, shlex.split(fault.tests))
        if done.returncode == 0 and everything:
            done = run_tests(tree, number, fault, ["-n", "auto", "--dist", "worksteal"])
    finally:
        path.write_text(before, "utf-8")
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-300:]]
    by = next((line for line in lines if line.startswith(("FAILED", "ERROR"))), lines[-1])
    return f"{'MISSED' if done.returncode in (0, 5) else 'found '} {by[:110]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="parts of the names of faults; all by default")
    parser.add_argument("--all", action="store_true", help="missed ones: the whole short suite")
    parser.add_argument("--check", action="store_true", help="only say which no longer fit")
    parser.add_argument("--keep", type=Path, help="a folder to build in, which stays")
    given = parser.parse_args()
    stale = {fault.name: why for fault in FAULTS if (why := problems(fault))}
    for name, why in stale.items():
        print(f"stale  {name}: {why}")
    chosen = [
        (number, fault)
        for number, fault in enumerate(FAULTS, 1)
        if not problems(fault)
        if not given.names or any(part in fault.name for part in given.names)
    ]
    print(f"{len(FAULTS)} faults, {len(chosen)} chosen, {len(stale)} stale")
    if given.check:
        return bool(stale)
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(given.keep or Path(folder))
        if not tree.made:
            tree.make()
            if any(fault.in_c for _, fault in chosen):
                build(tree)
        for number, fault in chosen:
            begin = time.monotonic()
            result = plant(tree, number, fault, given.all)
            missed += result.startswith("MISSED")
            print(f"{fault.name:44} {time.monotonic() - begin:4.0f} s  {result}", flush=True)
    print(f"{len(chosen) - missed} found, {missed} missed")
    return bool(missed or stale)


if __name__ == "__main__":
    sys.exit(main())
