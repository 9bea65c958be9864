"""A few trials of each kind that needs processes of its own, by the campaign's own command."""

from __future__ import annotations

import os
import signal

import pytest
import run
import trials as kinds

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


@pytest.mark.parametrize(
    ("kind", "few"),
    [
        pytest.param("programs", 1, marks=pytest.mark.sweep),
        ("kills", 2),
        ("signals", 1),
        pytest.param("forks", 1, marks=pytest.mark.sweep),
        pytest.param("caches", 1, marks=pytest.mark.sweep),
    ],
)
def test_trials(kind, few, trials, capfd):
    if kind in ("programs", "kills"):
        pytest.importorskip("safetensors")
    seeds = trials(few)
    failed = run.main([kind, "--seed", str(seeds.start), "--trials", str(len(seeds))])
    assert not failed, capfd.readouterr().out


def test_failures_crashes_and_hangs_are_reported(tmp_path, monkeypatch, capfd):
    """With their seeds; the trials after them are made."""
    (tmp_path / "trials.py").write_text(
        "import os, signal, time\n"
        "def trial(seed, folder):\n"
        "    if seed == 1:\n"
        "        raise KeyError('one')\n"
        "    if seed == 2:\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    if seed == 3:\n"
        "        time.sleep(60)\n"
        "    return {'eggs': 2}\n"
        "KINDS = {'some': trial}\n"
    )
    monkeypatch.setitem(kinds.KINDS, "some", lambda seed, folder: {})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    hangs = property(lambda worker: worker.begun and worker.seed == 3)
    monkeypatch.setattr(run.Worker, "hangs", hangs)
    monkeypatch.setattr(run, "PATHS", [])
    assert run.main(["some", "--trials", "6"]) == 1
    said = capfd.readouterr().out
    for seed, why in [(1, "KeyError: 'one'"), (2, f"ended with {-signal.SIGSEGV:d}"), (3, "no")]:
        assert f"FAULT some {seed}: " in said
        assert why in said
    assert "some              6       3  6 eggs" in said
