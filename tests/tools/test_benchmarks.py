"""The benchmarks compute what they say, and their commands run: each part once, on tiny sizes."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastmlp import kernels

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
pytestmark = [
    pytest.mark.source_tree,
    pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="benchmarks are not beside the tests"),
]


@pytest.fixture
def harness(monkeypatch):
    """Import a module of the benchmarks' harness by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("NPROC", "1")
    return lambda name: importlib.import_module(f"harness.{name}")


def run(folder, script, *options):
    """Run a command of the benchmarks for a trial; returns what it printed."""
    command = [sys.executable, str(BENCHMARKS / script), "--quick", "--out", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("id", "microseconds"),
    # The floors at 102.6 GFLOP/s of the table that the project's targets come from.
    [
        ("iris", 0.08),
        ("nielsen", 9.3),
        ("digits", 61.6),
        ("fashion", 128),
        ("tab", 18.8),
        ("keras", 4004),
        ("wide", 84336),
    ],
)
def test_floor_of_the_table(harness, id, microseconds):
    floor = harness("shapes").BY_ID[id].flops / 102.6e3
    assert floor == pytest.approx(microseconds, rel=0.07)


def test_every_shape_is_a_network_that_the_kernels_know(harness):
    shapes = harness("shapes")
    assert len(shapes.BY_ID) == len(shapes.TABLE) + len(shapes.MORE)
    for shape in shapes.BY_ID.values():
        assert shape.architecture.n_parameters > 0
        assert shape.output in kernels.LOSS_OUTPUTS[shape.loss]
        assert shape.update_rule(1e-8).name == shape.rule


@pytest.mark.covers("name", "id", "dtype", without="numba float64")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*kernels.available(), "numpy", "sklearn", "torch"])
@pytest.mark.parametrize("id", ["iris", "nielsen", "tab", "higgs"])
def test_contenders_agree_with_the_reference(harness, name, id, dtype):
    contenders = harness("contenders")
    if name in contenders.RIVALS and not contenders.installed(name):
        pytest.skip(f"{name} is not installed")
    assert contenders.verify(name, harness("shapes").BY_ID[id], dtype, 1, steps=2) >= 0


def test_a_wrong_loss_is_found(harness, monkeypatch):
    contenders, shape = harness("contenders"), harness("shapes").BY_ID["iris"]
    monkeypatch.setattr(contenders.load("numpy"), "_update", lambda self: None)
    with pytest.raises(AssertionError, match=r"numpy on iris: loss .* expected"):
        contenders.verify("numpy", shape, "float32", 1)
    ready, _, failures = contenders.ready(["numpy"], shape, "float32", 1)
    assert not ready
    assert "loss" in failures["numpy"]


def test_a_wrong_bias_is_found(harness, monkeypatch):
    contenders, shape = harness("contenders"), harness("shapes").BY_ID["iris"]
    kind = contenders.load("numpy")
    right = kind.parameters
    last = np.eye(1, shape.architecture.n_parameters, k=shape.architecture.n_parameters - 1)[0]
    monkeypatch.setattr(kind, "parameters", lambda self: right(self) + 0.01 * last)
    with pytest.raises(AssertionError, match=r"numpy on iris \(float32\): biases of layer 2"):
        contenders.verify("numpy", shape, "float32", 1)


@pytest.mark.covers("backend", "dtype", without="numba float64")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", kernels.available())
def test_kernel_cases(harness, backend, dtype):
    cases = harness("kernels")
    with kernels.use_backend(backend):
        for make in cases.CASES.values():
            make(cases.Arrays(7, 5, 3, dtype), 1).verify()


def test_contenders_take_turns(harness):
    calls = []
    timings = harness("timing").interleave(
        {name: lambda name=name: calls.append(name) for name in "ab"}, rounds=3, least=0
    )
    assert "".join(calls).endswith("ababab")
    assert [len(timings[name].seconds) for name in "ab"] == [3, 3]
    assert timings["a"].minimum <= timings["a"].median


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_peak_with_and_without_a_compiler(harness, monkeypatch, dtype):
    peak = harness("peak")
    one, two = peak.Peak(dtype, 1), peak.Peak(dtype, 2)
    one.run()
    two.run()
    assert one.flops > 0
    monkeypatch.setattr(peak.shutil, "which", lambda name: None)
    stand_in = peak.Peak(dtype, 1)
    stand_in.run()
    assert "stand-in" in stand_in.source


@pytest.mark.sweep  # a program of its own, for seconds
def test_table(tmp_path):
    options = ("--rivals", "numpy", "--backends", kernels.available()[0], "--rounds", "2")
    printed = run(tmp_path, "table.py", "--rows", "iris,gradient", *options)
    assert "iris" in printed
    saved = json.loads((tmp_path / "table.json").read_text())
    assert saved["machine"]["versions"]["numpy"] == np.__version__
    for record in saved["results"]:
        assert record["failures"] == {}
        assert record["minimum"]["floor_us"] > 0
        for contender in record["contenders"].values():
            assert len(contender["seconds"]) == 2
            assert min(contender["seconds"]) > 0
    rows = {(r["shape"], r["dtype"]) for r in saved["results"]}
    assert rows == {("iris", "float32"), ("iris", "float64"), ("gradient", "float64")}
    markdown = (tmp_path / "table.md").read_text()
    assert "| iris |" in markdown
    assert "FMA peak" in markdown
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "table.png").stat().st_size > 10_000


def test_tables_of_two_machines(harness, tmp_path):
    """A row that only one has is left out; times, shares of the peak and multiples of each."""
    side_by_side = harness("side_by_side")

    def record(shape, seconds):
        peak = {"flops": 1e9, "seconds": [1.0]}
        contenders = {name: {"seconds": [s]} for name, s in seconds.items()}
        about = {"shape": shape, "dtype": "float32", "threads": 1, "flops": 1000}
        return {**about, "peak": peak, "contenders": contenders}

    machines = [{"processor": name, "instruction_set": "avx2"} for name in ("One", "Other")]
    machines[1]["caches"] = {"l2": 524288}
    first = [record("iris", {"compiled": 2e-6, "torch": 8e-6}), record("wide", {"compiled": 1.0})]
    second = [record("iris", {"compiled": 4e-6})]
    files = [tmp_path / "table.json", tmp_path / "other.json"]
    for file, machine, results in zip(files, machines, (first, second), strict=True):
        file.write_text(json.dumps({"machine": machine, "results": results}))
    text = side_by_side.markdown(*map(side_by_side.read, files))
    assert "- A: One, avx2\n- B: Other, avx2; L2 512 KB\n" in text
    assert text.splitlines()[-1] == "| iris | 2.00 (50 %) / 4.00 (25 %) | 4.0× / – |"
    files[1].write_text('{"machine": {}, "results": [{}]}')
    for file in (files[1], tmp_path / "missing.json"):
        with pytest.raises(SystemExit, match=re.escape(str(file))):
            side_by_side.read(file)
    with pytest.raises(SystemExit, match="no row in common"):
        side_by_side.markdown(*({"machine": m, "results": []} for m in machines))


def test_table_names_what_it_does_not_know(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "table.py"), "--rows", "tulip"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert "unknown row 'tulip'; choose from iris, nielsen" in done.stderr


@pytest.mark.sweep  # a program of its own, for seconds
def test_sweep(tmp_path):
    printed = run(tmp_path, "sweep.py")
    saved = json.loads((tmp_path / "sweep-float32.json").read_text())["results"]
    assert {point["case"] for point in saved["points"]} >= {"dense_forward", "step 10-w-w-10"}
    assert "whole formula in NumPy" in printed


def test_what_is_inherited_holds_no_rival(harness, monkeypatch):
    """A setting that keeps NumPy's BLAS or another library from this machine's instructions."""
    machine = harness("machine")
    monkeypatch.setattr(machine.os, "environ", dict(machine.os.environ))
    monkeypatch.delenv("FASTMLP_ISA", raising=False)
    for name in machine.HOLDING:
        monkeypatch.setenv(name, "Haswell")
    assert not set(machine.HOLDING) & set(machine.environment(1))
    machine.enter(1)
    assert not set(machine.HOLDING) & set(machine.os.environ)
    monkeypatch.setenv("FASTMLP_ISA", "avx2")
    monkeypatch.setattr(machine, "widest_instruction_set", lambda: "avx512")
    assert machine.environment(1)["OPENBLAS_CORETYPE"] == "Haswell"
    assert "OPENBLAS_L2_SIZE" not in machine.environment(1)


def test_dips_are_found(harness):
    sweep = importlib.import_module("sweep")
    panels = {("step", "batch 1"): {"ours": [(16, 50.0), (32, 30.0), (64, 60.0), (128, 59.0)]}}
    assert sweep.dips(panels, "ours") == ["step, batch 1, width 32: 30 %, beside 50 %"]


@pytest.mark.sweep  # a program of its own, for seconds
def test_contention(tmp_path, harness):
    machine = harness("machine")
    if not hasattr(machine.os, "sched_setaffinity") or len(machine.usable_cores()) < 2:
        pytest.skip("needs two cores to pin processes to")
    printed = run(tmp_path, "contention.py", "--rows", "iris")
    assert "next to a busy process, two: time over one thread alone" in printed
    assert (tmp_path / "contention.json").exists()


@pytest.mark.sweep  # a program of its own, for seconds
def test_predict(tmp_path):
    options = ("--backends", kernels.available()[0])
    options += ("--dtype", "float32", "--threads", "1", "--batch", "1,30", "--rows", "20-64-64-1")
    printed = run(tmp_path, "predict.py", *options)
    assert "NumPy by hand" in printed
    assert len(json.loads((tmp_path / "predict.json").read_text())["results"]) == 2


@pytest.mark.sweep  # a program of its own, for seconds
def test_estimators(tmp_path):
    pytest.importorskip("sklearn")
    printed = run(tmp_path, "estimators.py", "--rows", "digits-sgd,regression-float32,csr-sgd")
    assert "| digits-sgd | float64 |" in printed
    assert "| predict one row |" in printed
    saved = json.loads((tmp_path / "estimators.json").read_text())["results"]
    rows = [record["row"] for record in saved["fits"]]
    assert rows == ["digits-sgd", "regression-float32", "csr-sgd"]
    for record in saved["fits"]:
        assert min(min(seconds) for seconds in record["seconds"].values()) > 0
    assert (tmp_path / "estimators.md").read_text().count("\n") == 2 + 3 + 1 + 4


@pytest.mark.sweep  # a program of its own, for seconds
def test_autodiff(tmp_path):
    printed = run(tmp_path, "autodiff.py")
    assert "in evaluations" in printed
    found = json.loads((tmp_path / "autodiff.json").read_text())
    assert all(row["ratio"] > 0 for row in found["gradients"].values())
    assert set(found["steps"]) <= set(kernels.available())


@pytest.mark.sweep  # several programs
@pytest.mark.parametrize("script", ["derivatives", "steps"])
def test_rivals_have_as_many_cores_as_threads(tmp_path, script):
    run(tmp_path, f"{script}.py")
    found = json.loads((tmp_path / f"{script}.json").read_text())
    assert found["machine"]["processor"]
    assert all(record["seconds"] for record in found["results"])


@pytest.mark.sweep  # several programs
def test_two_versions_are_compared(tmp_path):
    options = ("--groups", "layer,start", "--backends", "reference", "--dtypes", "float32")
    printed = run(tmp_path, "against.py", sys.executable, *options, "--only", "dense_forward-4x8x5")
    found = json.loads((tmp_path / "against.json").read_text())["results"]
    assert [record["id"] for record in found] == ["dense_forward-4x8x5", "import"]
    assert found[0]["apart"] == 0
    assert all(len(found[0]["seconds"][name]) == 2 for name in ("old", "new"))
    assert "differ" not in printed


def test_many_compares_bits_before_it_times(monkeypatch):
    """``fit_many`` on each network's own rows and on shared ones, against a loop of ``fit``."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    many = importlib.import_module("many")
    for own, threads in ((True, 1), (False, 1), (False, 2)):
        case = many.Case("tiny", 3, (3, 4, 1), 60, 8, 2, own)
        seconds = many.measure(case, 1, threads, rivals=False)
        alone = {"loop", "epoch by epoch", "one after another"} if threads == 1 else set()
        assert set(seconds) == {"fit_many", *alone}
        assert min(seconds.values()) > 0
        assert "tiny, 2 epochs" in many.report(case, threads, seconds)
