"""Code that the Numba backend keeps on disk: cold, warm, shared, read-only, old, damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fresh import run_with_numba

pytest.importorskip("numba")

from fastmlp.kernels import jit
from fastmlp.kernels.jit.compiling import cache

# Makes a step; prints the result, what was compiled here, the cache's folder, and warnings. It
# calls one kernel, as what is to be seen here is the same for all, and compiling takes long.
STEP = """
import json, sys, warnings
import numpy as np
from fastmlp import kernels
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    kernels.use_backend("numba")
    from fastmlp.kernels.jit.compiling import cache, table
    from fastmlp.kernels.jit.engine import entrances
    {change}
    p = np.linspace(-1, 1, 20, dtype="f4")
    kernels.sgd_update(p, np.sin(p), 0.5)
    compiled = sorted(table.compiled)
    if entrances.ENTRANCES["elements", 4].compile():
        compiled.append("elements_float32")
print(json.dumps(dict(parameters=p.tolist(), compiled=compiled, folder=str(cache.folder()),
                      warnings=[str(w.message) for w in caught])))
"""
EVERYTHING = ["update_sgd_float32", "elements_float32"]


def step(folder, change=""):
    done = run_with_numba(STEP.format(change=change), FASTMLP_CACHE_DIR=str(folder))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cold(tmp_path_factory):
    """A folder that one process has filled, and what that process did."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, step(folder)


def same(result, expected):
    assert result["parameters"] == expected["parameters"]


def test_cold(cold):
    folder, result = cold
    assert result["compiled"] == EVERYTHING
    assert result["warnings"] == []
    assert Path(result["folder"]).parent == folder
    files = {path.name for path in Path(result["folder"]).iterdir()}
    assert any(name.endswith(".code") for name in files)
    assert not [name for name in files if name.endswith(".part")]


def test_warm(cold):
    folder, first = cold
    before = {path: path.stat().st_mtime_ns for path in Path(first["folder"]).iterdir()}
    again = step(folder)
    assert again["compiled"] == []
    assert again["warnings"] == []
    same(again, first)
    assert {p: p.stat().st_mtime_ns for p in Path(first["folder"]).iterdir()} == before


@pytest.mark.sweep  # compiles in several processes
def test_two_processes_at_once(cold, tmp_path):
    """Both compile into one folder at the same time; a third finds everything there."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FASTMLP_")}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", STEP.format(change="")],
            env=inherited | {"FASTMLP_CACHE_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in running:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        same(json.loads(out), cold[1])
        assert json.loads(out)["warnings"] == []
    third = step(tmp_path)
    assert third["compiled"] == []
    same(third, cold[1])


@pytest.mark.sweep  # compiles in several processes
def test_no_folder_can_be_made(cold, tmp_path):
    """In memory then, with one warning that names the place and what to do."""
    (tmp_path / "file").write_text("not a folder")
    result = step(tmp_path / "file" / "cache")
    same(result, cold[1])
    assert result["compiled"] == EVERYTHING
    assert len(result["warnings"]) == 1
    assert str(tmp_path / "file") in result["warnings"][0]
    assert "FASTMLP_CACHE_DIR" in result["warnings"][0]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_folder_that_is_read_only(cold, tmp_path):
    tmp_path.chmod(0o500)
    result = step(tmp_path)
    tmp_path.chmod(0o700)
    same(result, cold[1])
    assert len(result["warnings"]) == 1


READ_ONLY = """
    from fastmlp.kernels.jit.compiling import folders
    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")
    folders.Folder.write_file = refuse
"""


@pytest.mark.parametrize("missing", [None, "update_sgd_float32"])
def test_what_is_there_is_read_where_nothing_can_be_written(cold, tmp_path, missing):
    """A folder that somebody has filled and made read-only serves everybody."""
    filled = Path(cold[1]["folder"])
    shutil.copytree(filled, tmp_path / filled.name)
    for path in (tmp_path / filled.name).glob(f"*{missing}*"):
        path.unlink()
    result = step(tmp_path, READ_ONLY)
    same(result, cold[1])
    assert result["compiled"] == ([missing] if missing else [])
    assert len(result["warnings"]) == (1 if missing else 0)


def test_damaged_files_are_compiled_again(cold, tmp_path):
    filled = Path(cold[1]["folder"])
    shutil.copytree(filled, tmp_path / filled.name)
    for path in (tmp_path / filled.name).glob("*.code"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = step(tmp_path)
    same(result, cold[1])
    assert result["compiled"] == EVERYTHING
    assert step(tmp_path)["compiled"] == []


@pytest.mark.sweep  # compiles in several processes
def test_changed_version(cold):
    """Other sources have another folder; the old one stays for those who still run it."""
    folder, first = cold
    change = "cache.llvmlite.__version__ += '.1'"
    result = step(folder, change)
    same(result, first)
    assert result["folder"] != first["folder"]
    assert result["compiled"] == EVERYTHING
    assert step(folder, change)["compiled"] == []
    assert step(folder)["compiled"] == []


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_an_unsafe_folder_is_as_good_as_none(cold, tmp_path):
    """Nothing in it is run; one warning says why."""
    filled = Path(cold[1]["folder"])
    shutil.copytree(filled, tmp_path / filled.name)
    (tmp_path / filled.name).chmod(0o777)
    result = step(tmp_path)
    same(result, cold[1])
    assert result["compiled"] == EVERYTHING
    assert len(result["warnings"]) == 1
    assert "can be written by others" in result["warnings"][0]


def test_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("FASTMLP_CACHE_DIR", "~/code")
    assert cache._root() == tmp_path / "code"


def test_what_the_code_depends_on_is_in_the_name(monkeypatch):
    """The sources of all of the kernels, and the CPU's features."""
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or b"")
    cache.folder.cache_clear()
    before = cache.folder()
    package = Path(jit.__file__).parents[1]
    expected = {*package.glob("*.py"), *(package / "jit").rglob("*.py")}
    assert set(read) == expected
    assert {"_custom.py", "_names.py"} <= {path.name for path in read}
    monkeypatch.setattr(cache, "cpu", lambda: ("triple", "another", ""))
    cache.folder.cache_clear()
    assert cache.folder() != before
    cache.folder.cache_clear()


def test_instruction_sets_have_folders_of_their_own(monkeypatch):
    from fastmlp.kernels.jit.vector import host

    found = set()
    for isa in host.HOSTS.values():
        monkeypatch.setattr(cache, "host", lambda isa=isa: isa)
        cache.folder.cache_clear()
        found.add(cache.folder())
    cache.folder.cache_clear()
    assert len(found) == len(host.HOSTS)


# Some of everything, as all of it takes long.
FEW = """
from fastmlp.kernels import jit
from fastmlp.kernels.jit import _warm_up
from fastmlp.kernels.jit.compiling import lazy, table
from fastmlp.kernels.jit.engine import entrances
lazy.COMPILED[:] = [item for item in lazy.COMPILED if item.name.startswith("elements")]
table.NAMED = ("update sgd",)
table.GROUPS = {"common": list}
"""


@pytest.mark.sweep  # compiles in several processes
def test_warmup_command(tmp_path):
    """Says what it compiles and where to; after it nothing is left to compile."""
    command = FEW + "from fastmlp.cli import main; main(['warmup', '--threads', '1'])"
    done = run_with_numba(command, FASTMLP_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    for name in ("function elements_float32", "common float32", "update sgd float32"):
        assert f"s       {name}\n" in done.stdout
    assert "float64" not in done.stdout
    assert "\n3 compiled, 0 were there" in done.stdout
    assert step(tmp_path)["compiled"] == []
    again = run_with_numba(command, FASTMLP_CACHE_DIR=str(tmp_path))
    assert "\n0 compiled, 3 were there" in again.stdout


def test_warmup_knows_everything():
    """What training and prediction compile is in the lists that the command goes through."""
    from fastmlp.kernels.jit import _warm_up
    from fastmlp.kernels.jit.compiling import table
    from fastmlp.kernels.jit.engine import entrances

    assert set(entrances.ENTRANCES.values()) <= set(_warm_up.COMPILED)
    names = {item.name.strip("_") for item in _warm_up.COMPILED}
    tasks = {"rows_task", "weights_task", "load_task", "store_task"}
    assert names >= {*tasks, "alone", "share", "enter_float32", "enter_float64"}
    assert set(table.NAMED) | set(table._COMMON) == set(table.INDEX)
