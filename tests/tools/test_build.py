"""Building from source: which instruction sets the extension gets, by FASTMLP_ISAS."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastmlp import kernels
from tree_copy import Tree

pytest.importorskip("setuptools")
ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])
pytestmark = [
    pytest.mark.source_tree,
    pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="the sources are not here"),
]
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
X86 = {"BASELINE", "AVX2", "AVX512"}


@pytest.fixture(scope="module")
def build_script():
    """setup.py as a module, for a machine with three instruction sets."""
    spec = importlib.util.spec_from_file_location("setup_of_fastmlp", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.machine = module.architecture()
    module.architecture = lambda: "x86"
    return module


def compiler_of(folder, macros):
    """A compiler that says of this machine that it has these."""
    program = folder / "cc"
    lines = "".join(f"echo '#define {macro} 1'\n" for macro in sorted(macros))
    program.write_text(f"#!/bin/sh\n{lines}")
    program.chmod(0o755)
    return SimpleNamespace(compiler_so=[str(program), "-fPIC"])


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (None, X86),
        ("", X86),
        (" All ", X86),
        ("avx2", {"AVX2"}),
        ("AVX2, baseline", {"AVX2", "BASELINE"}),
    ],
)
def test_names(build_script, monkeypatch, text, chosen):
    monkeypatch.delenv("FASTMLP_ISAS", raising=False)
    if text is not None:
        monkeypatch.setenv("FASTMLP_ISAS", text)
    sets = build_script.instruction_sets(None)
    assert set(sets) == chosen
    assert all(sets[name] == build_script.ISA_FLAGS["x86"][name] for name in chosen)


@pytest.mark.parametrize("text", ["mmx", "avx2,", "avx2 baseline", "native,avx2", "all,baseline"])
def test_wrong_names(build_script, monkeypatch, text):
    monkeypatch.setenv("FASTMLP_ISAS", text)
    with pytest.raises(SystemExit) as caught:
        build_script.instruction_sets(None)
    assert str(caught.value) == (
        "FASTMLP_ISAS must be all, native or some of baseline, avx2, avx512 separated by commas, "
        f"got {text!r}"
    )


def test_only_set_of_a_machine_is_its_native_one(build_script, monkeypatch):
    monkeypatch.setenv("FASTMLP_ISAS", "native")
    monkeypatch.setattr(build_script, "architecture", lambda: "arm")
    assert list(build_script.instruction_sets(None)) == ["NEON"]


@pytest.mark.skipif(sys.platform == "win32", reason="its programs are no scripts")
@pytest.mark.parametrize("best", sorted(X86))
def test_native_is_what_the_compiler_says(build_script, monkeypatch, tmp_path, best):
    monkeypatch.setenv("FASTMLP_ISAS", "native")
    macros = build_script.NATIVE.get(best, {"__SSE4_2__"})
    assert list(build_script.instruction_sets(compiler_of(tmp_path, macros))) == [best]
    if best != "BASELINE":
        less = compiler_of(tmp_path, sorted(macros)[1:])
        assert list(build_script.instruction_sets(less)) != [best]


def test_silent_compiler(build_script, monkeypatch):
    monkeypatch.setenv("FASTMLP_ISAS", "native")
    with pytest.raises(build_script.ExecError, match="nocc does not say what this machine is"):
        build_script.instruction_sets(SimpleNamespace(compiler_so=["nocc"]))


@needs_compiler
@pytest.mark.skipif("compiled" not in kernels.available(), reason="the extension was not built")
@pytest.mark.skipif("FASTMLP_ISA" in os.environ, reason="not the best of this machine runs")
def test_native_is_what_runs_here(build_script):
    if build_script.machine != "x86":
        pytest.skip("it has one instruction set")
    from fastmlp.kernels.compiled import _core

    assert build_script.native(SimpleNamespace(compiler_so=[COMPILER])).lower() == _core.isa()


def test_build_and_import_ask_for_the_same(build_script):
    """A library of the compiler's native set is one that dispatch.c takes."""
    source = (ROOT / "kernels/compiled/src/engine/dispatch.c").read_text("utf-8")
    for name, macros in build_script.NATIVE.items():
        for macro in macros:
            assert f"bit_{macro.strip('_')}" in source, (name, macro)


@needs_compiler
@pytest.mark.parametrize(
    "left_out", [["AVX512"], ["AVX2", "BASELINE"], ["AVX512", "AVX2"], ["BASELINE"]]
)
def test_dispatch_without_some(build_script, left_out, tmp_path):
    """No symbol of a set that was left out is asked for, and no function is unused."""
    if build_script.machine != "x86":
        pytest.skip("it has one instruction set")
    sources = ROOT / "kernels/compiled/src"
    command = [COMPILER, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fPIC", f"-I{sources}"]
    command += ["-DFASTMLP_X86", *(f"-DFASTMLP_NO_{name}" for name in left_out)]
    target = tmp_path / "dispatch.o"
    command += ["-c", str(sources / "engine/dispatch.c"), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = target.read_bytes()
    for name in left_out:
        assert f"fastmlp_{name.lower()}_f".encode() not in data
    words = " ".join(name.lower() for name in build_script.ISA_FLAGS["x86"] if name in left_out)
    assert f"left out of this build: {words}\0".encode() in data


#: Nothing is computed: of the kernels there is the table alone, and nothing is optimised.
QUICK_COMPILER = """#!/bin/sh
echo "$@" >> {log}
for word in "$@"; do
    [ "$before" = -o ] && object=$word
    before=$word
    case $word in
    -DFASTMLP_ISA_*=1) isa=${{word#-DFASTMLP_ISA_}} isa=${{isa%=1}} ;;
    -DFASTMLP_REAL_BITS=*) bits=${{word#*=}} ;;
    esac
done
case " $* " in
*"/passes/kernels.c "*) code="const char fastmlp_$(echo $isa | tr A-Z a-z)_f$bits[4096] = {{1}};" ;;
*"/passes/lanes.c "*) code="" ;;
*) exec {compiler} "$@" -O0 ;;
esac
echo "$code" | {compiler} -x c -fPIC -c - -o "$object"
"""
SHOW = "from fastmlp.kernels.compiled import isa; print(isa())"


@pytest.mark.sweep
@needs_compiler
@pytest.mark.skipif(importlib.util.find_spec("Cython") is None, reason="Cython is not installed")
def test_built_with_some(build_script, tmp_path, monkeypatch):
    """Sources of the other sets are not compiled; another choice is built anew."""
    if build_script.machine != "x86":
        pytest.skip("it has one instruction set")
    tree, log, compiler = Tree(tmp_path / "tree"), tmp_path / "log", tmp_path / "compiler"
    compiler.write_text(QUICK_COMPILER.format(log=log, compiler=COMPILER))
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    tree.make()
    for chosen in ("baseline", "baseline,avx512"):
        log.write_text("")
        monkeypatch.setenv("FASTMLP_ISAS", chosen)
        tree.build("", afresh=False)
        compiled = log.read_text().split()
        wanted = chosen.upper().split(",")
        for name in X86:
            assert compiled.count(f"-DFASTMLP_ISA_{name}=1") == 4 * (name in wanted), name
        done = tree.run(
            [sys.executable, "-c", SHOW], capture_output=True, text=True, FASTMLP_ISA="avx2"
        )
        left_out = "avx2 avx512" if chosen == "baseline" else "avx2"
        assert (
            "ImportError: FASTMLP_ISA='avx2' cannot be used here "
            f"(left out of this build: {left_out}); usable: " in done.stderr
        )
        done = tree.run(
            [sys.executable, "-c", SHOW], capture_output=True, text=True, FASTMLP_ISA="baseline"
        )
        assert done.stdout == "baseline\n", done.stderr
    log.write_text("")
    tree.build("", afresh=False)
    assert "_core.c" not in log.read_text()  # nothing has changed
