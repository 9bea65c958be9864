"""Files are written whole or not at all, by any number of writers, and opened without waiting."""

from __future__ import annotations

import collections
import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fastmlp import MLP, _files
from fastmlp._files import writing

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes of POSIX")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        _files.write(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["file"]


def test_a_block_that_raises_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    _files.write(path, b"old")

    def interrupted():
        with _files.replacement(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_modes_stay_and_new_files_follow_the_umask(tmp_path):
    path, other = tmp_path / "file", tmp_path / "other"
    before = os.umask(0o027)
    try:
        _files.write(path, b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        _files.write(path, b"2")
        _files.write(other, b"3")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(other.stat().st_mode) == 0o640


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    _files.write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "folder") == ["target"]


def test_what_is_no_file_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, kind in ((pipe, ValueError), ("/dev/null", ValueError), (tmp_path, OSError)):
        with pytest.raises(kind):
            _files.write(path, b"x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(ValueError, match="must name a file, got ''"):
        _files.write("", b"x")
    with pytest.raises(FileNotFoundError) as error:
        _files.write(tmp_path / "no" / "file", b"x")
    assert error.value.filename == str(tmp_path / "no" / "file")


def test_names_may_be_as_long_as_the_folder_allows(tmp_path):
    path = tmp_path / ("n" * 255)
    _files.write(path, b"x")
    assert path.read_bytes() == b"x"
    with pytest.raises(OSError, match="too long") as error:
        _files.write(tmp_path / ("n" * 256), b"x")
    assert error.value.errno == errno.ENAMETOOLONG
    assert names(tmp_path) == ["n" * 255]


def test_a_read_only_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write anything
    with pytest.raises(PermissionError):
        _files.write(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path):
    code = f"""
import resource, signal
from fastmlp import _files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    _files.write({str(tmp_path / "file")!r}, bytes(100_000))
except OSError as error:
    print(error.filename)
"""
    (tmp_path / "file").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_left_over_files_are_removed_and_only_those(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_cleaned", set())
    old, held = ".fastmlp-0123456789abcdef.part", ".fastmlp-fedcba9876543210.part"
    fresh, others = ".fastmlp-00000000000000ff.part", [".fastmlp-x.part", "fastmlp-notes.part"]
    for name in (old, held, fresh, *others):
        (tmp_path / name).write_bytes(b"half")
        if name != fresh:
            os.utime(tmp_path / name, (1e9, 1e9))
    with (tmp_path / held).open("ab") as file:
        writing._lock(file)
        _files.write(tmp_path / "file", b"x")
    assert names(tmp_path) == sorted([held, fresh, *others, "file"])


def test_threads_that_save_to_one_path_leave_whole_files(tmp_path):
    pytest.importorskip("safetensors")
    path, n = tmp_path / "net.safetensors", 40
    nets = [MLP([60, 60, 3], random_state=i, n_threads=1) for i in range(3)]
    nets[0].save(path)
    seen: collections.Counter[str] = collections.Counter()
    stop = threading.Event()

    def save(net):
        try:
            for _ in range(n):
                net.save(path)
        except Exception as error:
            seen[repr(error)] += 1

    def read():
        while not stop.is_set():
            try:
                MLP.load(path)
            except Exception as error:
                seen[repr(error)] += 1

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=save, args=(net,)) for net in nets]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not seen
    assert names(tmp_path) == ["net.safetensors"]


SAVE_FOR_EVER = """
import sys
from fastmlp import MLP
k = int(sys.argv[2])
net = MLP([200, 200, k + 1], random_state=k, n_threads=1)
print("ready", flush=True)
while True:
    net.save(sys.argv[1])
"""


def test_killed_writers_leave_whole_files(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "net.safetensors"
    MLP([2, 1]).save(path)
    rng = np.random.default_rng(0)
    for _ in range(int(os.environ.get("FASTMLP_CAMPAIGN", "1"))):
        command = [sys.executable, "-c", SAVE_FOR_EVER, str(path)]
        writers = [
            subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE, text=True)
            for k in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        for _ in range(20):
            time.sleep(rng.uniform(0, 0.01))
            MLP.load(path)
        for writer in writers:
            writer.kill()
            writer.communicate()
        MLP.load(path)


def test_pipes_devices_and_folders_are_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match="not a regular file"):
            _files.open_regular(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        _files.open_regular(tmp_path / "nothing")


def test_names_are_shown_without_what_a_terminal_would_obey():
    assert _files.shown("a\x1b[31m\n.csv") == "a\\x1b[31m\\n.csv"
    assert _files.shown(os.fsdecode(b"\xff.csv")) == "\\xff.csv"
