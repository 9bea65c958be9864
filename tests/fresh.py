"""Programs in processes of their own: new interpreters, and forks of one that has imported Numba.

Numba takes a second until its first function is there, and dozens of tests need a process in which
fastmlp has compiled nothing yet. :func:`run_with_numba` runs them in forks of a process that has
that second behind it, and nothing of fastmlp; what importing fastmlp does, and what leaving an
interpreter does, is for :func:`run_python`.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

#: Seconds that a program may take.
PATIENCE = 120
#: Reads one request a line: the program, its environment, and where its output goes.
_SERVER = """
import json, os, signal, sys, threading, traceback
import llvmlite.binding, numba, numpy

numba.njit("int64(int64)")(lambda x: x)  # Numba reads most of itself for its first function

def run(code, environment, out, err, patience):
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    numba.config.reload_config()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(patience)
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        threading._shutdown()
        return 0
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    return 1

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = run(**json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, outside the repository, with more environment variables."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=_environment(environment),
        cwd=Path.home(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def run_with_numba(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in a fork of an interpreter that has imported NumPy and used Numba."""
    if not hasattr(os, "fork"):
        return run_python(code, **environment)
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        out.touch()
        err.touch()
        files = {"out": str(out), "err": str(err)}
        request = {"code": code, "environment": _environment(environment), "patience": PATIENCE}
        server.stdin.write(json.dumps(request | files) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        said = out.read_text("utf-8"), err.read_text("utf-8")
    return subprocess.CompletedProcess(["fork", "-c", code], status, *said)


def _environment(more: dict[str, str]) -> dict[str, str]:
    kept = "FASTMLP_CACHE_DIR"  # what other tests have compiled serves here too
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FASTMLP_") or k == kept}
    return inherited | more


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Started at the first use, and ended with this process."""
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        env=_environment({}),
        cwd=Path.home(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    @atexit.register
    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()

    return server
