"""The reference: a page for each public module, made of its docstring and its ``__all__``.

The pages are written when the site is built, so that a public name cannot be forgotten.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import fastmlp
from sphinx.application import Sphinx

#: Public modules that are no attributes of the package until they are imported.
FURTHER = ("line_search", "interop.torch", "interop.jax", "interop.skl2onnx", "interop.skops")
#: What a page calls its kinds of names, in the order of the page.
KINDS = ("Classes", "Functions", "Constants")
INDEX = """\
API reference
=============

All public names, module by module. What begins with an underscore, in a name or a folder, may
change at any time.

.. toctree::
   :maxdepth: 1

"""


def modules() -> list[str]:
    """Public modules, the package first."""
    found = [name for name in fastmlp.__all__ if inspect.ismodule(getattr(fastmlp, name))]
    return ["", *sorted({*found, *FURTHER})]


def full_name(name: str) -> str:
    """What a module is imported by."""
    return f"fastmlp.{name}" if name else "fastmlp"


def public(module: Any) -> list[str]:
    """What a module offers, without modules and what stands on the package's own page."""
    absent = missing(module)
    names = [n for n in getattr(module, "__all__", ()) if n[0] != "_" and n not in absent]
    if module is not fastmlp:
        names = [n for n in names if getattr(module, n) is not getattr(fastmlp, n, None)]
    return [name for name in names if not inspect.ismodule(getattr(module, name))]


def missing(module: Any) -> list[str]:
    """What a module has only where another library is installed."""
    found = []
    for name in getattr(module, "__all__", ()):
        try:
            getattr(module, name)
        except ImportError:
            found.append(name)
    return found


def kind(thing: Any) -> str:
    """Which of the kinds a public name is of."""
    if inspect.isclass(thing):
        return "Classes"
    own = str(getattr(thing, "__module__", "")).startswith("fastmlp")
    return "Functions" if callable(thing) and own else "Constants"


def shown(value: Any) -> str:
    """A constant in a line."""
    text = " ".join(repr(value).split())
    return f"``{text}``" if len(text) <= 300 else f"a {type(value).__name__}"


def page(name: str) -> str:
    """The page of a module."""
    full = full_name(name)
    module = importlib.import_module(full)
    parts = [f"{full}\n{'=' * len(full)}", f".. automodule:: {full}\n   :no-members:"]
    groups: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for one in public(module):
        groups[kind(getattr(module, one))].append(one)
    for title, names in groups.items():
        if not names:
            continue
        parts.append(f"{title}\n{'-' * len(title)}")
        if title == "Constants":
            parts.extend(f"``{one}``\n   {shown(getattr(module, one))}" for one in names)
        else:
            parts.append(f".. currentmodule:: {full}")
            parts.append(".. autosummary::\n   :toctree: generated\n   :nosignatures:")
            parts.append("\n".join(f"   {one}" for one in names))
    if absent := missing(module):
        names = ", ".join(f"``{one}``" for one in absent)
        parts.append(f".. note:: Built without the library that {names} need.")
    return "\n\n".join(parts) + "\n"


def write(app: Sphinx, config: Any) -> None:
    """Write the pages into the sources, where Sphinx finds them; an unchanged one stays."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    names = modules()
    listed = "\n".join(f"   {name or 'fastmlp'}" for name in names)
    pages = {
        "index": INDEX + listed + "\n",
        **{name or "fastmlp": page(name) for name in names},
    }
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    # What an earlier build has left of names that are gone.
    known = {f"{m}.{n}" for m in map(full_name, names) for n in public(importlib.import_module(m))}
    for path in (folder / "generated").glob("*.rst"):
        if path.stem not in known:
            path.unlink()


def foreign(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a class has from another library, whose documentation describes it."""
    home = getattr(getattr(thing, "fget", thing), "__module__", None)
    return True if isinstance(home, str) and not home.startswith("fastmlp") else None


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", write)  # before Sphinx looks for pages
    app.connect("autodoc-skip-member", foreign)
    return {"parallel_read_safe": True}
