/* All kernels of one instruction set and precision.

   setup.py compiles this file, and lanes.c, once for each pair, with -DFASTMLP_ISA_<NAME>,
   -DFASTMLP_REAL_BITS and the flags of the instruction set; the one symbol that it exports is the table
   at its end. */
#include "vector/functions.h"
#include "passes/derivatives.h"
#include "passes/few_predictions.h"
#include "passes/hessian.h"
#include "passes/second_order/cholesky.h"
#include "passes/second_order/curvature.h"
#include "passes/single_calls.h"
#include "passes/small/steps.h"

#define TABLE_NAME(isa, real_name) FASTMLP_JOIN(fastmlp_, isa, real_name)
#define TEXT(x) #x
#define NAME_OF(x) TEXT(x)

void LANE_STEP(struct lanes *, struct lane_step *); /* lanes.c */
extern const struct kernels TABLE_NAME(ISA_NAME, REAL_NAME);

const struct kernels TABLE_NAME(ISA_NAME, REAL_NAME) = {
    .isa = NAME_OF(ISA_NAME),
    .real_bytes = sizeof(real),
    .panel = PANEL,
    .tile_panels = TILE_PANELS,
    .depth_block = DEPTH_BLOCK,
    .chain_rows = SUM_ROWS,
    .tile_rows = TILE_ROWS,
    .task_features = TASK_FEATURES,
    .output_scratch = output_scratch,
    .narrow_columns = NARROW,
    .plain_scratch = PLAIN_SCRATCH,
    .pack = pack,
    .pack_weights = pack_weights,
    .unpack = unpack,
    .refresh_transposed = refresh_transposed,
    .gather_entries = gather_entries,
    .fold_shrink = fold_shrink,
    .rows_block = rows_block,
    .weights_group = weights_group,
    .small_step = small_step,
    .update_task = update_task,
    .bound_task = bound_task,
    .descend_task = descend_task,
    .product_scratch = product_scratch,
    .product_block = product_block,
    .forward_block = forward_block,
    .forward_few = forward_few,
    .derivative_pack = derivative_pack,
    .derivative_block = derivative_block,
    .hessian_pack = hessian_pack,
    .hessian_forward = hessian_forward,
    .hessian_back = hessian_back,
    .hessian_weights = hessian_weights,
    .output_block = output_block,
    .activate = activate,
    .activate_backward = activate_backward,
    .column_sums = column_sums,
    .update = update,
    .lanes = LANES,
    .lane_step = LANE_STEP,
    .gauss_rows = gauss_rows,
    .curvature_rows = curvature_rows,
    .gauss_task = gauss_task,
    .positive_scratch = positive_scratch,
    .solve_positive = solve_positive,
    .function = function,
};
