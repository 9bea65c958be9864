"""The docstrings: their examples run, and they say what there is to say, as numpydoc checks it."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import inspect
import os
import re
import textwrap
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
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
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@functools.cache
def members() -> dict[str, Any]:
    """All of :data:`PUBLIC`, and methods and properties that have a docstring here; each once."""
    found, seen = dict(PUBLIC), set()
    for name, thing in PUBLIC.items():
        names = [key for key in dir(thing) if not key.startswith("_")]
        for key in names if inspect.isclass(thing) else ():
            value = inspect.getattr_static(thing, key)
            function = function_of(value)
            ours = str(getattr(function, "__module__", "")).startswith("fastmlp")
            if ours and inspect.isfunction(function) and function.__doc__ and function not in seen:
                seen.add(function)
                found[f"{name}.{key}"] = value
    return found


def function_of(thing: Any) -> Any:
    """The function behind a method, a property, or a method that exists under a condition."""
    for attribute in ("__func__", "fget", "func", "function"):
        thing = getattr(thing, attribute, None) or thing
    return thing


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


@pytest.mark.source_tree
@pytest.mark.sweep  # the site's build makes the same checks
@pytest.mark.parametrize("module", MODULES)
def test_docstrings_are_valid(module):
    """By the checks of pyproject.toml, which the site's build makes as well."""
    validate = pytest.importorskip("numpydoc.validate")
    chosen = tomllib.loads(PYPROJECT.read_text("utf-8"))["tool"]["numpydoc_validation"]
    left_out = {*chosen["checks"]} - {"all"}
    wrong = []
    for name in members():
        home = max((one for one in MODULES if name.startswith(f"{one}.")), key=len)
        if home == module and not any(re.search(part, name) for part in chosen["exclude"]):
            errors = validate.validate(name)["errors"]
            wrong += [f"{name}: {text}" for code, text in errors if code not in left_out]
    assert not wrong


def raised(node: ast.AST) -> Iterator[str]:
    """Names of the errors that the statements of a function raise, without inner functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            yield ast.unparse(child.exc.func)
        if not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield from raised(child)


def test_errors_that_are_raised_are_documented():
    """Those of a function's own statements; what it calls may raise others."""
    lacking, seen = [], 0
    for name, thing in members().items():
        function = function_of(thing)
        if isinstance(thing, property) or not inspect.isfunction(function):
            continue
        statements = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        errors = set(raised(statements))
        seen += bool(errors)
        if errors and "\nRaises\n" not in (inspect.getdoc(function) or ""):
            lacking.append(f"{name}: {sorted(errors)}")
    assert seen > 40
    assert not lacking
