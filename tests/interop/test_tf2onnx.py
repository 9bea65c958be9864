"""ONNX models that tf2onnx has written of Keras models."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastmlp import from_onnx

pytest.importorskip("onnx")
HERE = Path(__file__).resolve().parent
STORED = HERE.parent / "data" / "tf2onnx"
INSTALLED = all(map(importlib.util.find_spec, ("tensorflow", "tf2onnx", "keras")))


def check(folder: Path) -> None:
    predictions = dict(np.load(folder / "predictions.npz"))
    rows = predictions.pop("rows")
    refused = predictions.pop("batch_normalization")
    assert len(predictions) == 10
    for name, expected in predictions.items():
        net = from_onnx(folder / f"{name}.onnx")
        assert net.architecture.sizes == (4, 6, 5, 3)
        assert net.architecture.activations == (name, name)
        assert net.architecture.output == "softmax"
        assert np.abs(net.predict(rows) - expected).max() <= 1e-6
    assert refused.shape == (20, 3)
    with pytest.raises(ValueError, match=r"batch_normalization.*\(Mul\) is no dense layer"):
        from_onnx(folder / "batch_normalization.onnx")


def test_stored_models():
    check(STORED)


@pytest.mark.sweep
@pytest.mark.skipif(not INSTALLED, reason="needs tensorflow, keras and tf2onnx")
def test_models_written_now(tmp_path):
    command = [sys.executable, HERE / "keras_by_tf2onnx.py", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    check(tmp_path)
