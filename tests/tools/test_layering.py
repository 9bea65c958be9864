"""The two floors: ``nn`` imports ``kernels``, never the other way round; no backend another."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import fastmlp
from fastmlp import kernels

PACKAGE = Path(fastmlp.__file__).parent
KERNELS = Path(kernels.__file__).parent
SUFFIXES = (".py", ".pyx", ".pxi")
BACKENDS = ("reference", "jit", "compiled")


def modules():
    """Dotted name, file, for every Python file of the installed package, and the extension's."""
    for folder, prefix in ((KERNELS, "fastmlp.kernels"), (PACKAGE, "fastmlp")):
        for path in sorted(path for path in folder.rglob("*.p*") if path.suffix in SUFFIXES):
            parts = path.relative_to(folder).with_suffix("").parts
            if prefix == "fastmlp" and parts[0] == "kernels":
                continue
            yield ".".join([prefix, *parts]).removesuffix(".__init__"), path


MODULES = dict(modules())


@functools.cache
def imports(name):
    """Absolute names of what a module imports, each with whether the import is relative."""
    return list(_imports(name, MODULES[name]))


def _imports(name, path):
    """Find them one after the other."""
    if path.suffix != ".py":  # not Python's grammar: its plain import lines are enough
        lines = [line.strip() for line in path.read_text().splitlines()]
        source = "\n".join(line for line in lines if line.startswith(("import ", "from .")))
        source = source.replace("cimport", "import")
    else:
        source = path.read_text()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, False
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                upper = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(upper + ([node.module] if node.module else []))
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield (whole if whole in MODULES else base), bool(node.level)


def test_all_modules_are_seen():
    for name in ("fastmlp", "fastmlp.kernels", "fastmlp.kernels.reference.layers", "fastmlp.mlp"):
        assert name in MODULES


def all_imports(kernels):
    """Module, what it imports, whether relatively: of the one package or of the other."""
    for name in MODULES:
        if name.startswith("fastmlp.kernels") == kernels:
            for imported, relative in imports(name):
                yield name, imported, relative


def test_kernels_import_only_kernels():
    """Nothing of ``fastmlp`` but ``kernels``, and that by relative imports."""
    for name, imported, relative in all_imports(kernels=True):
        if imported.split(".")[0] == "fastmlp":
            assert relative, f"{name} imports {imported} absolutely"
            assert imported.startswith("fastmlp.kernels"), f"{name} imports {imported}"
        assert imported.split(".")[0] not in ("nn", "kernels"), f"{name} imports {imported}"


def test_fastmlp_reaches_kernels_across_the_packages():
    """``from fastmlp.kernels import …`` or ``from fastmlp import kernels``; else relative."""
    for name, imported, relative in all_imports(kernels=False):
        if (name, imported) == ("fastmlp", "fastmlp.kernels"):
            continue  # the package names its own part, for its users
        if imported.startswith("fastmlp.kernels"):
            assert not relative, f"{name} imports {imported} relatively, across two packages"
            # Not even a module of kernels: what nn needs is offered by the package itself.
            assert imported == "fastmlp.kernels", f"{name} reaches into {imported}"
        assert imported.split(".")[0] not in ("nn", "kernels"), f"{name} imports {imported}"


def test_backends_stand_alone():
    """The fast backends may use the reference's plain parts; nobody needs a fast backend."""
    for name in MODULES:
        for imported, _ in imports(name):
            for other in ("jit", "compiled"):
                if imported.startswith(f"fastmlp.kernels.{other}"):
                    assert name.startswith(f"fastmlp.kernels.{other}"), f"{name} needs {imported}"


def test_numba_is_imported_by_its_backend_only():
    for name in MODULES:
        for imported, _ in imports(name):
            if imported.split(".")[0] in ("numba", "llvmlite"):
                assert name.startswith("fastmlp.kernels.jit"), f"{name} imports {imported}"


def circles(within):
    """Sets of modules that import each other, late imports and those for types included."""
    names = [name for name in MODULES if name.startswith(within)]
    arrows = {name: {to for to, _ in imports(name) if to in names} for name in names}
    for middle in names:
        for name in names:
            if middle in arrows[name]:
                arrows[name] |= arrows[middle]
    return {frozenset(b for b in names if b in arrows[a] and a in arrows[b]) for a in names} - {
        frozenset()
    }


def test_wings_of_nn_have_no_circles():
    assert not circles(("fastmlp._graphs", "fastmlp._network", "fastmlp._inputs"))
    assert not circles("fastmlp.estimators.")
    # The graph's own methods print and draw it.
    faces = {f"fastmlp.autodiff.{name}" for name in ("_graph", "_text", "_draw", "_layout")}
    assert all(circle <= faces for circle in circles("fastmlp.autodiff."))


def test_kernels_have_no_circles():
    """But for values of the vector language, which know the code that they stand in."""
    vector = {f"fastmlp.kernels.jit.vector.{name}" for name in ("code", "memory", "values")}
    assert all(circle <= vector for circle in circles("fastmlp.kernels."))
