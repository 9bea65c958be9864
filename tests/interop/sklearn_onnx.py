"""Run sklearn-onnx's own tests of MLPs on our estimators: ``python sklearn_onnx.py FOLDER``.

FOLDER is ``tests`` of a clone of github.com/onnx/sklearn-onnx. In its module the names of
scikit-learn's estimators stand for ours, which ``register()`` has made known to skl2onnx. Its
helper takes what has ``transform`` for a clustering; ours have it, and are told apart here.
"""

from __future__ import annotations

import importlib
import sys
import unittest

import fastmlp
from fastmlp.interop import skl2onnx
from sklearn.base import is_regressor


def main(folder: str) -> int:
    """Failures and errors, and 1 more where nothing was run."""
    sys.path.insert(0, folder)
    skl2onnx.register()
    module = importlib.import_module("test_sklearn_mlp_converter")
    module.MLPClassifier, module.MLPRegressor = fastmlp.MLPClassifier, fastmlp.MLPRegressor
    helper = importlib.import_module("test_utils.tests_helper")
    clusters = helper._has_transform_model
    helper._has_transform_model = lambda model: clusters(model) and not is_regressor(model)
    tests = unittest.defaultTestLoader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(warnings="ignore").run(tests)
    print(f"{result.testsRun} tests, {len(result.failures)} failures, {len(result.errors)} errors")
    return len(result.failures) + len(result.errors) + (result.testsRun == 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
