"""Damaged files: a clear error or the network, nothing executed, no more memory than the file has.

``FASTMLP_SWEEP=1`` tries 5,000 mutations of each format in the place of a hundred.
"""

from __future__ import annotations

import json
import os
import tracemalloc

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, from_onnx

N = 5000 if os.environ.get("FASTMLP_SWEEP") else 100
#: Beyond what a file itself takes.
MOST_BYTES = 32 * 2**20
pytestmark = pytest.mark.filterwarnings("ignore")


def mutations(content, rng, n):
    """Flipped bytes, cut, doubled, moved and overwritten pieces, and large numbers."""
    for _ in range(n):
        data = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            place = int(rng.integers(len(data)))
            length = int(rng.integers(1, 16))
            kind = rng.integers(6)
            if kind == 0:
                data[place] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                del data[place : place + length]
            elif kind == 2:
                data[place:place] = data[place : place + length]
            elif kind == 3:
                data[place : place + length] = rng.bytes(length)
            elif kind == 4:
                data[place : place + length] = b"\xff" * length
            else:
                data = data[: max(place, 1)]
        yield bytes(data)


def attempt(read, data):
    """Read once; whether it went well, and the error's text else."""
    tracemalloc.start()
    try:
        read(data)
        error = ""
    except ValueError as found:
        error = str(found)
        assert error
        assert len(error) < 3000
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < MOST_BYTES
    return error


def test_onnx_files(rng):
    pytest.importorskip("onnx")
    model = MLPClassifier((5, 4), "tanh", max_iter=1, random_state=0)
    model.fit(rng.normal(size=(30, 3)), np.arange(30) % 3)
    contents = [
        MLP([3, 5, 2], "mish", "softmax", dtype=np.float64, random_state=0).to_onnx(),
        MLP([3, 5, 2], "gelu", random_state=0).to_onnx(opset=20),
        model.to_onnx(),
    ]
    errors = [
        attempt(from_onnx, data)
        for content in contents
        for data in mutations(content.SerializeToString(), rng, N // 3)
    ]
    assert any(errors)


def test_estimator_files(rng, tmp_path):
    pytest.importorskip("safetensors")
    model = MLPClassifier((5, 4), "tanh", max_iter=1, random_state=0)
    model.fit(rng.normal(size=(30, 3)), np.array(list("abc") * 10))
    path = tmp_path / "model"
    model.save(path)
    content = path.read_bytes()

    def read(data):
        path.write_bytes(data)
        MLPClassifier.load(path).predict(np.zeros((2, 3)))

    errors = [attempt(read, data) for data in mutations(content, rng, N // 2)]
    assert any(errors)
    # Changes within the JSON, which most random ones do not get at.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    entry = header["__metadata__"]["fastmlp.estimator"]
    for changed in json_mutations(json.loads(entry), rng, N // 2):
        header["__metadata__"]["fastmlp.estimator"] = json.dumps(changed)
        new = json.dumps(header).encode()
        attempt(read, len(new).to_bytes(8, "little") + new + content[8 + length :])


def json_mutations(entry, rng, n):
    """One value replaced by another kind, or left out."""
    odd = [None, -1, 0, 10**30, 1e308, float("nan"), "", "os.system", [], {}, [[]], True]
    odd += [{"object": ["os", "system"], "fields": {}}, {"tuple": 3}, {"array": [1]}, {"dict": 1}]
    odd += [{"array": [1], "shape": [10**12], "kind": "float64"}, {"array": [1], "shape": [-1]}]
    for _ in range(n):
        changed = json.loads(json.dumps(entry))
        holder = changed
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = keys[rng.integers(len(keys))]
            inner = holder[key]
            if isinstance(inner, (dict, list)) and inner and rng.random() < 0.8:
                holder = inner
                continue
            break
        if rng.random() < 0.2:
            del holder[key]
        else:
            holder[key] = odd[rng.integers(len(odd))]
        yield changed


def test_announced_sizes_are_not_believed():
    onnx = pytest.importorskip("onnx")
    model = MLP([3, 2]).to_onnx()
    for dims in ([2**40, 2], [2**31, 2**31], [-3, 2], [0, 2], [3], [10**6, 10**6, 10**6]):
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)
        assert attempt(from_onnx, model.SerializeToString())
    huge = MLP([3, 2]).to_onnx()
    names = [huge.graph.node[0].output[0]]
    for i in range(3000):  # a long chain is followed once, not again for every node
        names.append(f"t{i}")
        node = onnx.helper.make_node("Identity", [names[-2]], [names[-1]])
        huge.graph.node.append(node)
    attempt(from_onnx, huge.SerializeToString())
