"""Pictures of a graph: Graphviz' language, and matplotlib with layers from left to right."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ._graph import is_constant
from ._layout import FONT, LINE, Layout
from ._text import expression, number, shape

if TYPE_CHECKING:
    from ._graph import Graph
    from ._node import Node

_FILL = {"input": "#dbe9f6", "operation": "#ffffff", "result": "#fde3c8"}
_EDGE = {"input": "#3b75af", "operation": "#8a8f98", "result": "#d9822b"}
_DERIVATIVE = "#b3261e"


def drawn(graph: Graph) -> list[Node]:
    """Nodes of the picture: constants stand in the expressions."""
    return [node for node in graph.nodes if not is_constant(node) or node in graph.results]


def kind(graph: Graph, node: Node) -> str:
    if node in graph.results:
        return "result"
    return "operation" if node.inputs else "input"


def lines(graph: Graph, node: Node) -> list[str]:
    """What stands in a node's box: what it computes, its value, its derivative."""
    head = graph.name(node)
    if node.inputs:
        head += f" = {expression(graph, node)}"
    size = f"{shape(node)}: " if node.ndim else ""
    text = [head, size + number(graph.value(node), 3)]
    if node in graph._gradients:
        text.append(f"∂ {number(graph.gradient(node), 3)}")
    return text


def edge_text(graph: Graph, node: Node, i: int) -> str:
    """The derivative along an edge, where it is one number."""
    local = graph.local(node, i)
    if local is None or (local.size > 1 and local.min() != local.max()) or not local.size:
        return ""
    return number(local.flat[0], 3)


def to_dot(graph: Graph) -> str:
    text = [
        "digraph {",
        "  rankdir=LR",
        '  node [shape=box, style="rounded,filled", fontname="DejaVu Sans Mono", fontsize=11]',
        f'  edge [color="#8a8f98", fontsize=10, fontcolor="{_DERIVATIVE}"]',
    ]
    numbers = {node: f"n{i}" for i, node in enumerate(graph.nodes)}
    for node in drawn(graph):
        label = "\\n".join(_escaped(line) for line in lines(graph, node))
        colours = f'fillcolor="{_FILL[kind(graph, node)]}", color="{_EDGE[kind(graph, node)]}"'
        text.append(f'  {numbers[node]} [label="{label}", {colours}]')
    for operand, node, i in graph.edges:
        label = edge_text(graph, node, i)
        attributes = f' [label="{_escaped(label)}"]' if label else ""
        text.append(f"  {numbers[operand]} -> {numbers[node]}{attributes}")
    return "\n".join([*text, "}"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def plot(graph: Graph, ax: Any = None) -> Any:
    layout = Layout(graph, {node: lines(graph, node) for node in drawn(graph)})
    pyplot = _pyplot()
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path

    left, right, bottom, top = layout.bounds
    margin = 0.15
    width, height = right - left + 2 * margin, top - bottom + 2 * margin
    if ax is None:
        ax = pyplot.figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
    ax.set(xlim=(left - margin, right + margin), ylim=(bottom - margin, top + margin))
    ax.set_aspect("equal")
    ax.axis("off")
    canvas = ax.figure.canvas
    canvas.figure.draw_without_rendering()  # then the axes have their final size
    scale = ax.get_window_extent().width / canvas.figure.dpi / width
    font = {"family": "DejaVu Sans Mono", "fontsize": FONT * scale}

    for operand, node, i in graph.edges:
        points = _points(layout, layout.route[operand, node])
        vertices, codes = [points[0]], [Path.MOVETO]
        for (x0, y0), (x1, y1) in pairwise(points):
            middle = (x0 + x1) / 2
            vertices += [(middle, y0), (middle, y1), (x1, y1)]
            codes += [Path.CURVE4] * 3
        arrow = FancyArrowPatch(
            path=Path(vertices, codes),
            arrowstyle="-|>",
            mutation_scale=9 * scale,
            linewidth=1.1 * scale,
            color=_EDGE["operation"],
            zorder=1,
        )
        ax.add_patch(arrow)
        if text := edge_text(graph, node, i):
            (x0, y0), (x1, y1) = points[-2:]
            ax.text(
                (x0 + x1) / 2, (y0 + y1) / 2, text, color=_DERIVATIVE, ha="center", va="center",
                zorder=3, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2 * scale},
                **font | {"fontsize": 0.9 * FONT * scale},
            )  # fmt: skip
    for node, rows in layout.text.items():
        (x, y), (w, h) = layout.centre[node], layout.size[node]
        box = FancyBboxPatch(
            (x - w / 2 + 0.06, y - h / 2 + 0.06), w - 0.12, h - 0.12,
            boxstyle="round,pad=0.06", linewidth=1.2 * scale, zorder=2,
            facecolor=_FILL[kind(graph, node)], edgecolor=_EDGE[kind(graph, node)],
        )  # fmt: skip
        ax.add_patch(box)
        for row, line in enumerate(rows):
            at = y + (len(rows) / 2 - row - 0.5) * LINE
            colour = _DERIVATIVE if line.startswith("∂ ") else "#555b64" if row else "black"
            weight = "bold" if row == 0 and not node.inputs else "normal"
            ax.text(
                x, at, line, ha="center", va="center_baseline", color=colour, zorder=3,
                fontweight=weight, **font,
            )  # fmt: skip
    return ax


def _points(layout: Layout, route: list[Any]) -> list[tuple[float, float]]:
    """From the right side of a box, through free points, to the left side of another."""
    first, last = route[0], route[-1]
    start = layout.centre[first][0] + layout.size[first][0] / 2, layout.centre[first][1]
    end = layout.centre[last][0] - layout.size[last][0] / 2, layout.centre[last][1]
    return [start, *(layout.centre[point] for point in route[1:-1]), end]


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "drawing a graph needs matplotlib: pip install 'fastmlp[plot]'"
        ) from error
    return pyplot
