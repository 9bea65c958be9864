"""A network for each group: trained on the rows of its group, from a shared start or its own."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, GroupedMLP

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)).astype(np.float32)
GROUPS = RNG.choice(["a", "b", "c", "d"], 200, p=[0.5, 0.3, 0.19, 0.01])
Y = np.where(GROUPS == "a", X[:, 0], X[:, 1] * X[:, 2])


def fitted(**options):
    model = GroupedMLP([3, 8, 1], random_state=0, **options)
    model.fit(X, Y, GROUPS, epochs=6)
    return model


def test_networks_are_those_of_single_fits():
    model = fitted()
    _, *generators = np.random.default_rng(0).spawn(5)
    assert model.labels == ["a", "b", "c", "d"] == list(model.networks)
    for label, generator in zip("abcd", generators, strict=True):
        alone = MLP([3, 8, 1], random_state=generator)
        mine = label == GROUPS
        history = alone.fit(X[mine], Y[mine], epochs=6)
        assert np.array_equal(alone.parameters, model.networks[label].parameters)
        assert model.histories[label].loss == history.loss
        assert np.array_equal(model.predict(X, GROUPS)[mine], alone.predict(X[mine]))


def test_shared_start_and_small_groups():
    model = fitted(shared_epochs=4, min_rows=10)
    first, *generators = np.random.default_rng(0).spawn(4)
    shared = MLP([3, 8, 1], random_state=first)
    order = np.argsort(GROUPS, kind="stable")
    shared.fit(X[order], Y[order], epochs=4)
    assert np.array_equal(shared.parameters, model.shared.parameters)
    alone = MLP([3, 8, 1], random_state=generators[1])
    alone.parameters[...] = shared.parameters
    alone.fit(X[GROUPS == "b"], Y[GROUPS == "b"], epochs=6)
    assert np.array_equal(alone.parameters, model.networks["b"].parameters)
    # The group with two rows, and one that was never there, are answered by the shared network.
    assert "d" not in model.networks
    for label in ("d", "new"):
        assert np.array_equal(model.predict(X[:3], [label] * 3), shared.predict(X[:3]))
    with pytest.raises(ValueError, match="group 'new'"):
        fitted().predict(X[:1], ["new"])


def test_weights():
    weight = RNG.uniform(0.1, 1, 200)
    model = GroupedMLP([3, 1], random_state=0)
    model.fit(X, Y, GROUPS, sample_weight=weight, epochs=2)
    alone = MLP([3, 1], random_state=np.random.default_rng(0).spawn(5)[1])
    mine = GROUPS == "a"
    alone.fit(X[mine], Y[mine], sample_weight=weight[mine], epochs=2)
    assert np.array_equal(alone.parameters, model.networks["a"].parameters)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_of_tables(library):
    module = pytest.importorskip(library)
    columns = {"u": X[:, 0], "shop": GROUPS, "v": X[:, 1], "y": Y, "w": X[:, 2]}
    table = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    model = GroupedMLP([3, 8, 1], random_state=0)
    model.fit(table, "y", "shop", epochs=6)
    expected = fitted()
    assert np.array_equal(model.predict(X, GROUPS), expected.predict(X, GROUPS))
    with pytest.raises(ValueError, match="no column 'z'"):
        model.fit(table, "z", "shop")


def test_numbers_as_labels_and_files(tmp_path):
    pytest.importorskip("safetensors")
    numbers = (GROUPS == "a") * 7 - 2
    model = GroupedMLP([3, 4, 1], shared_epochs=1, random_state=1)
    model.fit(X, Y, numbers, epochs=2)
    assert model.labels == [-2, 5]
    path = tmp_path / "groups.safetensors"
    model.save(path)
    again = GroupedMLP.load(path)
    assert np.array_equal(again.predict(X, numbers), model.predict(X, numbers))
    assert np.array_equal(again.predict(X[:2], [99, 5]), model.predict(X[:2], [99, 5]))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"is not a file of fastmlp\.GroupedMLP"):
        GroupedMLP.load(path)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m: m.fit(X, Y, GROUPS[:5]), ValueError, "one label for each of 200 rows, got 5"),
        (lambda m: m.fit(X, Y, np.ones(200)), TypeError, "whole numbers or text"),
        (lambda m: m.fit(X, Y, "shop"), TypeError, "X is no data frame"),
        (lambda m: m.fit(X, Y, GROUPS, epoch=2), TypeError, "no option 'epoch'"),
        (lambda m: m.predict(X, GROUPS), ValueError, "call fit before"),
        (lambda m: m.save("x"), ValueError, "call fit before"),
        (lambda m: GroupedMLP([3, 1], min_rows=3), ValueError, "give shared_epochs"),
    ],
)
def test_wrong_arguments(call, kind, message):
    model = GroupedMLP([3, 1])
    with pytest.raises(kind, match=message):
        call(model)
    assert model.networks == {}
