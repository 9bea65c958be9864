"""What a task works on: the plan of a network and batch, as records that compiled code reads.

All addresses and sizes are bytes unless they count something. Parameters and each vector of
optimizer state lie in *stores* of equal layout: for every layer its weights in panels
(``[panels][n_in padded][panel]``), then its bias. Activations, scores and errors of a batch lie in
panels of rows, all ``row_step`` apart.
"""

from __future__ import annotations

import ctypes

import numpy as np

_INT, _REAL = ctypes.c_int64, ctypes.c_double


def _fields(integers: str, reals: str = "") -> list[tuple[str, type]]:
    return [
        *((name, _INT) for name in integers.split()),
        *((name, _REAL) for name in reals.split()),
    ]


class Layer(ctypes.Structure):
    """One layer ``a → z`` and its error ``d``."""

    _fields_ = _fields(
        # Shape; panels that hold its inputs and its outputs.
        "n_in n_out panels_in panels_out "
        # Offsets of weights and bias in a store, bytes between panels of weights.
        "weights weight_step bias "
        # Offsets in a flat parameter vector.
        "flat_weights flat_bias "
        # Transposed weights (0 for the first layer), bytes between their panels.
        "transposed transposed_step "
        # Batch: input activations, output, error of the output.
        "a z d "
        # Table indices of σ and ⊙ σ' of the output (-1 for none: bounds do, or identity).
        "activation derivative "
        # What σ' is computed from: the output, or σ' itself where the forward pass keeps it.
        "kept slope "
        # Dropout of the input: below which a random word drops an element (0 for no dropout), and
        # the kernel that does it.
        "threshold drop "
        # Whether this layer learns; the first of its places among the plan's norms.
        "trainable norms",
        # Bounds that the forward tile clips to: they make ReLU and hardtanh. What dropout leaves
        # is multiplied by scale.
        "low high scale",
    )


class Block(ctypes.Structure):
    """A part of a weight matrix that one task of the weights pass updates."""

    _fields_ = _fields("layer panel panels begin end with_bias")


class Plan(ctypes.Structure):
    """A network, a batch, and what is to be done with it."""

    _fields_ = _fields(
        "table itemsize panel "
        "layers n_layers blocks n_blocks "
        # Rows: of the job, of a step, of a task; bytes between panels of rows.
        "n_rows batch row_block row_step "
        # Operands of a call: input rows; targets (see TARGETS) or a second matrix; a third one;
        # a flat vector (and the store that belongs to it); results. Bytes between their rows.
        "x x_step target target_step third third_step flat flat_step out out_step "
        "store target_kind "
        # Visiting order of the rows, 0 for rows as they come.
        "order "
        # Copies of operands into panels, and back.
        "gathers scatters "
        # Row weights in visiting order: of the dtype (step 0 for one weight for all), as doubles,
        # and their sums for each step: of the doubles, and of those of the dtype, which are scaled
        # by a power of two where they are very large or small.
        "weights weights_step weights_double totals shares "
        # Batch: targets in panels, losses of rows (of all rows of the job where keep_losses is 1).
        "y losses keep_losses "
        # Scratch for the scores of a block of rows in columns.
        "columns columns_step "
        # Lines of zeros.
        "zeros "
        # Rows in compressed sparse form (whose values are x): where each begins, and the columns;
        # for dropout, what it leaves of a step's values and where each row begins there. Memory for
        # the gradient of the first layer, or direct: plain descent needs none.
        "sparse row_starts row_columns left left_starts sparse_gradient direct "
        # Stores: parameters; the gradient where it is collected before the update (0 where not);
        # three vectors of state.
        "parameters gradient state_0 state_1 state_2 "
        # What rows are for, and what happens to the scores of a block: losses, errors, results.
        "forward with_loss backward with_out "
        "output_activation is_softmax loss out_delta "
        # The lowest layer that learns: errors go back so far.
        "lowest "
        # Update: table index of the rule's kernel and of what collects gradients; task that
        # prepares the constants from those of the rule (0: they are there), in every step or once.
        "rule collect prepare varying constants rule_constants n_rule_constants "
        # Learning rates of the steps (0 for one that stays).
        "rates "
        # Sums of squares of the gradient before and after clipping its elements, one place for each
        # square of panels and each panel of biases, so that no sum depends on how the work is cut
        # (0: not needed); their number.
        "norms n_norms "
        # Dropout: the seed.
        "seed "
        # Steps made before this job and until now; whether penalties are divided by the rows;
        # whether transposed weights are kept up to date.
        "steps_before steps_made penalty_per_row refresh",
        # Value of the labels' rows apart from the label; constant of the loss.
        "label_low loss_constant "
        "learning_rate weight_decay l2 l1 clip_value clip_norm max_norm gradient_norm "
        "penalty summed",
    )


class Run(ctypes.Structure):
    """An elementwise kernel over long vectors, in chunks."""

    _fields_ = _fields("function itemsize p g s t u n chunk constants")


class Copy(ctypes.Structure):
    """Rows of an operand into panels, or panels into rows."""

    _fields_ = _fields(
        # Where the plan holds the operand, its first row, and how much of it.
        "operand first rows columns "
        # Panels and the bytes between them, and of a transposed copy (0 for none).
        "panels step transposed transposed_step"
    )


LAYER, BLOCK, PLAN = np.dtype(Layer), np.dtype(Block), np.dtype(Plan)
RUN, COPY = np.dtype(Run), np.dtype(Copy)
#: Kinds of targets: none, a matrix of reals, class labels.
NO_TARGET, DENSE, LABELS = 0, 1, 2
