"""Models with damaged or lying headers: one clear error, before anything is built."""

from __future__ import annotations

import json

import pytest
from data_files import model_file
from fastmlp import MLP, load_model


def safetensors_file(header, tail=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tail


def test_headers_of_models_are_read_with_distrust(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "net.safetensors"
    MLP([2, 1]).save(path)
    content = path.read_bytes()
    n = int.from_bytes(content[:8], "little")
    good, data = json.loads(content[8 : 8 + n]), content[8 + n :]

    def with_entry(name, **changes):
        return safetensors_file({**good, name: {**good[name], **changes}}, data)

    def with_architecture(**changes):
        metadata = dict(good["__metadata__"])
        metadata["architecture"] = json.dumps({**json.loads(metadata["architecture"]), **changes})
        return safetensors_file({**good, "__metadata__": metadata}, data)

    for damaged in (
        b"",
        b"\xff" * 8,
        (2**62).to_bytes(8, "little") + b"{}",
        safetensors_file(b"[" * 100_000),
        safetensors_file(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        safetensors_file([1, 2]),
        safetensors_file({"__metadata__": 3}),
        safetensors_file(
            {f"name{i}": 1 for i in range(20_000)} | {"__metadata__": good["__metadata__"]}
        ),
        with_entry("weights.0", dtype="BF16"),
        with_entry("weights.0", dtype="F8_E4M3"),
        with_entry("weights.0", dtype=["F32"]),
        with_entry("weights.0", shape="2, 1"),
        with_entry("weights.0", shape=[2**70, 2**70]),
        with_entry("weights.0", data_offsets=[0, 2**63]),
        with_entry("weights.0", data_offsets=None),
        with_architecture(sizes=[2**70, 2**70]),
        with_architecture(sizes=[10**9] * 1000),
        with_architecture(sizes="21"),
        with_architecture(sizes=[2.0, 1]),
        with_architecture(output=["identity"]),
        with_architecture(activations=[[]]),
        with_architecture(dtype={}),
        content + b"\0",
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"net\.safetensors") as error:
            MLP.load(path)
        assert len(str(error.value)) < 2000


def test_preprocessing_is_compared_with_the_network(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "file.safetensors"
    path.write_bytes(model_file(tmp_path))
    key = "fastmlp.cli.preprocessing"
    content = path.read_bytes()
    n = int.from_bytes(content[:8], "little")
    metadata, tensors = json.loads(content[8 : 8 + n])["__metadata__"], safetensors.load(content)
    good = json.loads(metadata[key])
    deep = "[" * 100_000
    columns = good["columns"]
    for change in (
        *(dict.fromkeys([name]) for name in good if name != "image_shape"),
        {"image_shape": [2000, 2000], "columns": None},
        {"image_shape": [1, -3]},
        {"image_shape": [2**40, 2**40]},
        {"image_shape": [[1, 3]]},
        {"target_names": ["a", "b"]},
        {"target_names": [1]},
        {"task": "evil"},
        {"scale": [0, 0, 0]},
        {"scale": float("nan")},
        {"scale": [[1, 1, 1]]},
        {"offset": [[1], [2], [3]]},
        {"offset": [1e400, 0, 0]},
        {"target_scale": "1"},
        {"columns": [{}, {}, {}]},
        {"columns": [{"name": "a", "unknown": 1}] * 3},
        {"columns": [{"name": 1}] * 3},
        {"columns": [{"name": "a", "missing": "maybe"}] * 3},
        {"columns": [{"name": "a", "decimal": "x"}] * 3},
        {"columns": [{"name": "a", "date": "d.m.y", "fill": 1e300}]},
        {"columns": columns * 2},
        {"version": 99},
    ):
        text = json.dumps({**good, **change})
        path.write_bytes(safetensors.save(tensors, {**metadata, key: text}))
        with pytest.raises(
            ValueError, match=r"file\.safetensors: its preprocessing cannot be used"
        ):
            load_model(path)
    for text in ("", "{}", "[]", "3", deep):
        path.write_bytes(safetensors.save(tensors, {**metadata, key: text}))
        with pytest.raises(
            ValueError, match=r"file\.safetensors: its preprocessing cannot be used"
        ):
            load_model(path)
