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


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing would take most of the time."""
    monkeypatch.setattr(_report, "can_draw", lambda: False)
