"""The campaign: random trials of every kind in processes of their own, with figures at the end.

    python tests/campaign/run.py --minutes 60 --workers 2        # all kinds, in turns
    python tests/campaign/run.py bits --trials 200               # 200 option sets, all threads
    python tests/campaign/run.py files --trials 30000            # of each reader
    python tests/campaign/run.py kills --seed 17 --trials 1      # once more what was reported

What a kind tries is in ``trials.py``. A trial that fails, ends its process or does not answer for
``--patience`` seconds (more of them where others use the machine) is reported with its seed, and
the campaign goes on with the next one; its exit code is 1 then. Ctrl-C ends it with the figures
so far.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Where what is tried is found.
PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

#: Seconds that a process tries one kind.
SLICE = 20.0


def work(kind: str, first: int, end: int, seconds: float) -> int:
    """Try seeds until the time is over, and say on the standard output how each has ended."""
    faulthandler.enable()
    import trials

    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what is tried may print
    trial, until, failed = trials.KINDS[kind], time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, end):
            print(json.dumps({"seed": seed}), file=said)
            try:
                counts, fault = trial(seed, Path(folder)), ""
            except Exception as error:
                counts, fault, failed = {}, f"{type(error).__name__}: {error}", 1
                traceback.print_exc()
            print(json.dumps({"seed": seed, "counts": counts, "fault": fault}), file=said)
            if time.monotonic() >= until:
                break
    return failed


@dataclass
class Tally:
    """What has been tried of one kind, and what went wrong."""

    trials: int = 0
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[str] = field(default_factory=list)
    next_seed: int = 0


class Worker:
    """A process that tries seeds of one kind."""

    def __init__(self, kind: str, tally: Tally, end: int, seconds: float, patience: float) -> None:
        self.patience = patience
        self.kind, self.tally, self.seed = kind, tally, tally.next_seed
        first, last = tally.next_seed, min(end, tally.next_seed + 100_000)
        command = [sys.executable, "-P", __file__, "--work", kind]
        command += [str(first), str(last), str(seconds)]
        environment = os.environ | {"NUMBA_NUM_THREADS": "8"}  # more than there are cores
        path = [*PATHS, os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the process has ended)
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, env=environment,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.begun, self.heard, self.started = False, False, time.monotonic()

    @property
    def hangs(self) -> bool:
        """Whether nothing has been heard for too long."""
        return time.monotonic() - self.started > self.patience

    def hear(self) -> bool:
        """Take in one line; false where the process has ended."""
        line = self.output.readline()
        if not line:
            return False
        said, self.heard = json.loads(line), True
        self.seed, self.started = said["seed"], time.monotonic()
        self.begun = "counts" not in said
        if not self.begun:
            self.tally.trials += 1
            self.tally.counts.update(said["counts"])
            self.tally.next_seed = max(self.tally.next_seed, self.seed + 1)
            if said["fault"]:
                self.report(said["fault"])
        return True

    def report(self, fault: str) -> None:
        """Note a fault with the command that shows it again."""
        again = f"python tests/campaign/run.py {self.kind} --seed {self.seed} --trials 1"
        self.tally.faults.append(f"{fault}\n    {again}")
        print(f"FAULT {self.kind} {self.seed}: {fault}\n    {again}", flush=True)

    def end(self, why: str = "") -> None:
        """Wait for the process, or end it; a trial that it was in has failed."""
        if why:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGABRT)  # shows where its threads are
        code = self.process.wait()
        with contextlib.suppress(ProcessLookupError):  # children that a trial has left behind
            os.killpg(self.process.pid, signal.SIGKILL)
        if why or code not in (0, 1) or not self.heard:
            self.log.seek(0)
            said = self.log.read().decode(errors="replace")[-3000:]
            self.report(f"{why or f'the process ended with {code}'}\n{said}")
            self.tally.trials += self.begun
            self.tally.next_seed = max(self.tally.next_seed, self.seed + 1)
        self.output.close()
        self.log.close()


def campaign(options: argparse.Namespace) -> dict[str, Tally]:
    """Keep processes busy with the kinds in turns, until the time or the trials are over."""
    tallies = {kind: Tally(next_seed=options.seed) for kind in options.kinds}
    until = time.monotonic() + 60 * options.minutes
    end = options.seed + options.trials if options.trials else sys.maxsize
    turns, waiting = selectors.DefaultSelector(), collections.deque(options.kinds)
    workers: set[Worker] = set()

    def start() -> None:
        while len(workers) < options.workers and waiting and time.monotonic() < until:
            kind = waiting.popleft()
            if tallies[kind].next_seed < end:
                left = until - time.monotonic()
                seconds = left if options.trials else min(SLICE, left)
                worker = Worker(kind, tallies[kind], end, seconds, options.patience)
                workers.add(worker)
                turns.register(worker.output, selectors.EVENT_READ, worker)

    start()
    try:
        while workers:
            ready = [key.data for key, _ in turns.select(timeout=1)]
            for worker in list(workers):
                why = ""
                if worker in ready:
                    if worker.hear():
                        continue
                elif not worker.hangs:
                    continue
                else:
                    why = f"no answer for {options.patience:g} s"
                turns.unregister(worker.output)
                workers.discard(worker)
                worker.end(why)
                if worker.heard:  # what cannot begin is not tried for ever
                    waiting.append(worker.kind)
            start()
    except KeyboardInterrupt:  # what was tried so far is shown
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)
    return tallies


def figures(tallies: dict[str, Tally], seconds: float) -> str:
    """A table of what was tried."""
    import resource

    lines = [f"{'kind':10} {'trials':>8} {'faults':>7}  what was tried"]
    for kind, tally in tallies.items():
        counts = ", ".join(f"{n:,} {what}" for what, n in sorted(tally.counts.items()))
        lines.append(f"{kind:10} {tally.trials:8,} {len(tally.faults):7}  {counts}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    return "\n".join([*lines, f"{seconds / 60:.1f} minutes, {cpu / 60:.1f} minutes of CPU"])


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--work"]:
        kind, first, end, seconds = arguments[1:]
        return work(kind, int(first), int(end), float(seconds))
    sys.path[:0] = PATHS
    import trials

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=" ".join(trials.KINDS))
    parser.add_argument("--minutes", type=float, default=1440.0, help="for all kinds together")
    parser.add_argument("--trials", type=int, help="seeds of each kind, at most")
    parser.add_argument("--workers", type=int, default=1, help="processes beside each other")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds without an answer")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(arguments)
    options.kinds = options.kinds or list(trials.KINDS)
    if unknown := set(options.kinds) - set(trials.KINDS):
        parser.error(f"the kinds are {' '.join(trials.KINDS)}, got {' '.join(sorted(unknown))}")
    began = time.monotonic()
    tallies: dict[str, Any] = campaign(options)
    print(figures(tallies, time.monotonic() - began))
    return int(any(tally.faults for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
