"""The pages of the site: their examples run, and what they say of names and files is there."""

import re
from pathlib import Path

import pytest
from fastmlp import kernels, optimizers, schedules, stopping
from fastmlp.cli import _arguments

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text("utf-8")
    for folder in (DOCS, DOCS / "guide", DOCS / "users")
    for path in sorted(folder.glob("*.md"))
}
EXAMPLES = {
    page: blocks
    for page, text in PAGES.items()
    if (blocks := re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
}
#: Packages of which a page says that they may be missing.
OPTIONAL = ("sklearn", "matplotlib", "pandas", "onnx", "torch", "keras", "jax", "pyarrow", "polars")

pytestmark = pytest.mark.source_tree


@pytest.mark.filterwarnings("ignore")  # of libraries that examples import
@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run(page, tmp_path, monkeypatch):
    """From top to bottom in one namespace."""
    for name in OPTIONAL:
        if re.search(rf"^(?:import|from) .*\b{name}\b", "".join(EXAMPLES[page]), re.MULTILINE):
            pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for number, block in enumerate(EXAMPLES[page], 1):
        exec(compile(block, f"docs/{page}, example {number}", "exec"), namespace)


def test_the_pages_are_found():
    assert {"index.md", "start.md", "theory.md", "users/matlab.md", "guide/training.md"} <= set(
        PAGES
    )
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("activations", kernels.ACTIVATIONS),
        ("outputs", kernels.OUTPUTS),
        ("losses", kernels.LOSSES),
        ("optimizers", {*optimizers.Optimizer.registry, *optimizers._FULL_BATCH}),
        ("schedules", schedules.Schedule.registry),
        ("stop rules", stopping.StopRule.registry),
    ],
)
def test_lists_of_names_are_complete(kind, names):
    """Each name in its list; ``tests/kernels/test_names.py`` says that it is run everywhere."""
    (listed,) = re.findall(rf"^- {kind}: (.*(?:\n  .*)*)", PAGES["guide/networks.md"], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(names)


def test_commands_can_be_parsed():
    blocks = re.findall(r"^```sh\n(.*?)^```", "\n".join(PAGES.values()), re.DOTALL | re.MULTILINE)
    commands = re.findall(r"^fastmlp (.*)$", "".join(blocks), re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        _arguments.build_parser().parse_args(command.split())


def test_files_that_the_map_names_exist():
    paths = re.findall(r"`((?:reference|jit|compiled)/[\w./]+)`", PAGES["architecture.md"])
    assert len(paths) > 8
    for path in paths:
        assert (ROOT / "kernels" / path).exists(), path
