"""How many threads are used where nobody said: environment, affinity, the container's quota."""

from __future__ import annotations

import os

import pytest
from fastmlp.kernels._machine import threads as _threads


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    """No variables from outside, and nothing remembered before or after."""
    for name in ("FASTMLP_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    _threads.default_threads.cache_clear()
    yield
    _threads.default_threads.cache_clear()


def test_argument_wins(monkeypatch):
    monkeypatch.setenv("FASTMLP_NUM_THREADS", "2")
    assert _threads.resolve(5) == 5
    assert _threads.resolve(None) == 2


@pytest.mark.parametrize(
    ("ours", "openmp", "expected"),
    [
        ("3", "2", 3),
        ("", "2", 2),
        (" 7 ", None, 7),
        (None, "4,2", 4),  # OpenMP's nested form
        (None, "1", 1),
    ],
)
def test_variables(monkeypatch, ours, openmp, expected):
    for name, value in (("FASTMLP_NUM_THREADS", ours), ("OMP_NUM_THREADS", openmp)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert _threads.default_threads() == expected


@pytest.mark.parametrize("bad", ["0", "-1", "two", "1.5"])
def test_wrong_variables(monkeypatch, bad):
    """A mistake in ours is an error; in OpenMP's, which is meant for others too, it is not."""
    monkeypatch.setattr(_threads, "usable_cpus", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", bad)
    assert _threads.default_threads() == 6
    monkeypatch.setenv("FASTMLP_NUM_THREADS", bad)
    _threads.default_threads.cache_clear()
    with pytest.raises(ValueError, match="FASTMLP_NUM_THREADS must be a positive integer"):
        _threads.default_threads()


def test_usable_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5, 8}, raising=False)
    for quota, expected in ((None, 4), (8.0, 4), (3.0, 3), (1.5, 2), (0.1, 1)):
        monkeypatch.setattr(_threads, "cgroup_quota", lambda *paths, quota=quota: quota)
        assert _threads.usable_cpus() == expected
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(_threads, "cgroup_quota", lambda *paths: None)
    assert _threads.usable_cpus() == (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_affinity():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert _threads.usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)


class TestControlGroups:
    @pytest.fixture
    def quota(self, tmp_path):
        """Function of the lines of /proc/self/cgroup and the files below /sys/fs/cgroup."""

        def of(membership, files):
            for name, text in files.items():
                (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "root" / name).write_text(text)
            (tmp_path / "cgroup").write_text(membership)
            return _threads.cgroup_quota(tmp_path / "root", tmp_path / "cgroup")

        return of

    def test_version_2(self, quota):
        assert quota("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}) == 1.5

    def test_version_2_unlimited(self, quota):
        assert quota("0::/a\n", {"a/cpu.max": "max 100000\n"}) is None

    def test_version_2_smallest_of_the_levels(self, quota):
        files = {"a/b/c/cpu.max": "max 100000", "a/b/cpu.max": "400000 100000"}
        assert quota("0::/a/b/c\n", files | {"a/cpu.max": "200000 100000"}) == 2
        assert quota("0::/a/b/c\n", files | {"a/cpu.max": "800000 100000"}) == 4

    def test_version_2_in_a_container(self, quota):
        assert quota("0::/\n", {"cpu.max": "50000 100000"}) == 0.5

    def test_version_1(self, quota):
        files = {"cpu/box/cpu.cfs_quota_us": "300000\n", "cpu/box/cpu.cfs_period_us": "100000\n"}
        lines = "5:memory:/box\n4:cpu,cpuacct:/box\n3:cpuset:/other\n"
        assert quota(lines, files) == 3

    def test_version_1_unlimited(self, quota):
        files = {"cpu/box/cpu.cfs_quota_us": "-1\n", "cpu/box/cpu.cfs_period_us": "100000\n"}
        assert quota("4:cpu,cpuacct:/box\n", files) is None

    def test_version_1_in_a_container(self, quota):
        """The path is the host's; the files lie at the top."""
        files = {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}
        assert quota("4:cpuacct,cpu:/docker/0123\n", files) == 2

    @pytest.mark.parametrize("text", ["", "max", "0 0", "100000 0", "a b"])
    def test_odd_files_are_no_limit(self, quota, text):
        assert quota("0::/a\n", {"a/cpu.max": text}) is None

    def test_no_files(self, quota, tmp_path):
        assert quota("0::/a\n", {}) is None
        assert quota("", {}) is None
        assert _threads.cgroup_quota(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize("name", ["FASTMLP_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("many", ["257", "2147483648", "9" * 5000, "0" * 5000 + "300"])
def test_more_threads_than_engines_use(monkeypatch, name, many):
    for other in ("FASTMLP_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, many)
    assert _threads.default_threads.__wrapped__() == 256
