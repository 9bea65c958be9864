"""What all tests of the command line start from."""

import pytest
from fastmlp import kernels
from fastmlp.cli import _report


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    """Output folders are relative and belong to the test; --backend ends with it."""
    monkeypatch.chdir(tmp_path)
    with kernels.use_backend(kernels.info()["backend"]):
        yield


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing would take most of the time; the tests that look at pictures ask for ``pictures``."""
    monkeypatch.setattr(_report, "can_draw", lambda: False)


@pytest.fixture
def pictures(no_pictures, monkeypatch):
    """Learning curves are drawn, as where matplotlib is installed."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(_report, "can_draw", lambda: True)
