"""Folders of machine code: whose they are, what is in them, and how they stay small."""

from __future__ import annotations

import contextlib
import os

import pytest

pytest.importorskip("numba")

from fastmlp.kernels.jit.compiling import folders

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


def test_files_that_go_meanwhile(ours, monkeypatch):
    """Another process renames its file between a look at the name and one at the size."""

    class Gone:
        name, path = "new.code.0123.part", "new.code.0123.part"

        def is_file(self, follow_symlinks):
            return True

        def stat(self, follow_symlinks):
            raise FileNotFoundError

    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: contextlib.nullcontext([Gone(), *scan(path)]))
    ours.shrink(max_bytes=0)
    monkeypatch.undo()
    assert not list(ours.path.glob("*.code"))


def test_what_is_used_stays_young(ours):
    file = ours.path / "kernel.code"
    os.utime(file, (1e9, 1e9))
    assert ours.read("kernel") == b"machine code"
    assert file.stat().st_mtime > 1e9
