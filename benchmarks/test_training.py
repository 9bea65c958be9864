"""An epoch of the shapes of the main table: fastmlp's backends and what else is installed.

    pytest benchmarks/test_training.py --benchmark-group-by=group

``extra_info`` holds the steps of the epoch. For the comparison with everything limited to equal
threads, contenders taking turns, and the machine's peak beside it, see ``table.py``.
"""

from __future__ import annotations

import os

import pytest
from fastmlp import kernels
from harness import contenders, problem, shapes

RIVALS = [name for name in contenders.RIVALS if contenders.installed(name)]


@pytest.fixture(autouse=True)
def one_xla_thread(monkeypatch):
    """XLA reads the size of its pool when JAX is first used."""
    monkeypatch.setenv("NPROC", os.environ.get("NPROC", "1"))


@pytest.mark.parametrize("steps", ["step", "epoch"])
@pytest.mark.parametrize("name", [*kernels.available(), *RIVALS])
@pytest.mark.parametrize("shape", shapes.TABLE, ids=lambda shape: shape.id)
def test_training(benchmark, shape, name, steps):
    # Run without measuring, e.g. as part of a test suite, a single step is enough.
    quick = benchmark.disabled
    contenders.verify(name, shape, "float32", 1, steps=1 if quick else 3)
    kind = contenders.load(name)
    defined = kind.definition(shape)
    count = 1 if steps == "step" or quick else shape.steps
    data = problem.make(defined, "float32", count)
    contender = kind(defined, data, problem.timed(1))
    benchmark.group = f"{shape.id}, one call of {count} step{'s' if count > 1 else ''}"
    benchmark.extra_info.update(steps=count, flops=count * shape.flops, shape=str(shape))
    benchmark(contender.epoch)
