"""Models that announce more than they hold: a clear error, and no more memory than the file has.

What else may be wrong with files is tried at random in ``tests/campaign/test_readers.py``.
"""

from __future__ import annotations

import tracemalloc

import pytest
from fastmlp import MLP, from_onnx

#: Beyond what a file itself takes.
MOST_BYTES = 32 * 2**20
pytestmark = pytest.mark.filterwarnings("ignore")


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
