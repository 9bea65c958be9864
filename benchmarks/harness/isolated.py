"""A measurement in a process of its own, with its cores and its thread limit.

Libraries read their thread limits when they are imported, so each thread count has its own process.
Requests and results are JSON; what the measurement prints goes to the caller's terminal.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import machine

FOLDER = Path(__file__).resolve().parent.parent


def call(function: str, request: dict[str, Any], n_threads: int, **environment: str) -> Any:
    """Result of ``module:function`` of the benchmarks folder for ``request``, run elsewhere."""
    cores = machine.usable_cores()[:n_threads]
    with tempfile.TemporaryDirectory() as folder:
        ask, answer = Path(folder) / "request.json", Path(folder) / "result.json"
        ask.write_text(json.dumps([function, cores, request]))
        code = "import sys; from harness.isolated import main; main(*sys.argv[1:])"
        path = os.pathsep.join(filter(None, (str(FOLDER), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, str(ask), str(answer)],
            env={
                **machine.environment(n_threads),
                **environment,
                "PYTHONPATH": path,
            },
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{function} failed (exit code {done.returncode}), see above")
        return json.loads(answer.read_text())


def main(ask: str, answer: str) -> None:
    """Entry of the other process: take the cores, only then import what is measured."""
    function, cores, request = json.loads(Path(ask).read_text())
    if not machine.pin(cores):
        print("note: this system cannot pin a process to cores", file=sys.stderr)
    module, name = function.split(":")
    result = getattr(importlib.import_module(module), name)(**request)
    Path(answer).write_text(json.dumps(result))
