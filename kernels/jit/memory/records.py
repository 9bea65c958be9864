"""What a task works on: the plan of a network and batch, as records that compiled code reads.

A field that ends in ``_bytes`` is a distance: between rows or panels, or from the beginning of a
store. Other fields are addresses, or count what they are named after. Parameters and each vector of
optimizer state lie in *stores* of equal layout: for every layer its weights in panels
(``[panels][n_in padded][panel]``), then its bias. Activations, scores and errors of a batch lie in
panels of rows, all ``row_step_bytes`` apart::

    plan.parameters ─► ┌───────────┬────┬─────────┬────┐   a store: layers one after the other
                       │ W¹ panels │ b¹ │ W²      │ b² │
                       └───────────┴────┴─────────┴────┘
                       layer.weights_bytes ──────►│
    layer.a ─────────► ┌ panel 0 ┐ ┌ panel 1 ┐ …           a batch: one line a row and panel
                       │ row 0   │ │ row 0   │
                       │ row 1   │ │ row 1   │
                       ├─────────┤ ├─────────┤
                       │◄─ row_step_bytes ──►│
"""

from __future__ import annotations

import ctypes

from .fields import Address, Bytes, Count, Flag, Index, record


@record
class Layer(ctypes.Structure):
    """One layer ``a → z`` and its error ``d``."""

    __slots__ = ()
    # Shape; panels that hold its inputs and its outputs.
    n_in: Count
    n_out: Count
    panels_in: Count
    panels_out: Count
    # Where weights and bias lie in a store, and between panels of weights.
    weights_bytes: Bytes
    weight_step_bytes: Bytes
    bias_bytes: Bytes
    # Where they lie in a flat parameter vector.
    flat_weights_bytes: Bytes
    flat_bias_bytes: Bytes
    # Transposed weights (0 for the first layer).
    transposed: Address
    transposed_step_bytes: Bytes
    # Batch: input activations, output, error of the output.
    a: Address
    z: Address
    d: Address
    # σ and ⊙ σ' of the output (-1: bounds do it, or it is the identity).
    activation: Index
    derivative: Index
    # What σ' is computed from: the output, or σ' itself where the forward pass keeps it.
    kept: Address
    slope: Address
    # Dropout of the input: below which a random word drops an element (0 for no dropout), and the
    # kernel that does it.
    threshold: int
    drop: Index
    # Whether this layer learns; the first of its places among the plan's norms.
    trainable: Flag
    norms: Count
    # Bounds that the forward tile clips to: they make ReLU and hardtanh. What dropout leaves is
    # multiplied by scale.
    low: float
    high: float
    scale: float


@record
class Block(ctypes.Structure):
    """A part of a weight matrix that one task of the weights pass updates."""

    __slots__ = ()
    layer: Count
    panel: Count
    panels: Count
    begin: Count
    end: Count
    with_bias: Flag


@record
class Operand(ctypes.Structure):
    """Rows that a caller has given, or wants."""

    __slots__ = ()
    address: Address
    step_bytes: Bytes


@record
class RowWeights(ctypes.Structure):
    """Weights of rows, in visiting order."""

    __slots__ = ()
    # Of the dtype; 0 bytes apart for one weight for all.
    address: Address
    step_bytes: Bytes
    # As doubles, and their sums for each step: of the doubles, and of those of the dtype, which are
    # scaled by a power of two where they are very large or small.
    doubles: Address
    totals: Address
    shares: Address
    # Factors of each target of a row beside its weight (0 for none), those of one target together,
    # in visiting order; bytes from one target's to the next.
    factors: Address
    factor_step_bytes: Bytes


@record
class Sparse(ctypes.Structure):
    """Rows in compressed sparse form, whose values are the plan's ``x``."""

    __slots__ = ()
    present: Flag
    # Where each row begins, and the columns.
    starts: Address
    columns: Address
    # What dropout leaves of a step's values, and where each row begins there.
    left: Address
    left_starts: Address
    # Memory for the gradient of the first layer, unless it is direct: plain descent needs none; the
    # same in float64, for sums over many rows in float32 (else 0).
    gradient: Address
    direct: Flag
    sums: Address


@record
class Update(ctypes.Structure):
    """What becomes of a gradient."""

    __slots__ = ()
    # The rule's kernel, and that of what collects gradients.
    rule: Index
    collect: Index
    # Whether it is plain descent, and nothing else needs the gradient.
    descends: Flag
    # The task that prepares the constants (0: they are there), in every step or once.
    prepare: Address
    varying: Flag
    constants: Address
    rule_constants: Address
    n_rule_constants: Count
    # Learning rates of the steps (0 for one that stays).
    rates: Address
    learning_rate: float
    weight_decay: float
    clip_value: float
    clip_norm: float
    max_norm: float
    gradient_norm: float


@record
class Plan(ctypes.Structure):
    """A network, a batch, and what is to be done with it."""

    __slots__ = ()
    table: Address
    itemsize: Bytes
    # Columns of a panel.
    panel: Count
    layers: Address
    n_layers: Count
    blocks: Address
    n_blocks: Count
    # Rows: of the job, a step, a task; the task that a piece of a step's rows begins with.
    n_rows: Count
    batch: Count
    row_block: Count
    first_block: Count
    row_step_bytes: Bytes
    # Operands: input rows; targets or a second matrix; a third; a flat vector and its store; out.
    x: Operand
    target: Operand
    third: Operand
    flat: Operand
    out: Operand
    store: Address
    target_kind: int
    # Visiting order of the rows, 0 for rows as they come.
    order: Address
    # Copies of operands into panels, and back.
    gathers: Address
    scatters: Address
    weights: RowWeights
    # Batch: targets in panels, losses of rows (of all rows of the job where keep_losses is 1).
    y: Address
    losses: Address
    keep_losses: Flag
    # Scratch for the scores of a block of rows in columns.
    columns: Address
    columns_step_bytes: Bytes
    # Lines of zeros.
    zeros: Address
    sparse: Sparse
    # Stores: parameters; the gradient where it is collected before the update (0 where not); three
    # vectors of state.
    parameters: Address
    gradient: Address
    state_0: Address
    state_1: Address
    state_2: Address
    # What rows are for, and what happens to the scores of a block: losses, errors, results.
    forward: Flag
    with_loss: Flag
    backward: Flag
    with_out: Flag
    output_activation: Index
    is_softmax: Flag
    loss: Index
    # The kernel of the same loss for targets with factors (0 until it is asked for).
    loss_of_targets: Index
    out_delta: Flag
    # The lowest layer that learns: errors go back so far.
    lowest: Count
    update: Update
    # Sums of squares of the gradient before and after clipping its elements, one place for each
    # square of panels and panel of biases, however the work is cut (0: not needed); their number.
    norms: Address
    n_norms: Count
    # Dropout: its seed, and the place of a step's first row in the whole batch.
    seed: int
    position: Count
    # Steps made before this job, and in all; penalties over the rows; transposed weights kept.
    steps_before: Count
    steps_made: Count
    penalty_per_row: Flag
    refresh: Flag
    # Of a step that several processes share: cuts of its rows into shards and their number, the sum
    # of their gradients; the weight of the whole batch (0: that of the rows).
    cuts: Address
    n_shards: Count
    shard_sum: Address
    total: float
    # Value of the labels' rows apart from the label; constant of the loss.
    label_low: float
    loss_constant: float
    l2: float
    l1: float
    penalty: float
    summed: float


@record
class Run(ctypes.Structure):
    """An elementwise kernel over long vectors, in chunks."""

    __slots__ = ()
    function: Address
    itemsize: Bytes
    p: Address
    g: Address
    s: Address
    t: Address
    u: Address
    n: Count
    chunk: Count
    constants: Address


@record
class Copy(ctypes.Structure):
    """Rows of an operand into panels, or panels into rows."""

    __slots__ = ()
    # Where the plan holds the operand, its first row, and how much of it.
    operand_bytes: Bytes
    first: Count
    rows: Count
    columns: Count
    # Panels and the bytes between them, and of a transposed copy (0 for none).
    panels: Address
    step_bytes: Bytes
    transposed: Address
    transposed_step_bytes: Bytes


@record
class Phase(ctypes.Structure):
    """A task and how many of it a step has: in the first, in the others, and in the last of all."""

    __slots__ = ()
    task: Address
    first_count: Count
    count: Count
    last_count: Count


@record
class Steps(ctypes.Structure):
    """Which steps of which phases to run: ``first ≤ step < last``; ``final`` is the last of all.

    ``run`` is what runs them on one thread. ``flush`` says whether subnormal numbers count as
    zeros.
    """

    __slots__ = ()
    run: Address
    phases: Address
    n_phases: Count
    first: Count
    last: Count
    final: Count
    plan: Address
    tickets: Address
    flush: Flag


#: Kinds of targets: none, a matrix of reals, class labels.
NO_TARGET, DENSE, LABELS = 0, 1, 2
#: Flags of a call on arrays: what the targets are, whether to run the phases.
WITH_MATRIX, WITH_LABELS, RUN = 1, 2, 4
