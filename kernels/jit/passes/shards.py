"""The two halves of a step that several processes share: see ``reference/shards.py``.

The gradients of shards are added up in a binary tree while they are in the cache. A group of
features of a block goes through all shards; as many partial sums wait in scratch as the number of
shards before has bits that are 1::

    level 0     g0    g0 + g1    g0 + g1    g0 + g1              (g0 + g1) + (g2 + g3) ──► the store
    level 1     g1               g2         g2 + g3
    level 2                                 g3
"""

from __future__ import annotations

from typing import Any

from ..compiling.calls import add, column_sums
from ..compiling.lazy import Task
from ..memory.records import Block, Plan
from ..scalar.builtins import load_int, record, records, scratch
from ..scalar.functions import inline
from ..vector.host import LINE
from .gradients import GROUP
from .rows import layers_of, rows_of_step
from .sparse import sparse_gradient
from .weights_pass import (
    SCRATCH,
    biases_constants,
    finish,
    group_gradient,
    transpose_lines,
)

_LEVELS = 4  # of eight shards


@Task
def shards_task(plan_address: int, step: int, index: int) -> None:
    """The gradient of a block of weights, a sum over shards."""
    plan = record(plan_address, Plan)
    block = records(plan.blocks, Block)[index]
    layer = layers_of(plan)[block.layer]
    levels = scratch(_LEVELS * SCRATCH)
    if plan.sparse.present and block.layer == 0:  # all lines of one panel, into the store
        sparse_gradient(plan, layer, block.panel, 0, rows_of_step(plan, step))
    else:
        for feature in range(block.begin, block.end, GROUP):
            features = min(GROUP, block.end - feature)
            weights_of_shards(plan, layer, block, feature, features, levels)
    if block.with_bias:
        for p in range(block.panels):
            biases_of_shards(plan, layer, block.panel + p, levels)


@inline
def weights_of_shards(
    plan: Any, layer: Any, block: Any, feature: int, features: int, levels: int
) -> None:
    """The sum for a group of features, into the store."""
    waiting = 0
    for shard in range(plan.n_shards):
        first = load_int(plan.cuts + 8 * shard)
        rows = load_int(plan.cuts + 8 * (shard + 1)) - first
        found = levels + waiting * SCRATCH
        group_gradient(plan, layer, block, first, rows, feature, features, found, 0)
        pairs = shard + 1
        while pairs % 2 == 0:
            found = levels + waiting * SCRATCH
            for p in range(block.panels):
                at = p * GROUP * LINE
                add(plan, source=found + at, target=found - SCRATCH + at, lines=features, known=1)
            pairs = pairs // 2
            waiting -= 1
        waiting += 1
    for p in range(block.panels):
        at = layer.weights_bytes + (block.panel + p) * layer.weight_step_bytes + feature * LINE
        source, target = levels + p * GROUP * LINE, plan.shard_sum + at
        add(plan, source=source, target=target, lines=features, known=0)


@inline
def biases_of_shards(plan: Any, layer: Any, column: int, levels: int) -> None:
    """The sum for the biases of a panel, into the store."""
    waiting = 0
    for shard in range(plan.n_shards):
        first = load_int(plan.cuts + 8 * shard)
        rows = load_int(plan.cuts + 8 * (shard + 1)) - first
        d = layer.d + column * plan.row_step_bytes + first * LINE
        column_sums(plan, d=d, k=rows, g=levels + waiting * LINE)
        pairs = shard + 1
        while pairs % 2 == 0:
            found = levels + waiting * LINE
            add(plan, source=found, target=found - LINE, lines=1, known=1)
            pairs = pairs // 2
            waiting -= 1
        waiting += 1
    target = plan.shard_sum + layer.bias_bytes + column * LINE
    add(plan, source=levels, target=target, lines=1, known=0)


@Task
def descend_task(plan_address: int, step: int, index: int) -> None:
    """The update of a block of weights by the gradient in the store, or its penalty and norm."""
    plan = record(plan_address, Plan)
    block = records(plan.blocks, Block)[index]
    layer = layers_of(plan)[block.layer]
    lines = block.end - block.begin
    for p in range(block.panels):
        column = block.panel + p
        at = layer.weights_bytes + column * layer.weight_step_bytes + block.begin * LINE
        found, k = plan.shard_sum + at, plan.update.constants
        finish(plan, layer, column, block.begin, at, found, lines, k)
        if plan.gradient == 0:
            transpose_lines(plan, layer, column, block.begin, block.end)
        if block.with_bias:
            at = layer.bias_bytes + column * LINE
            found, behind = plan.shard_sum + at, layer.panels_in * plan.panel
            finish(plan, layer, column, behind, at, found, 1, biases_constants(plan))
