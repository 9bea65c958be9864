"""Fixtures: every test that asks for ``backend`` runs once on each backend that is available.

And what a short suite needs: a choice among combinations of parameters (``covering.py``), and one
folder of compiled Numba kernels for all tests that run beside each other.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Hashable, Iterator

if "PYTEST_XDIST_WORKER" in os.environ:
    # BLAS reads it when NumPy is imported. Threads of several processes that share the CPUs wait
    # for each other in loops, which took a quarter of the suite's time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from covering import cover
from fastmlp import kernels


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live-backend",
        action="store_true",
        help="only tests that take the backend as they find it, none that names each itself",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Compile each Numba kernel once, for all processes of this run and of the next ones."""
    if "FASTMLP_CACHE_DIR" not in os.environ and (cache := getattr(config, "cache", None)):
        os.environ["FASTMLP_CACHE_DIR"] = str(cache.mkdir("numba"))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """A process for each CPU, but not dozens: each has the kernels' threads besides."""
    cpus = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return min(len(cpus), 8)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the collector of garbage away from thousands of tests and modules, which all stay.

    It would look through them again and again, here and whenever a test collects.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before ``-m`` is looked at
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not any("::" in name for name in config.args):  # what is named is run
        mark_sweeps(items)
    if not config.getoption("--live-backend"):
        return
    naming = [item for item in items if {"backend", "fast_backend"} & set(item.fixturenames)]
    config.hook.pytest_deselected(items=naming)
    items[:] = [item for item in items if item not in set(naming)]


def mark_sweeps(items: list[pytest.Item]) -> None:
    """Mark what the short suite leaves out of the tests that say what has to be covered."""
    tests: dict[tuple[str, str], list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("covers"):
            parent = item.parent.nodeid if item.parent else ""
            tests.setdefault((parent, item.originalname), []).append(item)
    for (_, name), combinations in tests.items():
        marker = combinations[0].get_closest_marker("covers")
        assert marker is not None
        groups = [group.split() for group in marker.args] or None
        cases = [
            {name: _key(value) for name, value in item.callspec.params.items()}
            for item in combinations
        ]
        unknown = {one for group in groups or () for one in group} - set(cases[0])
        assert not unknown, f"{name} covers {unknown}, which are no parameters of it"
        without = set(str(marker.kwargs.get("without", "")).split())
        places = [
            place
            for place, item in enumerate(combinations)
            if not without or not without <= {str(one) for one in item.callspec.params.values()}
        ]
        kept = {places[i] for i in cover([cases[place] for place in places], groups)}
        for place, item in enumerate(combinations):
            if place not in kept:
                item.add_marker("sweep")


def _key(value: object) -> Hashable:
    """What tells a parameter's value from the others."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value), value


def pytest_report_header() -> str:
    return f"fastmlp kernels: {kernels.info()}"


@pytest.fixture(params=kernels.available())
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of the backend that is live during the test; any, the reference too."""
    with kernels.use_backend(request.param):
        yield request.param


@pytest.fixture(params=[name for name in kernels.available() if name != "reference"])
def fast_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of the live backend, one of those that are measured against the reference."""
    with kernels.use_backend(request.param):
        yield request.param


@pytest.fixture
def compiled_backend() -> Iterator[None]:
    """What only the compiled backend has is looked at there, whichever is live."""
    if "compiled" not in kernels.available():
        pytest.skip("needs the compiled backend")
    with kernels.use_backend("compiled"):
        yield


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    return np.dtype(request.param)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that differ from test to test, and never from run to run."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.fixture
def interrupts_arrive() -> Iterator[None]:
    """A shell that starts something in the background has it ignore Ctrl-C; this test does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
