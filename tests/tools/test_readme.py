"""The README: its examples run, its links hold on a package index, its length is a page or two."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from communicator import Communicator, World
from fastmlp.cli import _arguments

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TEXT = README.read_text("utf-8") if README.is_file() else ""
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
FRAGMENTS = re.findall(r"```py\n(.*?)```", TEXT, re.DOTALL)
#: Where the site and the repository are, as ``pyproject.toml`` says.
SITE, SOURCE = "https://fastmlp.github.io/fastmlp/", "https://github.com/fastmlp/fastmlp"
RAW = "https://raw.githubusercontent.com/fastmlp/fastmlp/main/"

pytestmark = pytest.mark.source_tree


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number, tmp_path, monkeypatch, capsys):
    if "save(" in EXAMPLES[number]:
        pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README.md, example {number + 1}", "exec"), {})
    assert capsys.readouterr().out


def test_examples_are_found():
    assert len(EXAMPLES) == 3


def test_fragments_run(tmp_path, monkeypatch):
    """Those that need files and MPI: on a small file, and in a world of one process."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    Path("rows").mkdir()
    table = pyarrow.table({f"x{i}": np.zeros(60, "f4") for i in range(100)} | {"y": np.ones(60)})
    parquet.write_table(table, "rows/1.parquet")
    comm = Communicator(World(1), 0)
    world = types.SimpleNamespace(MPI=types.SimpleNamespace(COMM_WORLD=comm))
    monkeypatch.setitem(sys.modules, "mpi4py", world)
    assert len(FRAGMENTS) == 2
    namespace = {}
    for text in FRAGMENTS:
        exec(compile(text, "README.md", "exec"), namespace)
    assert namespace["net"].loss(namespace["held_out"]) < 0.5


def test_it_is_short():
    assert 100 < len(TEXT.splitlines()) <= 200


def test_set_up_is_one_line_each():
    blocks = re.findall(r"```sh\n(python3 .*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    assert all(block.count("\n") == 1 for block in blocks)


def test_commands_can_be_parsed():
    commands = re.findall(r"^fastmlp (.*)$", TEXT, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        _arguments.build_parser().parse_args(command.split())


def test_links_are_absolute_and_lead_to_what_there_is():
    """A package index shows the text without the files beside it."""
    links = re.findall(r"\]\(([^)\s]+)\)", TEXT)
    assert len(links) > 15
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'"{SITE}"' in project
    assert f'"{SOURCE}"' in project
    for link in links:
        if link.startswith(SITE):
            page = ROOT / "docs" / link.removeprefix(SITE).replace(".html", ".md")
            assert page.is_file() or page.parent.name in ("api", "auto_gallery"), link
        elif link.startswith(RAW):
            assert (ROOT / link.removeprefix(RAW)).is_file(), link
        else:
            assert link.startswith(f"{SOURCE}/blob/main/"), link
            assert (ROOT / link.removeprefix(f"{SOURCE}/blob/main/")).is_file(), link
