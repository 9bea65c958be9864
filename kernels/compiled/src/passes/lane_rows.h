/* The rows of a step of networks in lanes: gathered, through all layers, losses, errors back. */
#ifndef FASTMLP_LANE_ROWS_H
#define FASTMLP_LANE_ROWS_H

#include "engine/lanes.h"
#include "formulas/activations.h"
#include "formulas/losses.h"
#include "matrices/lane_products.h"
#include "work.h"

/* The rows that the networks' orders name at one place, as vectors: of each matrix one row. */
INLINE void gather_vectors(const int packed, const struct matrix *const *matrices,
                           const int64_t *rows, long columns, real *to)
{
    const char *at[LANES];
    ptrdiff_t step[LANES];
    UNROLL for (int lane = 0; lane < LANES; lane++) {
        at[lane] = matrices[lane]->data + rows[lane] * matrices[lane]->row_stride;
        step[lane] = packed ? (long)sizeof(real) : matrices[lane]->column_stride;
    }
    for (long c = 0; c < columns; c++) {
        vec v = {0};
        UNROLL for (int lane = 0; lane < LANES; lane++)
            v[lane] = *(const real *)(at[lane] + c * step[lane]);
        store(to + c * LANES, v);
    }
}

static int are_packed(const struct matrix *const *matrices)
{
    int packed = 1;
    for (int lane = 0; lane < LANES; lane++)
        packed &= matrices[lane]->column_stride == (long)sizeof(real);
    return packed;
}

/* Rows, as each network's order names them, and their targets. */
static void gather_lanes(struct lanes *e, const struct lane_step *s)
{
    const long n_in = e->layers[0].n_in, n_out = e->layers[e->n_layers - 1].n_out;
    const struct matrix *x[LANES], *y[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        x[lane] = &s->samples[lane].x;
        y[lane] = &s->samples[lane].target;
    }
    const int x_packed = are_packed(x), y_packed = are_packed(y), labelled = s->samples->labels != NULL;
    real *input = e->input, *target = e->target;
    if (labelled)
        memset(target, 0, (size_t)(s->n * n_out * VECTOR_BYTES));
    for (long r = 0; r < s->n; r++, input += n_in * LANES, target += n_out * LANES) {
        int64_t rows[LANES];
        for (int lane = 0; lane < LANES; lane++)
            rows[lane] = row_at(s->samples[lane].order, s->first + r);
        if (LIKELY(x_packed))
            gather_vectors(1, x, rows, n_in, input);
        else
            gather_vectors(0, x, rows, n_in, input);
        for (int lane = 0; labelled && lane < LANES; lane++) {
            const uint64_t label =
                (uint64_t)__atomic_load_n(s->samples[lane].labels + rows[lane], __ATOMIC_RELAXED);
            if (LIKELY(label < (uint64_t)n_out))
                target[(long)label * LANES + lane] = 1;
            else
                report(&e->fault, FAULT_label);
        }
        if (!labelled && y_packed)
            gather_vectors(1, y, rows, n_out, target);
        else if (!labelled)
            gather_vectors(0, y, rows, n_out, target);
    }
}

static void forward_lanes(const struct lanes *e, long rows)
{
    const real *a = e->input, *parameters = e->parameters;
    for (int l = 0; l < e->n_layers; l++) {
        const struct lane_layer *layer = &e->layers[l];
        const long n_in = layer->n_in, n_out = layer->n_out, n = rows * n_out * LANES;
        const int plain = layer->slope || !in_tiles(layer->activation);
        real *z = layer->output;
        if (l > 0 && l == e->n_layers - 1 && is_narrow_product(n_in, n_out)) {
            narrow_lanes(e, layer, rows, a, z);
        } else {
            const struct lane_product p = {
                .rows = rows, .columns = n_out, .depth = n_in,
                .a = a, .a_row = n_in * LANES, .a_deep = LANES,
                .b = parameters + layer->weights * LANES, .b_deep = n_out * LANES, .b_column = LANES,
                .init = parameters + layer->bias * LANES, .c = z, .c_row = n_out * LANES,
                .epilogue = plain ? PLAIN_EPILOGUE : forward_epilogue(layer->activation),
            };
            lane_product(&p);
        }
        if (layer->slope)
            both_run(layer->activation, z, layer->slope, n);
        else if (plain)
            forward_run(layer->activation, z, n);
        a = z;
    }
}

OUTLINE void cross_entropy_rows(const struct loss *loss, long n_out, real *z, real *y, real *delta, real *losses)
{
    vec loss_of_row[SETS_AT_ONCE];
    cross_entropy_sets(SETS_AT_ONCE, loss, n_out, n_out * LANES, z, y, delta, loss_of_row);
    UNROLL for (int r = 0; r < SETS_AT_ONCE; r++)
        store(losses + r * LANES, loss_of_row[r]);
}

/* Losses and errors of the output layer: a row of all networks is what a block of rows is to a loss. */
static void output_lanes(const struct lanes *e, struct lane_step *s)
{
    const struct lane_layer *top = &e->layers[e->n_layers - 1];
    const struct output_layer o = {
        .loss = &e->loss, .output = e->output, .n_out = top->n_out, .labels = s->samples->labels};
    const vec scale = SPLAT((real)s->scale);
    real *losses = e->row_loss;
    long r = 0, row = top->n_out * LANES;
    if (e->loss.code == LOSS_cross_entropy)
        for (; r + SETS_AT_ONCE <= s->n; r += SETS_AT_ONCE)
            cross_entropy_rows(&e->loss, top->n_out, (real *)top->output + r * row,
                               (real *)e->target + r * row, (real *)top->delta + r * row,
                               losses + r * LANES);
    for (; r < s->n; r++) {
        const struct columns c = {.n = row, .z = (real *)top->output + r * row,
                                  .y = (real *)e->target + r * row,
                                  .delta = (real *)top->delta + r * row};
        store(losses + r * LANES, loss_of_columns(&o, &c));
    }
    real *delta = top->delta;
    for (long i = 0; i < s->n * row; i += LANES)
        store(delta + i, load(delta + i) * scale);
    for (int lane = 0; lane < LANES; lane++)
        s->loss[lane] = 0;
    for (long r = 0; r < s->n; r++)
        for (int lane = 0; lane < LANES; lane++)
            s->loss[lane] += (double)losses[r * LANES + lane];
}

static void backward_lanes(const struct lanes *e, long rows)
{
    for (int l = e->n_layers - 1; l > 0; l--) {
        const struct lane_layer *above = &e->layers[l], *layer = &e->layers[l - 1];
        const long n_out = above->n_out, units = layer->n_out, n = rows * units * LANES;
        real *delta = layer->delta;
        const struct epilogue epilogue =
            layer->slope ? PLAIN_EPILOGUE : backward_epilogue(layer->activation, delta, layer->output);
        const struct lane_product p = {
            .rows = rows, .columns = units, .depth = n_out,
            .a = above->delta, .a_row = n_out * LANES, .a_deep = LANES,
            .b = (const real *)e->parameters + above->weights * LANES, .b_deep = LANES,
            .b_column = n_out * LANES,
            .c = delta, .c_row = units * LANES, .epilogue = epilogue,
        };
        lane_product(&p);
        if (layer->slope)
            multiply_run(delta, layer->slope, n);
        else if (!epilogue.gate)
            backward_run(layer->activation, delta, layer->output, n);
    }
}

#endif
