"""Choosing a backend and an instruction set, and what importing fastmlp costs and leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import _chooser, reference
from fresh import run_python, run_with_numba
from support import FUNCTIONS, calls

AVAILABLE = kernels.available()
ISAS = ("baseline", "avx2", "avx512", "neon")
SHOW = "from fastmlp import kernels; import json; print(json.dumps(kernels.info()))"


@pytest.fixture(autouse=True)
def _same_backend_afterwards():
    """What a test chooses for the process ends with the test."""
    with kernels.use_backend(kernels.info()["backend"]):
        yield


class TestChooser:
    @pytest.mark.parametrize("name", AVAILABLE)
    def test_call(self, name):
        kernels.use_backend(name)
        assert kernels.info()["backend"] == name
        assert _chooser.active().__name__ == f"fastmlp.kernels.{_chooser.BACKENDS[name].module}"

    def test_nested(self):
        kernels.use_backend("reference")
        with kernels.use_backend(AVAILABLE[0]):
            assert kernels.info()["backend"] == AVAILABLE[0]
            with kernels.use_backend("reference"):
                assert kernels.info()["backend"] == "reference"
            assert kernels.info()["backend"] == AVAILABLE[0]
        assert kernels.info()["backend"] == "reference"

    def test_error_inside_restores(self):
        kernels.use_backend(AVAILABLE[0])
        with pytest.raises(ZeroDivisionError), kernels.use_backend("reference"):
            raise ZeroDivisionError
        assert kernels.info()["backend"] == AVAILABLE[0]

    @pytest.mark.parametrize("bad", ["numpy", "", "Reference", "jit"])
    def test_unknown_name(self, bad):
        before = kernels.info()["backend"]
        with pytest.raises(ValueError, match="'compiled', 'numba', 'reference'"):
            kernels.use_backend(bad)
        assert kernels.info()["backend"] == before

    def test_missing_backend(self, monkeypatch):
        monkeypatch.setattr(_chooser, "available", lambda: ("reference",))
        with pytest.raises(ImportError, match=r"'compiled' is not available.*C compiler"):
            kernels.use_backend("compiled")
        with pytest.raises(ImportError, match=r"'numba' is not available.*pip install"):
            kernels.use_backend("numba")

    def test_plain_numpy_is_said_once(self, monkeypatch):
        monkeypatch.setattr(_chooser, "available", lambda: ("reference",))
        monkeypatch.setattr(_chooser, "_places", [_chooser._Place(_chooser._Choice(None, ""))])
        monkeypatch.setattr(_chooser.live, "module", None)
        monkeypatch.delenv("FASTMLP_BACKEND", raising=False)
        x = np.ones((2, 2))
        with pytest.warns(RuntimeWarning, match="plain NumPy.*C compiler.*numba") as caught:
            kernels.bias_gradient(x)
        assert len(caught) == 1
        kernels.bias_gradient(x)  # a second warning would be an error
        assert kernels.info()["backend"] == "reference"

    def test_no_warning_for_a_choice(self, monkeypatch):
        monkeypatch.setattr(_chooser, "available", lambda: ("reference",))
        monkeypatch.setattr(_chooser, "_places", [_chooser._Place(_chooser._Choice(None, ""))])
        monkeypatch.setattr(_chooser.live, "module", None)
        monkeypatch.setenv("FASTMLP_BACKEND", "reference")
        assert kernels.info()["backend"] == "reference"

    def test_blocks_of_several_threads(self, monkeypatch):
        """They end in any order, and leave what was live before them."""
        monkeypatch.setattr(_chooser, "_load", lambda name: types.ModuleType(name))
        live = lambda: _chooser._live().name  # noqa: E731
        before = live()
        first, second = kernels.use_backend("numba"), kernels.use_backend("reference")
        first.__enter__()
        second.__enter__()
        assert live() == "reference"
        first.__exit__(None, None, None)
        assert live() == "reference"
        second.__exit__(None, None, None)
        assert live() == before
        with kernels.use_backend("numba"):
            kernels.use_backend("reference")  # until the end of the block
            assert live() == "reference"
        assert live() == before

    def test_info(self):
        for name in AVAILABLE:
            with kernels.use_backend(name):
                info = kernels.info()
                assert set(info) >= {"backend", "available", "isa", "n_threads"}
                assert info["backend"] == name
                assert info["available"] == AVAILABLE
                assert info["n_threads"] >= 1
                assert info["isa"]
        assert AVAILABLE[-1] == "reference"

    def test_public_functions_call_the_live_backend(self, monkeypatch):
        monkeypatch.setattr(reference, "bias_gradient", lambda *args, **kwargs: "the reference's")
        with kernels.use_backend("reference"):
            assert kernels.bias_gradient(np.ones((1, 1))) == "the reference's"


class TestEnvironment:
    @pytest.mark.parametrize("name", AVAILABLE)
    def test_backend(self, name):
        run = run_with_numba if name == "numba" else run_python
        done = run(SHOW, FASTMLP_BACKEND=name)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["backend"] == name

    def test_default_is_the_first_available(self):
        done = run_python(SHOW)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["backend"] == AVAILABLE[0]

    def test_unknown_backend(self):
        done = run_python(SHOW, FASTMLP_BACKEND="fast")
        assert done.returncode
        assert "ValueError: FASTMLP_BACKEND must be one of" in done.stderr
        assert "'fast'" in done.stderr

    def test_n_threads(self):
        done = run_python(SHOW, FASTMLP_NUM_THREADS="3")
        assert json.loads(done.stdout)["n_threads"] == 3
        done = run_python(SHOW, FASTMLP_NUM_THREADS="many")
        assert done.returncode
        assert "FASTMLP_NUM_THREADS must be a positive integer, got 'many'" in done.stderr


RESULTS = """
import sys, numpy as np
sys.path.insert(0, {tests!r})
from support import FUNCTIONS, SHAPES, assert_agrees, calls
from fastmlp import kernels
from fastmlp.kernels import Architecture, UpdateRule
rng = np.random.default_rng(3)
for dtype in (np.dtype("f4"), np.dtype("f8")):
    for function in FUNCTIONS:
        for shape in SHAPES[:: 9 if function in ("output_delta", "loss_value") else 3]:
            for call in calls(function, shape, dtype, rng):
                assert_agrees(call.run(), call.expected(), dtype, call.inner, call)
    net = Architecture((7, 31, 5), ("relu",), "softmax")
    flat = rng.standard_normal(net.n_parameters).astype(dtype)
    x = rng.standard_normal((50, 7)).astype(dtype)
    labels = rng.integers(0, 5, 50)
    results = []
    for backend in (None, "reference"):
        with kernels.use_backend(backend or kernels.info()["backend"]):
            trainer = kernels.trainer(net, dtype, "cross_entropy", UpdateRule("sgd"), batch_size=16)
            trainer.load(flat)
            loss = [trainer.run_epoch(x, labels, None, 0.1) for _ in range(3)]
            results.append(np.empty_like(flat))
            trainer.store(results[-1])
    np.testing.assert_allclose(*results, atol=1e-5 if dtype == "f4" else 1e-13)
print(kernels.info()["isa"])
"""


@pytest.fixture(scope="module")
def usable():
    """Instruction sets that this CPU has, as the error for another one names them."""
    done = run_python(SHOW, FASTMLP_ISA="mmx", FASTMLP_BACKEND="compiled")
    assert done.returncode
    assert "Error: FASTMLP_ISA" in done.stderr
    assert "'mmx'" in done.stderr
    names = done.stderr.strip().splitlines()[-1].partition("usable: ")[2].split(", ")
    assert names
    assert set(names) <= set(ISAS)
    return names


@pytest.mark.skipif("compiled" not in AVAILABLE, reason="the extension was not built")
class TestInstructionSets:
    def test_default_is_the_best(self, usable):
        done = run_python(SHOW, FASTMLP_BACKEND="compiled")
        assert json.loads(done.stdout)["isa"] == usable[0]

    @pytest.mark.parametrize("isa", ISAS)
    def test_results(self, isa, usable, request):
        """Each instruction set that is there gives the reference's values; the others an error."""
        code = RESULTS.format(tests=str(request.path.parents[1]))
        done = run_python(code, FASTMLP_ISA=isa, FASTMLP_BACKEND="compiled")
        if isa in usable:
            assert done.returncode == 0, done.stderr
            assert done.stdout.split() == [isa]
        else:
            assert done.returncode
            assert f"usable: {', '.join(usable)}" in done.stderr

    def test_case_and_spaces(self, usable):
        done = run_python(SHOW, FASTMLP_ISA=f" {usable[-1].upper()} ", FASTMLP_BACKEND="compiled")
        assert json.loads(done.stdout)["isa"] == usable[-1]


@pytest.mark.skipif("numba" not in AVAILABLE, reason="numba is not installed")
class TestNumbasInstructionSets:
    def test_what_this_machine_has_not_is_refused(self):
        done = run_with_numba(SHOW, FASTMLP_ISA="mmx", FASTMLP_BACKEND="numba")
        assert done.returncode
        assert "ValueError: FASTMLP_ISA='mmx' cannot be used here; usable: " in done.stderr

    def test_case_and_spaces(self):
        done = run_with_numba(SHOW, FASTMLP_ISA="mmx", FASTMLP_BACKEND="numba")
        last = done.stderr.strip().rpartition(", ")[2].rpartition(": ")[2]
        done = run_with_numba(SHOW, FASTMLP_ISA=f" {last.upper()} ", FASTMLP_BACKEND="numba")
        assert json.loads(done.stdout)["isa"] == f"numba-{last}"


class TestImport:
    def test_is_light(self):
        """No framework is imported before somebody asks for it; not even by the first kernel."""
        code = (
            "import sys, numpy, fastmlp\n"
            "from fastmlp import kernels\n"
            "heavy = 'numba llvmlite sklearn torch matplotlib scipy pandas rich safetensors'\n"
            "print(sorted(set(heavy.split()) & set(sys.modules)))\n"
        )
        done = run_python(code)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "[]"
        if "compiled" in AVAILABLE:
            done = run_python("import numpy\n" + SHOW + "\n" + code, FASTMLP_BACKEND="compiled")
            assert done.stdout.splitlines()[-1] == "[]"

    def test_subnormal_numbers_survive(self, backend):
        """No library that fastmlp loads sets flush-to-zero, for any thread."""
        code = (
            "import numpy as np\n"
            "from fastmlp import kernels\n"
            "kernels.dense_forward(np.ones((300, 300), 'f4'), np.ones((300, 300), 'f4'),"
            " np.ones(300, 'f4'), 'tanh', n_threads=2)\n"
            "for t in (np.float32, np.float64):\n"
            "    s = np.finfo(t).smallest_subnormal\n"
            "    assert s > 0 and s + s == 2 * s and np.array([s], t)[0] + s > s\n"
            "    assert (np.full(100, s) + np.full(100, s) > s).all()\n"
        )
        run = run_with_numba if backend == "numba" else run_python
        code = "import warnings; warnings.simplefilter('error')\n" + code
        done = run(code, FASTMLP_BACKEND=backend)
        assert done.returncode == 0, done.stderr

    def test_floating_point_state_is_left_alone(self, backend, rng):
        """Kernels neither raise NumPy's floating point warnings nor leave flags for them."""
        for function in FUNCTIONS:
            for call in calls(function, (7, 17, 15), np.dtype("float32"), rng):
                with np.errstate(all="raise", under="ignore"):
                    call.run()
                    assert np.float32(1) / np.float32(3) < 1

    def test_module_runs(self):
        command = [sys.executable, "-m", "fastmlp", "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
