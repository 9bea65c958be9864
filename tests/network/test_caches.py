"""Sizes of caches: where they are read, what overrides them, and that no result depends on them."""

import numpy as np
import pytest
from fastmlp import MLP, kernels
from fastmlp.kernels._machine import caches as _caches

KB = 2**10


@pytest.fixture
def reread(monkeypatch):
    """Call it to read the sizes anew; the machine's own come back afterwards."""
    for level in (1, 2, 3):
        monkeypatch.delenv(f"FASTMLP_L{level}", raising=False)

    def read():
        _caches.sizes.cache_clear()
        return _caches.sizes()

    yield read
    monkeypatch.undo()
    _caches.sizes.cache_clear()


def write(folder, index, **fields):
    (folder / f"index{index}").mkdir(parents=True)
    for name, text in fields.items():
        (folder / f"index{index}" / name).write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path):
    """Two hardware threads a core, eight cores to a third level."""
    of_core = {"shared_cpu_list": "0,16"}
    write(tmp_path, 0, level=1, type="Data", size="48K", **of_core)
    write(tmp_path, 1, level=1, type="Instruction", size="64K", **of_core)
    write(tmp_path, 2, level=2, type="Unified", size="1024K", **of_core)
    write(tmp_path, 3, level=3, type="Unified", size="32M", shared_cpu_list="0-7,16-23")
    return tmp_path


def test_a_core_has_its_share_of_what_is_shared(machine):
    assert _caches.of_sysfs(machine) == {1: 48 * KB, 2: 1024 * KB, 3: 4096 * KB}


@pytest.mark.parametrize("text", ["", "many", "1024Q"])
def test_a_system_that_says_nothing_plain_is_not_believed(machine, text):
    (machine / "index0" / "size").write_text(text)
    assert _caches.of_sysfs(machine) == {}
    assert _caches.of_sysfs(machine / "nowhere") == {}


def test_the_processor_is_asked_where_the_system_is_silent(reread, monkeypatch, tmp_path):
    monkeypatch.setattr(_caches, "_SYSTEM", tmp_path)
    monkeypatch.setattr(_caches.sys, "platform", "linux")
    monkeypatch.setattr(_caches, "_processor", [lambda: (48 * KB, 256 * KB, 0)])
    assert reread() == (48 * KB, 256 * KB, 256 * KB)  # no third level: as large as the second
    monkeypatch.setattr(_caches, "_processor", [])
    assert reread() == _caches.DEFAULTS


@pytest.mark.parametrize("text", ["262144", "256K", " 256k "])
def test_a_user_has_the_first_word(reread, monkeypatch, text):
    monkeypatch.setenv("FASTMLP_L2", text)
    assert reread().l2 == 256 * KB
    assert kernels.info()["caches"]["l2"] == 256 * KB


@pytest.mark.parametrize("text", ["0", "-1", "3", "1T", "half", "9999999G"])
def test_what_is_no_size_is_an_error(reread, monkeypatch, text):
    monkeypatch.setenv("FASTMLP_L2", text)
    with pytest.raises(ValueError, match="FASTMLP_L2 must be a size from 4K to 4G"):
        reread()


def test_cpuid_knows_this_machine():
    core = pytest.importorskip("fastmlp.kernels.compiled._core", exc_type=ImportError)
    found = core._cpuid_caches()
    assert all(size == 0 or _caches.LEAST <= size <= _caches.MOST for size in found)
    system = _caches.of_sysfs(_caches._SYSTEM)
    if found[0] and system.get(1):
        assert found[:2] == (system[1], system[2])


def cut_for(backend, sizes, monkeypatch):
    """Let a backend cut predictions for caches of these sizes."""
    monkeypatch.setattr(_caches, "sizes", lambda: sizes)
    if backend == "compiled":
        from fastmlp.kernels.compiled import _core

        _core._use_caches(sizes)
    else:
        from fastmlp.kernels.jit.engine.prepared_calls import shelves

        shelves.reset()


@pytest.mark.parametrize("backend", [b for b in kernels.available() if b != "reference"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_do_not_depend_on_the_caches(backend, dtype, monkeypatch):
    net = MLP([300, 70, 70, 19], "tanh", "softmax", dtype=dtype, random_state=0, n_threads=2)
    x = np.random.default_rng(0).standard_normal((400, 300)).astype(dtype)
    before, found = _caches.sizes(), []
    with kernels.use_backend(backend):
        try:
            for l2 in (16 * KB, 100 * KB, 4096 * KB):
                cut_for(backend, _caches.Caches(8 * KB, l2, l2), monkeypatch)
                found += [net.predict(x), net.predict(x[:50]), net.predictor()(x)]
        finally:
            cut_for(backend, before, monkeypatch)
    for each in found:
        np.testing.assert_array_equal(each, found[0][: len(each)])
