"""The README's table of what each backend has, from the lists in the code.

``python tests/features.py`` writes it anew; a test says where it is out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastmlp import kernels, optimizers, schedules, stopping
from fastmlp.kernels._support import OPTIONS, features_of

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- table of features -->", "<!-- /table of features -->"
BACKENDS = ("compiled", "numba", "reference")
WORDS = {
    "l1": "L1 penalty",
    "clip_value": "clipping by value",
    "clip_norm": "clipping by the global norm",
    "max_norm": "max-norm",
    "trainable": "frozen layers",
    "track_gradient_norm": "norm of the gradient",
}


def rows() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Group, name, features that it needs of a backend, and the file with its parity test."""
    for name in kernels.ACTIVATIONS:
        yield "activation", name, (name,), "test_parity.py"
    yield "activation", "custom, from an expression in NumPy", ("custom",), "test_custom.py"
    for name in kernels.OUTPUTS:
        yield "output", name, (name,), "test_parity.py"
    for name in kernels.LOSSES:
        yield "loss", name, (name,), "test_parity.py"
    yield "loss", "custom, from an expression in NumPy", ("custom",), "test_custom.py"
    yield "loss", "label smoothing", ("label_smoothing",), "test_parity.py"
    for name, kind in sorted(optimizers.Optimizer.registry.items()):
        if name not in ("gradient_descent", "lbfgs"):
            rule = kind().update_rule()
            yield "optimizer", name, tuple(features_of(rule)), "test_parity_networks.py"
    yield "optimizer", "sgd with momentum, Nesterov", ("momentum",), "test_parity_networks.py"
    yield "optimizer", "adam with amsgrad", ("amsgrad",), "test_parity_networks.py"
    for name in ("gradient_descent", "lbfgs"):
        yield "optimizer", f"{name}, with line search", (), "test_descent.py"
    for name in schedules.Schedule.registry:
        yield "schedule", name, (), "test_descent.py"
    for name, rule in stopping.StopRule.registry.items():
        needs = ("track_gradient_norm",) if rule.needs_gradient_norm else ()
        yield "stop rule", name, needs, "test_stopping.py"
    yield "data", "sparse rows", ("sparse",), "test_sparse.py"
    yield "regularisation", "L2 penalty", (), "test_parity_networks.py"
    yield "regularisation", "decoupled decay", ("weight_decay",), "test_parity_networks.py"
    for name in OPTIONS:
        yield "regularisation", WORDS.get(name, name), (name,), "test_regularisation.py"


def table() -> str:
    """The table in Markdown."""
    lines = [f"| | | {' | '.join(BACKENDS)} | parity test |", f"|---|---|{':-:|' * 3}---|"]
    for group, name, features, test in rows():
        marks = [
            "✓" if all(kernels.supports(f, backend) for f in features) else "–"
            for backend in BACKENDS
        ]
        lines.append(f"| {group} | {name} | {' | '.join(marks)} | `{test}` |")
    return "\n".join(lines)


def written() -> str:
    """The table as it stands in the README."""
    return README.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", "utf-8")
