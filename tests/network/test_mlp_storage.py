"""Copies of a network, and networks in files."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest
from fastmlp import MLP
from problems import data


@pytest.mark.parametrize("duplicate", [lambda net: pickle.loads(pickle.dumps(net)), copy.deepcopy])
def test_copies_are_networks_of_their_own(duplicate):
    x, y = data()
    net = MLP([4, 5, 3], "tanh", "softmax", random_state=0, n_threads=1)
    net.fit(x, y, epochs=1)
    other = duplicate(net)
    assert repr(other) == repr(net)
    assert other.n_threads == 1
    assert np.array_equal(other.predict(x), net.predict(x))
    # The generator is copied as well: both go on with the same shuffles.
    assert other.fit(x, y, epochs=2).loss == net.fit(x, y, epochs=2).loss
    assert np.array_equal(other.parameters, net.parameters)
    other.weights[0][:] = 0
    assert not other.parameters[: other.weights[0].size].any()
    assert net.weights[0].any()


def test_save_and_load(tmp_path, dtype):
    pytest.importorskip("safetensors")
    net = MLP([4, 5, 6, 3], ["tanh", "relu"], "softmax", dtype=dtype, random_state=0)
    net.biases[0] = np.arange(5)
    path = tmp_path / "net.safetensors"
    net.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    other = MLP.load(str(path), n_threads=1)
    assert other.architecture == net.architecture
    assert other.dtype == dtype
    assert np.array_equal(other.parameters, net.parameters)
    assert np.array_equal(other.predict(data()[0]), net.predict(data()[0]))


def test_load_names_what_is_wrong_with_a_file(tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    path = tmp_path / "net.safetensors"
    with pytest.raises(FileNotFoundError, match=r"net\.safetensors"):
        MLP.load(path)
    path.write_bytes(b"not a network")
    with pytest.raises(ValueError, match="not a safetensors file"):
        MLP.load(path)
    MLP([4, 5, 3]).save(path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="not a safetensors file"):
        MLP.load(path)
    tensors = {"weights.0": np.ones((2, 1), np.float32), "biases.0": np.ones(1, np.float32)}
    architecture = '{"sizes": [2, 1], "activations": [], "output": "identity", "dtype": "float32"}'
    good = {"format": "fastmlp.MLP", "format_version": "1", "architecture": architecture}
    save_file(tensors, path, metadata=good)
    assert (MLP.load(path).parameters == 1).all()
    for entry, message in [
        ({"format": "other"}, "format"),
        ({"format_version": "99"}, "version 1, got '99'"),
        ({"architecture": "{"}, "architecture"),
        ({"architecture": architecture.replace("identity", "magic")}, "magic"),
        ({"architecture": architecture.replace("[2, 1]", "[2, 2]")}, r"\(2, 2\).*\(2, 1\)"),
        ({"architecture": architecture.replace("[2, 1]", "[2]")}, "sizes"),
        ({"architecture": architecture.replace("float32", "float64")}, "must be float64"),
    ]:
        save_file(tensors, path, metadata={**good, **entry})
        with pytest.raises(ValueError, match=message):
            MLP.load(path)
    save_file({"weights.0": tensors["weights.0"]}, path, metadata=good)
    with pytest.raises(ValueError, match=r"biases\.0"):
        MLP.load(path)


def test_saving_without_safetensors_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for use in (MLP([2, 1]).save, MLP.load):
        with pytest.raises(ImportError, match=r"pip install 'fastmlp\[io\]'"):
            use(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


class Labelled(MLP):
    """A network with an attribute and a slot of its own."""

    __slots__ = ("unit",)

    def __init__(self, sizes, names):
        super().__init__(sizes, random_state=0)
        self.names = names


@pytest.mark.parametrize(
    "duplicate", [lambda net: pickle.loads(pickle.dumps(net)), copy.copy, copy.deepcopy]
)
def test_what_users_have_added_stays_with_a_network(duplicate):
    net = Labelled([4, 5, 3], ["a", "b"])
    net.unit, net.scaling = "mm", {"mean": np.arange(4)}
    net.predict(np.ones((1, 4)))  # makes what is not copied
    other = duplicate(net)
    assert type(other) is Labelled
    assert (other.names, other.unit) == (["a", "b"], "mm")
    np.testing.assert_array_equal(other.scaling["mean"], np.arange(4))
    np.testing.assert_array_equal(other.predict(np.ones((1, 4))), net.predict(np.ones((1, 4))))
    assert (duplicate is copy.copy) == (other.names is net.names)
