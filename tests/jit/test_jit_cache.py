"""Code that the Numba backend keeps on disk: cold, warm, shared, read-only, old, damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import run_python

pytest.importorskip("numba")

from fastmlp.kernels import jit
from fastmlp.kernels.jit.compiling import cache, folders

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
    done = run_python(STEP.format(change=change), FASTMLP_CACHE_DIR=str(folder))
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


MARKED = (folders.MARKER, folders.SIGNATURE)


def folder_of(root, name, *files):
    """A folder below ``root`` with files, for its owner alone."""
    made = root / name
    made.mkdir(mode=0o700)
    for file, content in files:
        (made / file).write_bytes(content)
        (made / file).chmod(0o600)
    return made


def test_old_folders_are_cleared_away(tmp_path):
    """A new folder leaves the few that were used last."""
    for age in range(8):
        old = folder_of(tmp_path, f"numba-0.{age}", MARKED, ("kernel.code", b"code"))
        os.utime(old, (1e9 - age, 1e9 - age))
    folders.Folder(tmp_path / "numba-new").make()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"numba-new", "numba-0.0", "numba-0.1", "numba-0.2", "numba-0.3"}


def test_folders_of_others_are_never_cleared_away(tmp_path):
    """Whatever they are called, and whatever else lies in one of ours."""
    for age in range(9):
        name = f"numba-project{age}"
        folder_of(tmp_path, name, ("thesis.txt", b"x"), ("CACHEDIR.TAG", folders.SIGNATURE[:44]))
        folder_of(tmp_path, f"numba-0.{age}", MARKED, ("thesis.txt", b"x"), ("old.code", b""))
    for path in tmp_path.iterdir():
        os.utime(path, (1e9, 1e9))
    elsewhere = folder_of(tmp_path, "elsewhere", MARKED)
    (tmp_path / "numba-link").symlink_to(elsewhere)
    folders.Folder(tmp_path / "numba-new").make()
    assert len(list(tmp_path.glob("numba-*/thesis.txt"))) == 18
    assert len(list(tmp_path.glob("numba-*/*.code"))) == 9
    assert (elsewhere / folders.MARKER).exists()


@pytest.fixture
def ours(tmp_path):
    made = folders.Folder(tmp_path / "numba-own")
    made.make()
    made.write("kernel", b"machine code")
    return made


posix = pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")


@posix
def test_folder_and_files_are_for_their_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        made = folders.Folder(tmp_path / "new" / "numba-own")
        made.make()
        made.write("kernel", b"machine code")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in made.path.iterdir()}
    assert modes == {"kernel.code": 0o600, folders.MARKER: 0o600}
    assert [made.path.stat().st_mode & 0o777, made.path.parent.stat().st_mode & 0o777] == [
        0o700
    ] * 2


@posix
@pytest.mark.parametrize("which", ["folder", "file"])
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_what_others_can_write_is_not_read(ours, which, mode):
    place = ours.path if which == "folder" else ours.path / "kernel.code"
    place.chmod(mode)
    with pytest.raises(folders.Unsafe, match=f"can be written by others .mode {mode:o}"):
        ours.read("kernel")


@posix
def test_what_belongs_to_others_is_not_read(ours):
    """Root's is, for a cache that many share."""
    status = list(ours.path.stat())
    me = os.geteuid()
    for owner, refused in ((me, False), (0, False), (me + 12345, True)):
        status[4] = owner
        if refused:
            with pytest.raises(folders.Unsafe, match=f"belongs to user {owner}, not to {me}"):
                folders.check(os.stat_result(status), ours.path)
        else:
            folders.check(os.stat_result(status), ours.path)


@posix
@pytest.mark.parametrize("which", ["folder", "file"])
def test_links_are_not_followed(ours, tmp_path, which):
    if which == "folder":
        (tmp_path / "numba-link").symlink_to(ours.path)
        link = folders.Folder(tmp_path / "numba-link")
        with pytest.raises(OSError, match=r"not a folder|symbolic link"):
            link.make()
    else:
        link = ours
        (ours.path / "kernel.code").rename(ours.path / "other.code")
        (ours.path / "kernel.code").symlink_to("other.code")
    with pytest.raises(OSError, match=r"not a folder|symbolic link"):
        link.read("kernel")


@posix
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


def test_content(ours):
    """What is read is what was written, or nothing."""
    assert ours.read("kernel") == b"machine code"
    assert ours.read("missing") is None
    file = ours.path / "kernel.code"
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole[:20], whole[:-1] + b"x", b"x" + whole):
        file.write_bytes(damaged)
        assert ours.read("kernel") is None


def test_size_and_age_are_bounded(ours):
    """The oldest go first; files of others stay."""
    (ours.path / "notes.txt").write_text("not code")
    for age in range(6):
        ours.write(f"kernel{age}", bytes(1000))
        file = ours.path / f"kernel{age}.code"
        os.utime(file, (file.stat().st_mtime - 100 * age,) * 2)
    (ours.path / "half.code.0.part").write_text("left behind")
    os.utime(ours.path / "half.code.0.part", (1e9, 1e9))
    ours.shrink(max_bytes=3500, max_age=150)
    left = {path.name for path in ours.path.iterdir()}
    assert left == {"kernel.code", "kernel0.code", "kernel1.code", "notes.txt", folders.MARKER}
    ours.shrink(max_bytes=1500)
    left = {path.name for path in ours.path.glob("*.code")}
    assert left == {"kernel.code", "kernel0.code"}


def test_what_is_used_stays_young(ours):
    file = ours.path / "kernel.code"
    os.utime(file, (1e9, 1e9))
    assert ours.read("kernel") == b"machine code"
    assert file.stat().st_mtime > 1e9


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
table.common = lambda: []
"""


@pytest.mark.sweep  # compiles in several processes
def test_warmup_command(tmp_path):
    """Says what it compiles and where to; after it nothing is left to compile."""
    command = FEW + "from fastmlp.cli import main; main(['warmup', '--threads', '1'])"
    done = run_python(command, FASTMLP_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    for name in ("function elements_float32", "common float32", "update sgd float32"):
        assert f"s       {name}\n" in done.stdout
    assert "float64" not in done.stdout
    assert "\n3 compiled, 0 were there" in done.stdout
    assert step(tmp_path)["compiled"] == []
    again = run_python(command, FASTMLP_CACHE_DIR=str(tmp_path))
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
