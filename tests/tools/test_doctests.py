"""The examples of the docstrings run, and every public function and class has what it needs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import re
import warnings
from typing import Any

import fastmlp
import pytest

#: Public modules that are no attributes of the package until they are imported.
FURTHER = ("line_search",)
MODULES = (
    "fastmlp",
    *(f"fastmlp.{n}" for n in fastmlp.__all__ if inspect.ismodule(getattr(fastmlp, n))),
    *(f"fastmlp.{name}" for name in FURTHER),
)
#: Packages that an example may need: by themselves, or behind what it calls.
NEEDED = {
    r"\bplot\.": "matplotlib",
    "from_onnx|to_onnx": "onnx",
    "from_torch|to_torch": "torch",
    "from_keras|to_keras": "keras",
    "from_sklearn|sklearn": "sklearn",
    "load_model|save": "safetensors",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "h5py": "h5py",
    "zarr": "zarr",
    "polars": "polars",
}


def public() -> dict[str, Any]:
    """Functions and classes that the modules export, by the name that a user calls them by."""
    found: dict[str, Any] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for one in getattr(module, "__all__", ()):
            thing = getattr(module, one)
            own = str(getattr(thing, "__module__", "")).startswith("fastmlp")
            if own and (inspect.isfunction(thing) or inspect.isclass(thing)):
                found[f"{name}.{one}"] = thing
    return found


PUBLIC = public()


def examples() -> dict[str, doctest.DocTest]:
    """Those of modules, functions, classes and their methods; each once."""
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=False)
    found: dict[int, tuple[str, doctest.DocTest]] = {}
    things: dict[str, Any] = {name: importlib.import_module(name) for name in MODULES}
    for name, thing in PUBLIC.items():
        things[name] = thing
        if inspect.isclass(thing):
            own = (m for m in inspect.getmembers(thing) if not m[0].startswith("_"))
            things |= {f"{name}.{key}": value for key, value in own if inspect.isroutine(value)}
    for name, thing in things.items():
        source = getattr(thing, "__func__", thing)
        if not str(getattr(source, "__module__", "fastmlp")).startswith("fastmlp"):
            continue
        for test in finder.find(source, name, globs={}):
            if test.examples:
                found.setdefault(id(source), (name, test))
    return dict(found.values())


EXAMPLES = examples()
#: Whose import takes seconds.
SLOW = [name for name in EXAMPLES if name.endswith(("from_torch", "from_keras", "from_onnx"))]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.sweep) if n in SLOW else n for n in EXAMPLES]
)
def test_examples_run(name, tmp_path, monkeypatch):
    test = EXAMPLES[name]
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    text = "".join(example.source for example in test.examples)
    for pattern, package in NEEDED.items():
        if re.search(pattern, text):
            pytest.importorskip(package)
    if "plot." in text:
        importlib.import_module("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that examples import
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def test_public_functions_have_examples():
    lacking = [
        name
        for name, thing in PUBLIC.items()
        if inspect.isfunction(thing) and ">>>" not in (inspect.getdoc(thing) or "")
    ]
    assert len(PUBLIC) > 150
    assert not lacking


def test_public_classes_have_docstrings():
    """Their own: a class that inherits one says nothing of itself."""
    assert not [name for name, thing in PUBLIC.items() if not (thing.__doc__ or "").strip()]
