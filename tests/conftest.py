"""Fixtures: every test that asks for ``backend`` runs once on each backend that is available."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fastmlp import kernels


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live-backend",
        action="store_true",
        help="only tests that take the backend as they find it, none that names each itself",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--live-backend"):
        return
    naming = [item for item in items if {"backend", "fast_backend"} & set(item.fixturenames)]
    config.hook.pytest_deselected(items=naming)
    items[:] = [item for item in items if item not in set(naming)]


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


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    return np.dtype(request.param)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that differ from test to test, and never from run to run."""
    return np.random.default_rng(list(request.node.name.encode()))
