"""A header of 784-128-10 on the test rows of MNIST, where its files lie beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import compilers
import numpy as np
import pytest
from fastmlp import MLP, datasets

#: The folder with MNIST's four IDX files.
FOLDER = Path(os.environ.get("FASTMLP_MNIST", "mnist"))
pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason="needs MNIST's files: FASTMLP_MNIST"),
    pytest.mark.skipif("gcc" not in compilers.available(), reason="needs gcc"),
]


def test_equal_classes_on_all_test_rows_and_what_int8_costs(tmp_path):
    (train, labels), (x, truth) = datasets.load_idx(FOLDER)
    train, x = (np.ascontiguousarray(a.reshape(len(a), -1), np.float32) for a in (train, x))
    net = MLP([784, 128, 10], "relu", "softmax", random_state=0)
    net.fit(train, labels, epochs=2, batch_size=64)
    expected = net.predict(x)
    assert np.mean(expected.argmax(axis=1) == truth) > 0.95
    (found,) = compilers.predict(tmp_path, [net.to_c(name="mnist")], x, 10, level="-O2")
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    header = net.to_c(name="small", type="int8", calibration=(train[:2000], labels[:2000]))
    (rough,) = compilers.predict(tmp_path, [header], x, 10, level="-O2")
    lost = np.mean(expected.argmax(1) == truth) - np.mean(rough.argmax(1) == truth)
    assert lost <= 0.003
    if "aarch64" in compilers.available():
        some = x[:200]
        (on_arm,) = compilers.predict(tmp_path, [header], some, 10, "aarch64", level="-O2")
        assert np.array_equal(on_arm.argmax(axis=1), rough[:200].argmax(axis=1))
