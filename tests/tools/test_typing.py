"""Annotations: they can be evaluated, name what there is, and fit a user's program."""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any, Literal

import fastmlp
import pytest
from fastmlp import _typing, initializers, kernels, metrics, optimizers, schedules, stopping

PROGRAM = Path(__file__).parents[1] / "user_program.py"
GALLERY = Path(__file__).parents[2] / "docs/gallery"
#: Whose public functions are looked at; names of the package itself besides.
MODULES = (
    *("metrics", "losses", "activations", "optimizers", "schedules", "stopping", "initializers"),
    *("callbacks", "plot", "datasets", "autodiff", "estimators"),
)


def functions():
    """Public functions and methods by name."""
    found: dict[str, Any] = {}
    for module in (fastmlp, *(getattr(fastmlp, name) for name in MODULES)):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing):
                for method, value in inspect.getmembers(thing):
                    function = value.fget if isinstance(value, property) else value
                    public = method == "__init__" or not method.startswith("_")
                    home = str(getattr(function, "__module__", ""))
                    if public and inspect.isroutine(function) and home.startswith("fastmlp"):
                        found[f"{name}.{method}"] = function
            elif inspect.isfunction(thing):
                found[f"{module.__name__}.{name}"] = thing
    return found


def test_hints_of_public_functions_can_be_evaluated():
    found = functions()
    assert {"MLP.fit", "MLPClassifier.__init__", "fastmlp.plot.loss_surface"} <= set(found)
    pytest.importorskip("matplotlib")
    for name, function in found.items():
        try:
            typing.get_type_hints(function)
        except NameError as error:
            pytest.fail(f"{name}: {error}")


def literals(hint):
    """All that a hint lists literally."""
    if typing.get_origin(hint) is Literal:
        return set(typing.get_args(hint))
    return {value for part in typing.get_args(hint) for value in literals(part)}


@pytest.mark.parametrize(
    ("names", "known"),
    [
        ("ActivationName", kernels.ACTIVATIONS),
        ("OutputName", kernels.OUTPUTS),
        ("LossName", kernels.LOSSES),
        ("OptimizerName", [*optimizers.Optimizer.registry, *optimizers._FULL_BATCH]),
        ("ScheduleName", schedules.Schedule.registry),
        ("StopName", stopping.StopRule.registry),
        ("InitializerName", initializers.Initializer.registry),
        ("MetricName", metrics.METRICS),
        ("SolverName", ["lbfgs", "sgd", "adam", "lm", "br"]),
        ("ClassifierLoss", fastmlp.MLPClassifier._known_losses),
        ("RegressorLoss", fastmlp.MLPRegressor._known_losses),
    ],
)
def test_names_that_editors_complete_are_those_that_there_are(names, known):
    assert literals(getattr(_typing, names)) == set(known)


@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (fastmlp.MLP.__init__, "activation", "leaky_relu"),
        (fastmlp.MLP.__init__, "output", "softmax"),
        (fastmlp.MLP.__init__, "init", "he_normal"),
        (fastmlp.MLP.fit, "loss", "huber"),
        (fastmlp.MLP.fit, "optimizer", "lbfgs"),
        (fastmlp.MLP.fit, "learning_rate", "one_cycle"),
        (fastmlp.MLP.fit, "stop", "early_stopping"),
        (fastmlp.MLP.fit, "metrics", "roc_auc"),
        (fastmlp.MLPClassifier.__init__, "solver", "lbfgs"),
        (fastmlp.MLPClassifier.__init__, "loss", "log_loss"),
        (fastmlp.MLPClassifier.__init__, "activation", "logistic"),
        (fastmlp.MLPClassifier.__init__, "learning_rate", "invscaling"),
        (fastmlp.MLPRegressor.__init__, "loss", "quantile"),
        (fastmlp.MLPRegressor.__init__, "optimizer", "adamw"),
    ],
)
def test_editors_find_names_in_the_hints(function, argument, name):
    assert name in literals(typing.get_type_hints(function)[argument])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_users_program_runs():
    subprocess.run([sys.executable, PROGRAM], check=True, capture_output=True)


@pytest.mark.source_tree
@pytest.mark.sweep
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_programs_of_users_pass_strict_type_checks(tmp_path):
    """A program, and the gallery, on a copy of the package in one folder, as it is installed."""
    package = Path(fastmlp.__file__).parent
    shutil.copytree(package, tmp_path / "fastmlp", ignore=shutil.ignore_patterns("*.pyc"))
    inner = Path(kernels.__file__).parent
    shutil.copytree(inner, tmp_path / "fastmlp" / "kernels", dirs_exist_ok=True)
    (tmp_path / "fastmlp" / "py.typed").touch()
    programs = [PROGRAM, *sorted(GALLERY.glob("plot_*.py"))]
    assert len(programs) > 20
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", *programs],
        env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    # Of an installed package mypy shows no errors.
    names = [path.name for path in programs]
    lines = [line for line in run.stdout.splitlines() if " error: " in line]
    errors = [line for line in lines if any(name in line for name in names)]
    assert run.stdout
    assert not errors
