"""scikit-learn's own tests of its multilayer perceptron, with nothing but the import changed.

The module ships in scikit-learn's wheel; its text is read where it is installed and run with
fastmlp's two classes in the place of scikit-learn's. Nothing of it is copied here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

MODULE = "sklearn.neural_network.tests.test_mlp"
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
#: Tests of private methods, and what covers the same behaviour here.
PRIVATE = {
    "test_gradient": "calls _loss_grad_lbfgs with scikit-learn's buffers; tests/test_gradients.py "
    "compares the engine's gradients with finite differences",
}

# What scikit-learn's own configuration allows: most of its tests stop training early.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's conftest gives to its tests unless it is told otherwise."""
    return 42


def _source() -> tuple[str, str]:
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        pytest.skip(f"{MODULE} is not installed", allow_module_level=True)
    source = Path(spec.origin).read_text("utf-8")
    assert source.count(IMPORT) == 1, f"{MODULE} imports its classes in another way"
    return source.replace(IMPORT, "from fastmlp import MLPClassifier, MLPRegressor\n"), spec.origin


_text, _path = _source()
exec(compile(_text, _path, "exec"), globals())

for _name, _reason in PRIVATE.items():
    globals()[_name] = pytest.mark.skip(reason=_reason)(globals()[_name])


def test_what_is_left_out_exists_there():
    for name in PRIVATE:
        assert f"def {name}(" in _text
