"""``benchmarks/compare.py``: ratios, thresholds, unlike machines, trends."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/compare.py"

pytestmark = [
    pytest.mark.source_tree,
    pytest.mark.skipif(not SCRIPT.is_file(), reason="no benchmarks beside the tests"),
]


def store(folder, number, minima, processor="a CPU"):
    """A run as pytest-benchmark stores it."""
    folder = folder / ".benchmarks/Linux"
    folder.mkdir(parents=True, exist_ok=True)
    run = {
        "datetime": f"2026-01-0{number}T00:00:00",
        "commit_info": {"id": f"{number}" * 12, "time": f"2026-01-0{number}T00:00:00"},
        "machine_info": {"cpu": {"brand_raw": processor}},
        "benchmarks": [{"fullname": name, "stats": {"min": v}} for name, v in minima.items()],
    }
    (folder / f"000{number}_{number}.json").write_text(json.dumps(run))


@pytest.fixture
def compare(monkeypatch):
    """Exit status and output of the command in a folder."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    module = importlib.import_module("compare")

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = module.main(arguments)
            except SystemExit as error:
                code = 1
                print(error.code)
        return code, said.getvalue()

    return run


def test_ratios_and_threshold(compare, tmp_path):
    store(tmp_path, 1, {"t.py::test[digits]": 2e-6, "t.py::test[iris]": 4e-6, "t.py::gone": 1.0})
    store(tmp_path, 2, {"t.py::test[digits]": 3e-6, "t.py::test[iris]": 2e-6})
    code, out = compare(tmp_path)
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split()[:2] == ["1.500", "3.00"]
    assert "iris" in lines[2]
    assert lines[3].split() == ["0.866", "geometric", "mean", "of", "2"]
    code, out = compare(tmp_path, "0001", "0002", "--limit", "1.4")
    assert code == 1
    assert out.count("over the limit") == 1
    assert compare(tmp_path, "--limit", "1.4", "--only", "iris")[0] == 0


def test_unlike_machines_are_refused(compare, tmp_path):
    store(tmp_path, 1, {"t.py::a": 1e-6})
    store(tmp_path, 2, {"t.py::a": 1e-6}, "another CPU")
    code, out = compare(tmp_path)
    assert code == 1
    assert "unlike machines" in out
    assert compare(tmp_path, "--any-machine")[0] == 0


def test_trend_is_drawn(compare, tmp_path):
    pytest.importorskip("matplotlib")
    for number in (1, 2, 3):
        store(tmp_path, number, {"t.py::a": number * 1e-6})
    code, out = compare(tmp_path, "--trend", "trend.png")
    assert code == 0, out
    assert (tmp_path / "trend.png").stat().st_size > 5000


def test_runs_are_kept_in_a_file(compare, tmp_path):
    """One of each commit and machine, which are read as the folder is."""
    for number in (1, 2):
        store(tmp_path, number, {"t.py::a": number * 1e-6})
        for _ in range(2):
            assert compare(tmp_path, "--append", "trend.json")[0] == 0
    kept = json.loads((tmp_path / "trend.json").read_text())
    assert [run["commit"] for run in kept] == ["111111111", "222222222"]
    code, out = compare(tmp_path, "--storage", "trend.json")
    assert (code, out.splitlines()[1].split()[0]) == (0, "2.000")
    assert compare(tmp_path, "--append", "trend.json", "--storage", "nowhere")[0] == 1
