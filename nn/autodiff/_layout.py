"""Where the boxes of a picture stand: layers from left to right.

Sugiyama's method (1981): every node gets a layer, edges over several layers pass through points in
those between, the order within a layer follows the mean position of the neighbours, and places are
then evened out. Inputs give way, so that what is computed runs in a straight line. All lengths are
inches.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._graph import Graph
    from ._node import Node

#: Points.
FONT = 9.0
_CHARACTER = 0.602 * FONT / 72  # DejaVu Sans Mono
LINE = 1.25 * FONT / 72
_PADDING = 0.11
_GAP_X, _GAP_Y = 0.75, 0.28


class Layout:
    """Places of boxes with text.

    Attributes
    ----------
    text : dict
        Node → its lines.
    centre, size : dict
        Node → ``(x, y)`` and ``(width, height)``; ``centre`` also of points of long edges.
    route : dict
        ``(operand, node)`` → the points between, with both ends.
    bounds : (left, right, bottom, top)
    """

    def __init__(self, graph: Graph, text: dict[Node, list[str]]) -> None:
        networkx = _networkx()
        nodes = list(text)
        self.text = text
        self.size = {
            node: (
                max(map(len, text)) * _CHARACTER + 2 * _PADDING,
                len(text) * LINE + 2 * _PADDING,
            )
            for node, text in self.text.items()
        }
        dag = networkx.DiGraph()
        dag.add_nodes_from(nodes)
        dag.add_edges_from((operand, node) for operand, node, _ in graph.edges)
        # Layers count back from the results: everything stands just before what uses it.
        layer: dict[Any, int] = {}
        for depth, generation in enumerate(networkx.topological_generations(dag.reverse())):
            layer |= dict.fromkeys(generation, depth)
        layer = {node: max(layer.values()) - depth for node, depth in layer.items()}
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

    def _weight(self, node: Any) -> float:
        """How much a node insists on its place; inputs hardly do."""
        return 0.5 if node not in self.size else 1.0 if node.inputs else 0.02

    def _place(self, columns: list[list[Any]], chains: Any) -> None:
        y = {node: float(-i) for column in columns for i, node in enumerate(column)}
        for sweep in range(24):
            forward = sweep % 2 == 0
            for column in columns if forward else columns[::-1]:
                wanted = {}
                for node in column:
                    near = list((chains.predecessors if forward else chains.successors)(node))
                    if sweep >= 16:  # then both sides count
                        near = [*chains.predecessors(node), *chains.successors(node)]
                    weight = sum(self._weight(other) for other in near)
                    total = sum(self._weight(other) * y[other] for other in near)
                    wanted[node] = total / weight if near else y[node]
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
                placed = list(zip(members, self._offsets(members), strict=True))
                start = sum(self._weight(n) * (wanted[n] + offset) for n, offset in placed)
                start /= sum(self._weight(n) for n in members)
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


def _networkx() -> Any:
    try:
        import networkx
    except ImportError as error:
        raise ImportError("drawing a graph needs networkx: pip install 'fastmlp[plot]'") from error
    return networkx
