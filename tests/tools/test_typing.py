"""Annotations: they can be evaluated, name what there is, and fit a user's program."""

from __future__ import annotations

import inspect
import json
import os
import runpy
import shutil
import subprocess
import sys
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal

import fastmlp
import pytest
from fastmlp import _typing, initializers, kernels, metrics, optimizers, schedules, stopping

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests/user_program.py"
GALLERY = ROOT / "docs/gallery"
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
    runpy.run_path(str(PROGRAM), run_name="__main__")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with a copy of the package in one piece, as it is installed."""
    folder = tmp_path_factory.mktemp("types")
    package = Path(fastmlp.__file__).parent
    shutil.copytree(package, folder / "fastmlp", ignore=shutil.ignore_patterns("*.pyc"))
    inner = Path(kernels.__file__).parent
    shutil.copytree(inner, folder / "fastmlp" / "kernels", dirs_exist_ok=True)
    (folder / "fastmlp" / "py.typed").touch()
    (folder / "wrong.py").write_text(WRONG)
    return folder


#: What a checker finds that sees the annotations; one that sees none finds nothing anywhere.
WRONG = """from fastmlp import MLP

loss: str = MLP([4, 8, 2]).fit([[0.0] * 4], [0]).loss[-1]
"""


def with_mypy(folder, programs):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", folder / "cache"]
    run = subprocess.run(
        [*command, *programs],
        env={**os.environ, "MYPYPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout
    return run.stdout.splitlines()


def with_basedpyright(folder, programs):
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    (folder / "programs").mkdir()
    for path in programs:
        shutil.copy(path, folder / "programs")
    configuration |= {"include": ["programs"], "extraPaths": ["."]}
    (folder / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "basedpyright", "--project", str(folder)]
    command += ["--pythonpath", sys.executable, "--outputjson"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(run.stdout)
    assert found["summary"]["filesAnalyzed"] >= len(programs)
    return [
        f"{entry['file']}: {entry['severity']} : {entry['message']}"
        for entry in found["generalDiagnostics"]
    ]


@pytest.mark.source_tree
@pytest.mark.sweep
@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
def test_programs_of_users_pass_strict_type_checks(installed, checker):
    """A program, and the gallery; of an installed package no errors are shown."""
    pytest.importorskip(checker)
    programs = [PROGRAM, *sorted(GALLERY.glob("plot_*.py"))]
    assert len(programs) > 20
    check = {"mypy": with_mypy, "basedpyright": with_basedpyright}[checker]
    lines = [
        line for line in check(installed, [*programs, installed / "wrong.py"]) if " error" in line
    ]
    assert [line for line in lines if "wrong.py" in line]
    names = [path.name for path in programs]
    assert not [line for line in lines if any(name in line for name in names)]
