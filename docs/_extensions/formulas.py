"""Formulas of the pages as paths, drawn by matplotlib when the site is built.

MathJax would be loaded from another site when a page is read. A path needs no fonts either, and
takes the colour of the text around it, in the light and in the dark.
"""

from __future__ import annotations

import html
from functools import cache
from typing import Any

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.textpath import TextPath
from sphinx.application import Sphinx

SIZE = 16.0  # pixels of an em


@cache
def drawing(formula: str) -> str:
    """The formula as an SVG element that stands on the line of the text."""
    font = FontProperties(family="DejaVu Serif", math_fontfamily="dejavuserif", size=SIZE)
    text = f"${' '.join(formula.split())}$"
    width, height, depth, *_ = MathTextParser("path").parse(text, dpi=72, prop=font)
    path = TextPath((0, 0), text, prop=font, size=SIZE)
    d = []
    for vertices, code in path.iter_segments(curves=True, simplify=False):
        numbers = " ".join(f"{x:.2f} {-y:.2f}" for x, y in vertices.reshape(-1, 2))
        d.append("Z" if code == 79 else {1: "M", 2: "L", 3: "Q", 4: "C"}[int(code)] + numbers)
    up = height - depth + 1.5
    total = height + 3
    label = html.escape(formula, quote=True)
    return (
        f'<svg class="formula" role="img" aria-label="{label}" '
        f'viewBox="-1 {-up:.2f} {width + 2:.2f} {total:.2f}" '
        f'style="width:{(width + 2) / SIZE:.3f}em;height:{total / SIZE:.3f}em;'
        f'vertical-align:{(up - total) / SIZE:.3f}em">'
        f'<path fill="currentColor" d="{"".join(d)}"/></svg>'
    )


def inline(self: Any, node: nodes.math) -> None:
    self.body.append(drawing(node.astext()))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    lines = [line.strip() for line in node.astext().split(r"\\")]
    drawn = "".join(f"<div>{drawing(line)}</div>" for line in lines if line)
    self.body.append(f'<div class="formulas">{drawn}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("formulas", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
