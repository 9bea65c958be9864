"""Every example runs, shows what it is there to show, and draws a picture."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys

import numpy as np
import pytest
from fastmlp import examples, optimizers

NAMES = [name for _, name, _ in pkgutil.iter_modules(examples.__path__) if name[0] != "_"]
DRAWS = importlib.util.find_spec("matplotlib") is not None


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run an example; return what ``main`` returns and what it has printed."""
    if DRAWS:
        matplotlib = pytest.importorskip("matplotlib")
        matplotlib.use("Agg")

    def call(name, *arguments):
        module = importlib.import_module(f"fastmlp.examples.{name}")
        result = module.main(["--out", str(tmp_path), *arguments])
        if DRAWS:
            from matplotlib import image, pyplot

            pictures = list(tmp_path.glob("*.png"))
            assert tmp_path / f"{name}.png" in pictures
            for picture in pictures:
                assert image.imread(picture)[..., :3].std() > 0.02
            pyplot.close("all")
        return result, capsys.readouterr().out

    return call


def test_the_list_of_examples_is_whole():
    for name in NAMES:
        assert f"``{name}``" in (examples.__doc__ or "")
    assert len(NAMES) == 12


def test_regression(run):
    found, out = run("regression")
    # Standard errors of the estimates are about 0.05; the noise is 0.1.
    for name, value in {"w": 2.0, "b": -1.0, "v": 1.5, "c": 0.5}.items():
        assert found[name] == pytest.approx(value, abs=0.3)
    assert "drawn with" in out


def test_binary(run):
    accuracy, out = run("binary")
    assert accuracy > 0.93
    assert "validation loss has not improved" in out


def test_multinomial(run):
    accuracy, _ = run("multinomial")
    assert accuracy > 0.93


@pytest.mark.parametrize(
    "name", [pytest.param("mnist_squared_error", marks=pytest.mark.sweep), "mnist_cross_entropy"]
)
def test_digits_without_a_folder(run, name):
    accuracy, out = run(name)
    assert accuracy > 0.93
    assert out.startswith("data: the embedded digits")
    assert "--data-dir" in out.splitlines()[0]


def test_digits_of_a_folder(run, tmp_path):
    """Files of MNIST's form are read: here with few images, of a bright bar in one of ten rows."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 600), ("t10k", 100)):
        labels = rng.integers(0, 10, n).astype(np.uint8)
        images = rng.integers(0, 60, (n, 10, 10)).astype(np.uint8)
        images[np.arange(n), labels] = 250
        head = b"\0\0\x08\x03" + np.array(images.shape, ">u4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = b"\0\0\x08\x01" + np.array(labels.shape, ">u4").tobytes()
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    accuracy, out = run("mnist_cross_entropy", "--data-dir", str(tmp_path))
    assert accuracy > 0.97
    assert "600 + 100 images of 10 × 10 pixels" in out


def test_descents(run):
    reached, out = run("descents")
    assert list(reached) == ["batch (60 rows)", "minibatch (10 rows)", "stochastic (1 row)"]
    assert "lowest cost" in out
    lowest = float(out.split("lowest cost ")[1].split(",")[0])
    for cost in reached.values():
        assert lowest - 1e-5 <= cost < 1.5 * lowest


@pytest.mark.sweep  # trains for seconds
def test_optimizers_compared(run):
    histories, _ = run("optimizers_compared")
    small = {"levenberg_marquardt", "bayesian_regularization"}  # for small networks
    assert set(histories) == {*optimizers.Optimizer.registry, *optimizers._FULL_BATCH} - small
    for name, history in histories.items():
        assert history.stop_reason in ("epochs", "line_search"), name
        assert history.loss[-1] < 0.9 * history.loss[0], name


@pytest.mark.sweep  # trains for seconds
def test_second_order(run):
    histories, out = run("second_order")
    losses = {name: history.loss[-1] for name, history in histories.items()}
    assert losses["Levenberg–Marquardt"] < 0.1 * min(losses["gradient descent"], losses["Adam"])
    assert "L-BFGS" in out


def test_line_search(run):
    histories, out = run("line_search")
    losses = {name: history.loss[-1] for name, history in histories.items()}
    constant, armijo, wolfe, lbfgs = losses.values()
    assert lbfgs < min(armijo, wolfe) < constant
    assert "strong Wolfe" in out


@pytest.mark.sweep  # trains for seconds
def test_loss_surface(run):
    small, large = run("loss_surface")[0]
    assert small < 0.01
    assert large < 0.5


def test_without_matplotlib_there_is_no_picture(monkeypatch, tmp_path, capsys):
    from fastmlp.examples import _common, binary

    monkeypatch.setattr(_common, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    binary.main(["--out", str(tmp_path)])
    assert "pip install 'fastmlp[plot]'" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.sweep  # trains for seconds
def test_custom_loss(run):
    costs, out = run("custom_loss")
    assert costs["own cost"] < 0.9 * costs["squared error"]
    assert "∂out/∂node" in out


def test_pole_balancing(run):
    found, out = run("pole_balancing")
    assert found["first"] < 40
    assert found["last"] > 3 * found["first"]
    assert "600 updates" in out
