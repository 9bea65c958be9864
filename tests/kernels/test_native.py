"""The C kernels against plain loops in C: every sixth case of ``tests/native/run native``.

Here for the instruction set that is in use, in the long suite, as the kernels are compiled a second
time; ``.ci/run`` runs the command, which builds and tests all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastmlp import kernels

HERE = Path(__file__).parents[1]
RUN = HERE / "native/run"
SOURCES = HERE.parent / "kernels/compiled/src"


@pytest.mark.sweep
@pytest.mark.source_tree
@pytest.mark.skipif(os.name != "posix", reason="the test program uses pthreads and fork")
@pytest.mark.skipif(not RUN.exists() or not SOURCES.exists(), reason="needs the source tree")
@pytest.mark.skipif(
    not any(map(shutil.which, (os.environ.get("CC", "gcc").split()[0], "cc"))),
    reason="needs a C compiler",
)
def test_native_kernels() -> None:
    with kernels.use_backend(kernels.available()[0]):
        isa = kernels.info()["isa"] or "baseline"
    done = subprocess.run(
        [sys.executable, "-B", RUN, "native", "--thin", "6", "--isa", isa],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
