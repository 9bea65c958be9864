"""Graphs as objects: sharing, folding, evaluation, text, pictures, networks, and error messages."""

from __future__ import annotations

import gc
import itertools

import numpy as np
import pytest
from fastmlp import MLP, autodiff, check_gradients, kernels
from fastmlp.autodiff import grad, label, trace, value_and_grad
from fastmlp.autodiff._node import _known

COURSE = """\
node    computes      shape   value  ∂out/∂node
x       input         scalar      2           3
w       input         scalar      3           2
b       input         scalar      1           1
y_true  input         scalar      5          -1
v1      x * w         scalar      6           1
v2      v1 + b        scalar      7           1
v3      y_true - v2   scalar     -2          -1
out     abs(v3)       scalar      2           1

edge         ∂node/∂operand  × ∂out/∂node
y_true → v3               1            -1
x → v1                    3             3
w → v1                    2             2
v1 → v2                   1             1
b → v2                    1             1
v2 → v3                  -1             1
v3 → out                 -1            -1

∂out/∂x = ∂out/∂v3 · ∂v3/∂v2 · ∂v2/∂v1 · ∂v1/∂x = (-1) · (-1) · 1 · 3 = 3
∂out/∂w = ∂out/∂v3 · ∂v3/∂v2 · ∂v2/∂v1 · ∂v1/∂w = (-1) · (-1) · 1 · 2 = 2
∂out/∂b = ∂out/∂v3 · ∂v3/∂v2 · ∂v2/∂b = (-1) · (-1) · 1 = 1
∂out/∂y_true = ∂out/∂v3 · ∂v3/∂y_true = (-1) · 1 = -1"""


def course():
    return trace(lambda x, w, b, y_true: abs(y_true - (x * w + b)), 2.0, 3.0, 1.0, 5.0)


def words(text):
    """Words of each line: the width of the columns is not the point."""
    return sorted(line.split() for line in text.splitlines() if line)


def test_listing_of_the_course_example():
    graph = course()
    assert "∂" not in str(graph)
    assert graph.backward() == {"x": 3, "w": 2, "b": 1, "y_true": -1}
    assert words(str(graph)) == words(COURSE)
    shown = [line.split()[0] for line in str(graph).split("\n\n")[0].splitlines()[1:]]
    assert shown == ["x", "w", "b", "y_true", "v1", "v2", "v3", "out"]


def test_evaluation_at_other_values():
    graph = course()
    graph.backward()
    assert graph(1.0, 1.0, 1.0, 1.0) == 1
    with pytest.raises(ValueError, match=r"call backward\(\) first"):
        graph.gradient(graph.inputs[0])
    assert graph.backward() == {"x": 1, "w": 1, "b": 1, "y_true": -1}
    assert graph.evaluated(0.0, 0.0, 0.0, 9.0) == 9
    assert graph.value(graph.outputs[0]) == 1
    with pytest.raises(ValueError, match="4 inputs, got 1"):
        graph(1.0)
    with pytest.raises(ValueError, match=r"input w must have shape \(\), .* got \(2,\)"):
        graph(1.0, [1.0, 2.0], 1.0, 1.0)


def test_common_subexpressions_are_one_node():
    graph = trace(lambda x: np.exp(x * 2) + np.sin(x * 2) * np.exp(x * 2), np.ones(3))
    assert sum(bool(node.inputs) for node in graph.nodes) == 5
    both = trace(lambda x: (x[None, 1:] + 1.0, 1.0 + x, x[None, 1:] + 1.0), np.ones(3))
    assert both.outputs[0] is both.outputs[2]


def test_constants_fold():
    table = np.arange(6.0).reshape(2, 3)
    graph = trace(lambda x: x + np.sum(np.exp(np.ones_like(x) * 2) @ table), np.ones((3, 2)))
    assert [node.operation for node in graph.nodes] == ["input", "constant", "add"]


def test_constants_are_copied():
    weights = np.ones(3)
    graph = trace(lambda x: np.sum(x * weights), np.ones(3))
    weights[:] = 0
    assert graph(np.ones(3)) == 3


def test_graphs_are_forgotten():
    gc.collect()
    before = len(_known)
    graph = trace(lambda x: np.sum(np.tanh(x) ** 3), np.ones(3))
    graph.backward()
    assert len(_known) > before
    del graph
    gc.collect()
    assert len(_known) <= before


def test_deep_graphs_do_not_recurse():
    def f(x):
        for _ in range(5000):
            x = np.sin(x)
        return x

    assert 0 < grad(f)(1.0) < 1


def test_names():
    graph = trace(lambda x, y: label(x * label(y + 1, "shifted"), "product") * 2, 1.0, 2.0)
    assert [graph.name(node) for node in graph.nodes if node.inputs] == [
        "shifted",
        "product",
        "out",
    ]
    assert label(3, "number") == 3
    assert repr(graph) == "Graph(x, y; 3 operations)"
    unnamed = trace(lambda *rows: rows[0] + rows[1], 1, 2)
    assert [unnamed.name(x) for x in unnamed.inputs] == ["x0", "x1"]


def test_several_results():
    graph = trace(lambda x: (x.sum(axis=0), x.max()), np.arange(4.0).reshape(2, 2))
    total, highest = graph(np.ones((2, 2)))
    np.testing.assert_array_equal(total, [2, 2])
    assert highest == 1
    with pytest.raises(ValueError, match=r"one scalar result, got shapes \(2,\), \(\)"):
        graph.backward()


# Pictures


def networks_graph(**options):
    rng = np.random.default_rng(0)
    net = MLP([4, 6, 5, 3], output="softmax", random_state=0, **options)
    return net.graph(rng.normal(size=(16, 4)), rng.integers(0, 3, 16))


def test_dot():
    graph = course()
    graph.backward()
    text = graph.to_dot()
    assert text.count("->") == 7
    assert 'label="v1 = x * w\\n6\\n∂ 1"' in text
    assert text.startswith("digraph {")
    assert text.endswith("}\n")


@pytest.mark.parametrize("make", [course, networks_graph])
def test_boxes_stand_in_layers_and_do_not_touch(make):
    pytest.importorskip("networkx")
    from fastmlp.autodiff._draw import drawn, lines
    from fastmlp.autodiff._layout import Layout

    graph = make()
    graph.backward()
    layout = Layout(graph, {node: lines(graph, node) for node in drawn(graph)})
    for a, b in itertools.combinations(drawn(graph), 2):
        (xa, ya), (xb, yb) = layout.centre[a], layout.centre[b]
        (wa, ha), (wb, hb) = layout.size[a], layout.size[b]
        assert abs(xa - xb) > (wa + wb) / 2 or abs(ya - yb) > (ha + hb) / 2
    for operand, node, _ in graph.edges:
        (xa, _), (xb, _) = layout.centre[operand], layout.centre[node]
        assert xa + layout.size[operand][0] / 2 < xb - layout.size[node][0] / 2


@pytest.mark.parametrize("given", [False, True])
def test_plot(given, tmp_path):
    pytest.importorskip("networkx")
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    graph = course()
    graph.backward()
    axes = graph.plot(pyplot.figure().subplots() if given else None)
    shown = [text.get_text() for text in axes.texts]
    assert {"v1 = x * w", "out = abs(v3)", "∂ -1", "3"} <= set(shown)
    axes.figure.savefig(tmp_path / "graph.png")
    pyplot.close("all")


# Networks

HIDDEN = kernels.ACTIVATIONS
PAIRS = [(loss, out) for loss, outs in kernels.LOSS_OUTPUTS.items() for out in outs]


@pytest.fixture
def reference():
    with kernels.use_backend("reference"):
        yield


@pytest.mark.parametrize("activation", HIDDEN)
def test_gradients_of_activations_agree(activation, dtype, reference, rng):
    net = MLP([5, 7, 6, 3], activation=activation, random_state=1, dtype=dtype)
    X, y = rng.normal(size=(12, 5)), rng.normal(size=(12, 3))
    result = check_gradients(net, X, y, n_elements=3, verbose=False)
    assert result, str(result)


@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_gradients_of_losses_agree(loss, output, dtype, reference, rng):
    net = MLP([5, 7, 3], activation="tanh", output=output, random_state=1, dtype=dtype)
    X, y, weight = rng.normal(size=(12, 5)), rng.integers(0, 3, 12), rng.random(12)
    result = check_gradients(net, X, y, loss, weight, n_elements=3, verbose=False)
    assert result, str(result)


@pytest.mark.parametrize(("loss", "output"), [p for p in PAIRS if "cross_entropy" in p[0]])
def test_smoothed_labels(loss, output, reference, rng):
    net = MLP([5, 3], output=output, random_state=1, dtype=np.float64)
    smooth = kernels.Loss(loss, {"label_smoothing": 0.2})
    result = check_gradients(net, rng.normal(size=(6, 5)), rng.integers(0, 3, 6), smooth, verbose=0)
    assert result, str(result)


def test_graph_of_a_network_has_the_engines_gradients(backend, rng):
    X, y = rng.normal(size=(10, 4)), rng.integers(0, 3, 10)
    net = MLP([4, 8, 3], activation="tanh", output="softmax", random_state=0, dtype=np.float64)
    graph = net.graph(X, y)
    gradients = graph.backward()
    value, expected = net.loss_and_gradients(X, y)
    assert graph.value(graph.outputs[0]) == pytest.approx(value, rel=1e-14)
    for i, (dW, db) in enumerate(expected, 1):
        np.testing.assert_allclose(gradients[f"W{i}"], dW, atol=1e-15, rtol=1e-12)
        np.testing.assert_allclose(gradients[f"b{i}"], db, atol=1e-15, rtol=1e-12)
    assert {"X", "W1", "b1", "z1", "a1", "W2", "b2", "z2", "y", "loss"} <= {
        graph.name(node) for node in graph.nodes if node.operation != "constant"
    }


def test_check_gradients_says_where_they_part(backend, rng, capsys):
    X, y = rng.normal(size=(12, 5)), rng.normal(size=(12, 3))
    net = MLP([5, 7, 3], activation="tanh", random_state=1)
    assert check_gradients(net, X, y)
    assert "all agree" in capsys.readouterr().out

    def damaged(*args):
        value, gradients = MLP.loss_and_gradients(net, *args)
        gradients[1][0][2, 1] += 0.01
        return value, gradients

    net.loss_and_gradients = damaged
    result = check_gradients(net, X, y, n_elements=100)
    assert not result
    apart = [c for c in result.comparisons if not c.agrees]
    assert [(c.name, c.place) for c in apart] == [("W2", (2, 1))]
    engine, graph, differences = apart[0].values
    assert engine - graph == pytest.approx(0.01, rel=1e-3)
    assert differences == pytest.approx(graph, rel=1e-6)
    assert "they part in W2[2, 1]: engine" in capsys.readouterr().out


def test_check_gradients_leaves_kinks_out(rng):
    """A ReLU whose score is 0 for every row: a difference looks at both sides of its kink."""
    net = MLP([2, 3, 1], activation="relu", random_state=0, dtype=np.float64)
    net.weights[0][:] = 0
    result = check_gradients(net, rng.normal(size=(9, 2)), rng.normal(size=9), verbose=False)
    assert result
    assert result.comparisons[0].kinks > 0


# Errors


@pytest.mark.parametrize(
    ("f", "at", "error", "message"),
    [
        (
            lambda x: np.fft.fft(x),
            np.ones(3),
            TypeError,
            r"np\.fft\.fft has no derivative rule .*np\.tanh",
        ),
        (lambda x: np.gcd(x, x), 1.0, TypeError, r"np\.gcd has no derivative rule"),
        (lambda x: np.multiply.accumulate(x), np.ones(3), TypeError, r"np\.multiply\.accumulate"),
        (lambda x: np.sum(x, dtype=np.int8), np.ones(3), TypeError, "np.sum .* takes no dtype"),
        (lambda x: np.exp(x, where=True), 1.0, TypeError, r"np\.exp .* takes no \['where'\]"),
        (lambda x: x.cumsum(), np.ones(3), AttributeError, r"no \.cumsum; see .*supported"),
        (lambda x: 1 if x > 0 else 2, 1.0, TypeError, r"np\.where\(condition, a, b\)"),
        (lambda x: np.log(x[x > 0]).sum(), np.ones(3), TypeError, "cannot be an index"),
        (lambda x: float(x) ** 2, 1.0, TypeError, "not math.exp"),
        (lambda x: np.add(x, 1, out=np.ones(())), 1.0, TypeError, "cannot be changed in place"),
        (lambda x: x.__setitem__(0, 1), np.ones(3), TypeError, "cannot be assigned to"),
        (lambda x: x * 1j, 1.0, TypeError, "real numbers and booleans, got dtype complex128"),
        (lambda x: x & x, 1.0, TypeError, "are for conditions"),
        (lambda x: x * 2, np.ones(2), ValueError, r"scalar result, got shape \(2,\): sum it"),
        (lambda x: x > 0, 1.0, ValueError, "real result, got bool"),
        (lambda x: np.sum(x + np.ones(3)), np.ones(2), ValueError, r"add of shapes \(2,\), \(3,\)"),
        (lambda x: x @ np.ones(3), np.ones(2), ValueError, r"shapes \(2,\) and \(3,\) do not fit"),
        (lambda x: np.sum(x, axis=2), np.ones((2, 2)), ValueError, "axis 2 does not fit"),
        (lambda x: x, "text", TypeError, "argument 0 must hold real numbers"),
        (np.sqrt, 0.0, FloatingPointError, r"derivative of sqrt\(0\) is inf"),
        (lambda x: np.sum(1 / x), np.array([1.0, 0.0]), FloatingPointError, r"at index \(1,\)"),
        (lambda x: np.log(np.tanh(x) - 1), 9e9, FloatingPointError, r"value of log\(0\) is -inf"),
        (lambda x: label(1 / x, "share") + x, 0.0, FloatingPointError, r"share = divide\(1, 0\)"),
        (lambda x: x * 2, np.inf, None, None),
        (lambda x: x * x, np.nan, FloatingPointError, "as an argument is not"),
    ],
)
def test_errors(f, at, error, message):
    if error is None:
        assert grad(f)(at) == 2
        return
    with pytest.raises(error, match=message):
        grad(f)(at)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="argnums 1 do not fit a call with 1 arguments"):
        grad(np.exp, 1)(1.0)
    with pytest.raises(TypeError, match="got a traced array"):
        trace(lambda x: trace(np.exp, x), 1.0)


def test_integers_become_real_numbers():
    value, gradient = value_and_grad(lambda x: np.sum(x**2))(np.array([1, 2]))
    assert value == 5
    np.testing.assert_array_equal(gradient, [2.0, 4.0])
    assert gradient.dtype == np.float64


def test_supported_functions_exist():
    for name in autodiff.supported():
        function = np
        for part in name.split(".")[1:]:
            function = getattr(function, part)
        assert callable(function)


def test_check_gradients_takes_networks_alone():
    with pytest.raises(TypeError, match=r"network must be a fastmlp\.MLP, got object"):
        check_gradients(object(), np.zeros((1, 1)), np.zeros((1, 1)))
