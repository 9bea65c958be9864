"""Sizes that keep the sources readable: files of a folder, lines of a file, lines of a function."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_list import FAULTS

ROOT = Path(__file__).parents[2]
FOLDERS = ("nn", "kernels", "benchmarks", "tests")
SUFFIXES = (".py", ".pyx", ".pxi", ".pyi", ".c", ".h")
GENERATED = ("_core.c",)
MOST_FILES, MOST_LINES, MOST_LINES_OF_A_FUNCTION = 20, 350, 60
#: Tables of command-line arguments: one statement after the other, with nothing to take apart.
ARGUMENT_PARSERS = ("nn/cli/_arguments.py",)
#: What is still too large, with the size that it must not exceed.
TOO_LARGE: dict[str, int] = {
    "nn/mlp.py: fit": 62,  # the table of its options, twice
}

pytestmark = pytest.mark.source_tree


def sources() -> list[Path]:
    """All files of code, in Python, Cython and C."""
    return [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in SUFFIXES and path.name not in GENERATED
    ]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node; expressions, which are most of a tree, are passed over."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from statements(child)


def python_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function, without its docstring."""
    for node in statements(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                first = node.body[0]
                assert first.end_lineno is not None
                lines -= first.end_lineno - first.lineno + 1
            yield node.name, lines


def c_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function: from its first line to the brace in the first column."""
    lines = path.read_text("utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if start is None and line[:1].isalpha() and "(" in line and not line.endswith(";"):
            start = number
        elif start is not None and line.startswith("}"):
            name = lines[start].partition("(")[0].split()[-1].lstrip("*")
            if not name.isupper():  # a macro that makes functions is measured by them
                yield name, number - start + 1
            start = None
        elif start is not None and line.endswith(");") and line[:1].isspace() is False:
            start = None  # a declaration


def cython_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every ``def`` and ``cdef`` with a body, to the next line as far left."""
    lines = [*path.read_text("utf-8").splitlines(), "end"]
    for number, line in enumerate(lines):
        text = line.lstrip()
        if not text.startswith(("def ", "cdef ", "cpdef ")) or "(" not in text:
            continue
        depth = len(line) - len(text)
        end = number + 1
        while not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > depth:
            end += 1
        if lines[end].lstrip().startswith(")"):  # the signature's last line, then the body
            end += 1
            while not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > depth:
                end += 1
        body = [line for line in lines[number:end] if line.strip()]
        yield text.partition("(")[0].split()[-1].lstrip("*"), len(body)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of the functions of a file in any of the three languages."""
    if path.suffix in (".c", ".h"):
        return c_functions(path)
    return cython_functions(path) if path.suffix in (".pyx", ".pxi") else python_functions(path)


def too_large(sizes: dict[str, int], limit: int) -> dict[str, int]:
    """Those above the limit, or above what is allowed to them."""
    return {name: size for name, size in sizes.items() if size > TOO_LARGE.get(name, limit)}


def test_folders() -> None:
    """No folder has more files of code than fit on a screen; sub-folders do not count."""
    sizes: dict[str, int] = {}
    for path in sources():
        folder = path.parent.relative_to(ROOT).as_posix()
        sizes[folder] = sizes.get(folder, 0) + 1
    assert len(sizes) > 20
    assert not too_large(sizes, MOST_FILES)


def test_names_of_test_files() -> None:
    """Two of one name, in two folders, cannot be collected together."""
    names = [path.name for path in sources() if path.name.startswith("test_")]
    assert not [name for name in set(names) if names.count(name) > 1]


def test_files() -> None:
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in sources()
    }
    assert len(sizes) > 200
    assert not too_large(sizes, MOST_LINES)


def test_functions() -> None:
    """Code alone: a docstring may be as long as it needs to be."""
    sizes: dict[str, int] = {}
    found: dict[str, set[str]] = {}
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        for name, lines in functions(path):
            found.setdefault(path.suffix, set()).add(name)
            if place not in ARGUMENT_PARSERS:
                sizes[f"{place}: {name}"] = lines
    # The three readers see functions that are known to be there.
    assert {"fit", "train"} <= found[".py"]
    assert {"dense_forward"} <= found[".pyx"] | found[".pxi"]
    assert {"rows_block"} <= found[".h"]
    assert {"fastmlp_step"} <= found[".c"]
    assert len(sizes) > 2000
    assert not too_large(sizes, MOST_LINES_OF_A_FUNCTION)


def test_every_package_is_installed() -> None:
    """Folders of the sources and the list in pyproject.toml: a wheel has what is listed."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = set()
    for folder, package in (("nn", "fastmlp"), ("kernels", "fastmlp.kernels")):
        for path in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join((package, *path.parent.relative_to(ROOT / folder).parts)))
    assert found == set(settings["packages"])


def test_planted_faults_fit_the_sources() -> None:
    """Each would change one place; ``python tests/planted_faults.py`` plants them."""
    assert len(FAULTS) > 40
    assert not [f.name for f in FAULTS if (ROOT / f.file).read_text("utf-8").count(f.old) != 1]
