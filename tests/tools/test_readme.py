"""The README's examples run, and what it says of files and options is there."""

import re
from pathlib import Path

import pytest
from fastmlp import kernels, optimizers, schedules, stopping
from fastmlp.cli import _arguments

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TEXT = README.read_text("utf-8") if README.is_file() else ""
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

pytestmark = pytest.mark.source_tree


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number, tmp_path, monkeypatch, capsys):
    if "sklearn" in EXAMPLES[number]:
        pytest.importorskip("sklearn")
    if "save(" in EXAMPLES[number]:
        pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README.md, example {number + 1}", "exec"), {})
    assert capsys.readouterr().out


def test_examples_are_found():
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("activations", kernels.ACTIVATIONS),
        ("outputs", kernels.OUTPUTS),
        ("losses", kernels.LOSSES),
        ("optimizers", {*optimizers.Optimizer.registry, "gradient_descent", "lbfgs"}),
        ("schedules", schedules.Schedule.registry),
        ("stop rules", stopping.StopRule.registry),
    ],
)
def test_lists_of_names_are_complete(kind, names):
    """Each name in its list; ``tests/kernels/test_names.py`` says that it is run everywhere."""
    (listed,) = re.findall(rf"^- {kind}: (.*(?:\n  .*)*)", TEXT, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(names)


def test_set_up_is_one_line_each():
    blocks = re.findall(r"```sh\n(python3 .*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    assert all(block.count("\n") == 1 for block in blocks)


def test_commands_can_be_parsed():
    commands = re.findall(r"^fastmlp (.*)$", TEXT, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        _arguments.build_parser().parse_args(command.split())


def test_files_that_the_map_names_exist():
    paths = re.findall(r"`((?:reference|jit|compiled)/[\w./]+)`", TEXT)
    assert len(paths) > 8
    for path in paths:
        assert (ROOT / "kernels" / path).is_file(), path
