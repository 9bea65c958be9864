"""Pictures of a graph: Graphviz' language, and matplotlib with layers from left to right.

The layout is Sugiyama's (1981): every node gets a layer, edges over several layers pass through
points in those between, the order within a layer follows the mean position of the neighbours, and
places are then evened out.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ._graph import is_constant
from ._text import expression, number, shape

if TYPE_CHECKING:
    from ._graph import Graph
    from ._node import Node

_FILL = {"input": "#dbe9f6", "operation": "#ffffff", "result": "#fde3c8"}
_EDGE = {"input": "#3b75af", "operation": "#8a8f98", "result": "#d9822b"}
_DERIVATIVE = "#b3261e"


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
    text = [head, size + number(graph.value(node))]
    if node in graph._gradients:
        text.append(f"∂ {number(graph.gradient(node))}")
    return text


def edge_text(graph: Graph, node: Node, i: int) -> str:
    """The derivative along an edge, where it is one number."""
    local = graph.local(node, i)
    if local is None or (local.size > 1 and local.min() != local.max()) or not local.size:
        return ""
    return number(local.flat[0])


def to_dot(graph: Graph) -> str:
    text = [
        "digraph {",
        "  rankdir=LR",
        '  node [shape=box, style="rounded,filled", fontname="DejaVu Sans Mono", fontsize=11]',
        f'  edge [color="#8a8f98", fontsize=10, fontcolor="{_DERIVATIVE}"]',
    ]
    numbers = {node: f"n{i}" for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if not is_constant(node) or node in graph.results:
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


# Layout, in inches

_FONT = 9.0  # points
_CHARACTER = 0.602 * _FONT / 72  # DejaVu Sans Mono
_LINE = 1.25 * _FONT / 72
_PADDING = 0.11
_GAP_X, _GAP_Y = 0.75, 0.28


class Layout:
    """Where the boxes are: ``centre[node] = (x, y)``, ``size[node] = (width, height)``."""

    def __init__(self, graph: Graph) -> None:
        networkx = _networkx()
        nodes = [x for x in graph.nodes if not is_constant(x) or x in graph.results]
        self.text = {node: lines(graph, node) for node in nodes}
        self.size = {
            node: (
                max(map(len, text)) * _CHARACTER + 2 * _PADDING,
                len(text) * _LINE + 2 * _PADDING,
            )
            for node, text in self.text.items()
        }
        dag = networkx.DiGraph()
        dag.add_nodes_from(nodes)
        dag.add_edges_from((operand, node) for operand, node, _ in graph.edges)
        layer: dict[Any, int] = {}
        for depth, generation in enumerate(networkx.topological_generations(dag)):
            layer |= dict.fromkeys(generation, depth)
        for node in nodes:  # an input stands just before what uses it first
            users = [layer[user] for user in dag.successors(node)]
            if not node.inputs and users:
                layer[node] = min(users) - 1
        # Points at which long edges pass the layers between.
        self.route: dict[tuple[Any, Any], list[Any]] = {}
        chains = networkx.DiGraph()
        chains.add_nodes_from(nodes)
        for operand, node in dag.edges:
            between = range(layer[operand] + 1, layer[node])
            points = [(operand, node, depth) for depth in between]
            layer |= {point: point[2] for point in points}
            self.route[operand, node] = [operand, *points, node]
            chains.add_edges_from(pairwise(self.route[operand, node]))
        columns: list[list[Any]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
        for node in chains:
            columns[layer[node]].append(node)
        self.centre: dict[Any, tuple[float, float]] = {}
        self._place(columns, chains)
        xs = [self.centre[n][0] + sign * self.size[n][0] / 2 for n in nodes for sign in (-1, 1)]
        ys = [self.centre[n][1] + sign * self.size[n][1] / 2 for n in nodes for sign in (-1, 1)]
        self.bounds = min(xs), max(xs), min(ys), max(ys)

    def _height(self, node: Any) -> float:
        return self.size[node][1] + _GAP_Y if node in self.size else 0.6 * _GAP_Y

    def _place(self, columns: list[list[Any]], chains: Any) -> None:
        y = {node: float(-i) for column in columns for i, node in enumerate(column)}
        for sweep in range(24):
            forward = sweep % 2 == 0
            for column in columns if forward else columns[::-1]:
                towards = chains.predecessors if forward else chains.successors
                wanted = {}
                for node in column:
                    near = [y[other] for other in towards(node)]
                    if sweep >= 16:  # then both sides count
                        near += [
                            y[o] for o in (chains.predecessors, chains.successors)[forward](node)
                        ]
                    wanted[node] = sum(near) / len(near) if near else y[node]
                column.sort(key=lambda node: -wanted[node])
                y |= self._apart(column, wanted)
        x = 0.0
        for column in columns:
            widths = [self.size[node][0] for node in column if node in self.size]
            width = max(widths, default=0.0)
            for node in column:
                self.centre[node] = x + width / 2, y[node]
            x += width + _GAP_X

    def _apart(self, column: list[Any], wanted: dict[Any, float]) -> dict[Any, float]:
        """Places near the wanted ones in which no two boxes touch, from top to bottom.

        Boxes that would touch form a group around their mean (pool adjacent violators).
        """
        groups: list[tuple[list[Any], float]] = []  # members; centre of the first
        for node in column:
            members, start = [node], wanted[node]
            while groups:
                above, top = groups[-1]
                below = top - self._span(above) - self._step(above[-1], members[0])
                if start <= below:
                    break
                groups.pop()
                members = above + members
                offsets = self._offsets(members)
                start = sum(wanted[n] + o for n, o in zip(members, offsets, strict=True))
                start /= len(members)
            groups.append((members, start))
        return {
            node: start - offset
            for members, start in groups
            for node, offset in zip(members, self._offsets(members), strict=True)
        }

    def _step(self, above: Any, below: Any) -> float:
        return (self._height(above) + self._height(below)) / 2

    def _offsets(self, members: list[Any]) -> list[float]:
        offsets = [0.0]
        for above, below in pairwise(members):
            offsets.append(offsets[-1] + self._step(above, below))
        return offsets

    def _span(self, members: list[Any]) -> float:
        return self._offsets(members)[-1]


def plot(graph: Graph, ax: Any = None) -> Any:
    layout = Layout(graph)
    pyplot = _pyplot()
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path

    left, right, bottom, top = layout.bounds
    margin = 0.15
    width, height = right - left + 2 * margin, top - bottom + 2 * margin
    if ax is None:
        figure = pyplot.figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1))
        scale = 1.0
    else:
        box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
        scale = min(box.width / width, box.height / height)
    ax.set(xlim=(left - margin, right + margin), ylim=(bottom - margin, top + margin))
    ax.set_aspect("equal")
    ax.axis("off")
    font = {"family": "DejaVu Sans Mono", "fontsize": _FONT * scale}

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
                **font | {"fontsize": 0.9 * _FONT * scale},
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
            at = y + (len(rows) / 2 - row - 0.5) * _LINE
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


def _networkx() -> Any:
    try:
        import networkx
    except ImportError as error:
        raise ImportError("drawing a graph needs networkx: pip install 'fastmlp[plot]'") from error
    return networkx


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "drawing a graph needs matplotlib: pip install 'fastmlp[plot]'"
        ) from error
    return pyplot
