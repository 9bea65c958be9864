"""The backends are interchangeable: same names, same signatures; the public ones are documented."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields
from typing import Literal, get_origin

import pytest
from fastmlp import kernels
from fastmlp.kernels import _chooser, reference

FAST = [name for name in kernels.available() if name != "reference"]
FUNCTIONS = [name for name in reference.__all__ if name[0].islower()]
METHODS = [
    (cls, name)
    for cls, names in {
        "Network": (
            *("__init__", "predict", "loss", "loss_and_gradient"),
            *("vjp", "jvp", "jacobian", "input_gradients", "hessian_product"),
        ),
        "Trainer": ("__init__", "load", "store", "run_epoch", "run_epochs"),
        "ShardTrainer": ("differentiate", "descend"),
    }.items()
    for name in names
]


def module(backend):
    return importlib.import_module(f"fastmlp.kernels.{_chooser.BACKENDS[backend].module}")


def parameters(function):
    """Name, kind and default of every parameter but ``self``; annotations may differ."""
    return [
        (parameter.name, parameter.kind.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "self"
    ]


@pytest.mark.parametrize("backend_name", FAST)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_agree(backend_name, name):
    assert parameters(getattr(module(backend_name), name)) == parameters(getattr(reference, name))


@pytest.mark.parametrize("backend_name", FAST)
@pytest.mark.parametrize(("cls", "name"), METHODS)
def test_methods_agree(backend_name, cls, name):
    actual = getattr(getattr(module(backend_name), cls), name)
    assert parameters(actual) == parameters(getattr(getattr(reference, cls), name))


@pytest.mark.parametrize("backend_name", FAST)
def test_backends_offer_the_same(backend_name):
    """A backend may say more about itself (its instruction set), and computes nothing more."""
    assert set(module(backend_name).__all__) - {"isa"} == set(reference.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_agree(name):
    assert parameters(getattr(kernels, name)) == parameters(getattr(reference, name))


def test_public_factories_agree():
    """The factory of trainers takes the options one by one, by their names."""
    assert parameters(kernels.network) == parameters(reference.Network)
    given = parameters(kernels.trainer)
    options = [one for one in given if one[1] == "KEYWORD_ONLY"]
    assert [one[:2] for one in given[:5]] == [one[:2] for one in parameters(reference.Trainer)]
    assert given[5:] == options
    assert [name for name, *_ in options] == [f.name for f in fields(kernels.TrainingOptions)]


# Types of names say what they are by their members.
DOCUMENTED = [
    name
    for name in kernels.__all__
    if callable(getattr(kernels, name)) and get_origin(getattr(kernels, name)) is not Literal
]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_public_names_are_documented(name):
    """Each has a docstring, and each parameter of a kernel is explained in it."""
    text = inspect.getdoc(getattr(kernels, name))
    assert text
    if name in FUNCTIONS:
        for parameter in inspect.signature(getattr(kernels, name)).parameters:
            assert parameter in text, f"{name} says nothing about {parameter}"


@pytest.mark.parametrize(("cls", "name"), METHODS)
def test_methods_are_documented(cls, name):
    owner = getattr(reference, cls)
    assert (owner if name == "__init__" else getattr(owner, name)).__doc__
