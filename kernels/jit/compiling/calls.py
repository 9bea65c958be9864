"""What tasks call: the kernels of the table, by the names of their arguments.

Each is made from the kernel's own signature, ``call(plan, name=value, …)``, and takes the address
from the plan's table. Those of families also take the index at which the one that is meant stands.
"""

from __future__ import annotations

from ..formulas import activations, output_layer, penalties, updates
from ..formulas import dropout as dropping
from ..matrices import panels, sparse, tiles
from ..scalar.builtins import Calls, KernelCalls
from ..vector.kernel import Kernel
from .table import INDEX

__all__ = [
    "accumulate",
    "add",
    "bound_columns",
    "column_sums",
    "dropout",
    "elementwise",
    "elementwise_at",
    "forward_tile",
    "gather",
    "gradient_tile",
    "loss",
    "loss_of_targets",
    "norms",
    "one_hot",
    "rounded",
    "scatter",
    "softmax",
    "sparse_forward",
    "sparse_gradient",
    "sparse_gradient_sums",
    "sums",
    "transpose",
    "zero",
]


def _single(name: str, kernel: Kernel) -> KernelCalls:
    return KernelCalls(kernel, index=INDEX[name])


# Families
forward_tile = KernelCalls(tiles.forward)
gradient_tile = KernelCalls(tiles.gradient, tiles.descent)
elementwise = KernelCalls(
    activations.activation,
    activations.activation_with_slope,
    activations.derivative,
    updates.update,
)
loss = KernelCalls(output_layer.loss)
loss_of_targets = KernelCalls(output_layer.loss_of_targets)
dropout = KernelCalls(dropping.dropout)
sparse_forward = KernelCalls(sparse.forward)
# Single kernels
column_sums = _single("column_sums", tiles.column_sums)
accumulate = _single("accumulate", tiles.accumulate)
add = _single("add", tiles.add)
rounded = _single("rounded", tiles.rounded)
gather = _single("gather", panels.gather)
scatter = _single("scatter", panels.scatter)
transpose = _single("transpose", panels.transpose)
one_hot = _single("one_hot", panels.one_hot)
softmax = _single("softmax", output_layer.softmax)
sums = _single("sums", penalties.sums)
norms = _single("norms", penalties.norms)
bound_columns = _single("bound_columns", penalties.bound_columns)
sparse_gradient = _single("sparse_gradient", sparse.gradient)
sparse_gradient_sums = _single("sparse_gradient_sums", sparse.gradient_sums)
zero = _single("zero", sparse.zero)
#: An elementwise kernel by its address, not its place in a table.
elementwise_at = Calls("an elementwise kernel", activations.ELEMENTWISE)
