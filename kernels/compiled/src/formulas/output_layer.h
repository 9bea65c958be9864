/* The output layer of rows, in panels or of single numbers: their losses and errors, target by target where
   targets have factors of their own, or where a user's loss sees one at a time. */
#ifndef FASTMLP_OUTPUT_LAYER_H
#define FASTMLP_OUTPUT_LAYER_H

#include "formulas/losses.h"
#include "work.h"

static real factor_of(const struct output_layer *o, long row, long target)
{
    const struct matrix *f = o->factors;
    real factor;
    memcpy(&factor, f->data + row_at(o->order, o->first + row) * f->row_stride + target * f->column_stride,
           sizeof factor);
    return factor;
}

/* The losses of a row's targets, each times its factor, added up, and so their errors. What has the factor
   0 counts nothing, whatever it may be. */
static real add_targets(const struct output_layer *o, long row, const real *losses, real *delta)
{
    const long targets = o->targets ? o->targets : o->n_out / o->loss->target_outputs;
    const long outputs = o->n_out / targets;
    real total = 0;
    for (long t = 0; t < targets; t++) {
        const real factor = o->targets ? factor_of(o, row, t) : 1;
        total += factor == 0 ? 0 : factor * losses[t];
        for (long c = t * outputs; c < (t + 1) * outputs; c++)
            delta[c] = factor == 0 ? 0 : factor * delta[c];
    }
    return total;
}

/* The user's loss sees plain rows, LANES at a time; or plain targets. */
static void custom_layer(const struct output_layer *o)
{
    const long set = output_columns(o->n_out) * LANES, n_out = o->n_out;
    const long outputs = o->targets ? n_out / o->targets : o->loss->target_outputs;
    const long each = outputs ? n_out / outputs : 1; /* targets of a row, or all as one */
    real *z = o->columns, *y = z + set, *delta = y + set, *losses = delta + set;
    for (long row = 0; row < o->rows; row += LANES) {
        const long rows = o->rows - row < LANES ? o->rows - row : LANES;
        for (long r = 0; r < rows; r++) {
            gather_row(o->z + (row + r) * PANEL, o->panel, n_out, z + r * n_out);
            if (o->labels) {
                memset(y + r * n_out, 0, (size_t)n_out * sizeof(real));
                const uint64_t label = (uint64_t)__atomic_load_n(o->labels + row + r, __ATOMIC_RELAXED);
                if (label < (uint64_t)n_out)
                    y[r * n_out + (long)label] = 1;
                else
                    report(o->fault, FAULT_label);
            } else {
                gather_row(o->y + (row + r) * PANEL, o->panel, n_out, y + r * n_out);
            }
        }
        o->loss->custom(z, y, losses, delta, rows * each, n_out / each);
        for (long r = 0; outputs && r < rows; r++) /* losses[r] is read by then */
            losses[r] = add_targets(o, row + r, losses + r * each, delta + r * n_out);
        if (o->row_loss)
            memcpy(o->row_loss + row, losses, (size_t)rows * sizeof(real));
        for (long r = 0; o->delta && r < rows; r++) {
            for (long c = 0; o->scale && c < n_out; c++)
                delta[r * n_out + c] *= o->scale[row + r];
            scatter_row((const char *)(delta + r * n_out), sizeof(real), n_out,
                        o->delta + (row + r) * PANEL, o->panel, 1);
        }
    }
}

/* One target of LANES rows: its loss and errors times its factor, which may be 0 to hide them. */
static vec count_target(const struct output_layer *o, long row, long rows, long target, vec loss, real *delta)
{
    const vec zero = {0};
    real factors[LANES];
    for (long r = 0; r < LANES; r++)
        factors[r] = r < rows ? factor_of(o, row + r, target) : 0;
    const vec factor = load_partial(factors, LANES);
    store(delta, blend(factor == zero, zero, factor * load(delta)));
    return blend(factor == zero, zero, factor * loss);
}

/* Softmax lets outputs meet: targets with factors are then those of the probabilities, z holds these, and
   the errors go through its Jacobian diag(a) - a a^T in the end. */
static void through_softmax(const struct columns *c)
{
    vec along = {0};
    for (long i = 0; i < c->n; i += LANES)
        along = FMA(load(c->delta + i), load(c->z + i), along);
    for (long i = 0; i < c->n; i += LANES)
        store(c->delta + i, load(c->z + i) * (load(c->delta + i) - along));
}

/* Columns of errors behind the last one, in the squares that are turned. */
INLINE void clear_padding(real *delta, long n_out)
{
    for (long c = n_out; c % LANES != 0; c++)
        store(delta + c * LANES, (vec){0});
}

/* LANES rows or fewer into columns, */
static void take_columns(const struct output_layer *o, long row, long rows, const struct columns *c)
{
    if (o->single) {
        store(c->z, load_partial(o->z + row, rows));
        store(c->y, load_partial(o->y + row, rows));
        return;
    }
    rows_to_columns(o->z + row * PANEL, o->panel, rows, o->n_out, c->z);
    if (!o->labels)
        rows_to_columns(o->y + row * PANEL, o->panel, rows, o->n_out, c->y);
    else if (!labels_to_columns(o->labels + row, rows, o->n_out, c->y))
        report(o->fault, FAULT_label);
}

/* and what became of them back. */
static void give_columns(const struct output_layer *o, long row, long rows, vec loss, const struct columns *c)
{
    const int all = rows == LANES;
    if (o->row_loss && all)
        store(o->row_loss + row, loss);
    else if (o->row_loss)
        store_partial(o->row_loss + row, loss, rows);
    if (o->delta == NULL)
        return;
    if (o->scale) {
        const vec scale = all ? load(o->scale + row) : load_partial(o->scale + row, rows);
        for (long i = 0; i < c->n; i += LANES)
            store(c->delta + i, load(c->delta + i) * scale);
    }
    if (o->single)
        store_partial(o->delta + row, load(c->delta), rows);
    else
        columns_to_rows(c->delta, rows, o->n_out, o->delta + row * PANEL, o->panel);
}

/* Cross-entropy of most rows: how many. */
static long pairs_of_columns(const struct output_layer *o, long set)
{
    const struct columns c = {.n = o->n_out * LANES, .z = o->columns, .y = o->columns + 2 * set,
                              .delta = o->columns + 4 * set};
    const struct columns next = {.n = c.n, .z = c.z + set, .y = c.y + set, .delta = c.delta + set};
    long row = 0;
    clear_padding(c.delta, o->n_out);
    clear_padding(next.delta, o->n_out);
    for (; o->rows - row > LANES; row += 2 * LANES) {
        const long second = row + LANES, rows = o->rows - second < LANES ? o->rows - second : LANES;
        vec losses[2];
        take_columns(o, row, LANES, &c);
        take_columns(o, second, rows, &next);
        cross_entropy_pair(o, set, &c, losses);
        give_columns(o, row, LANES, losses[0], &c);
        give_columns(o, second, rows, losses[1], &next);
    }
    return row;
}

static void output_layer(const struct output_layer *o)
{
    if (o->loss->code == LOSS_custom) {
        custom_layer(o);
        return;
    }
    const long set = output_columns(o->n_out) * LANES;
    const struct columns c = {.n = o->n_out * LANES, .z = o->columns, .y = o->columns + set,
                              .delta = o->columns + 2 * set};
    const int mixes = o->targets && o->output == ACTIVATION_softmax;
    const long part = o->targets ? LANES : c.n; /* what is a loss of its own */
    const struct output_layer *seen = o;
    struct output_layer of_probabilities;
    if (mixes) {
        of_probabilities = *o;
        of_probabilities.output = ACTIVATION_identity;
        seen = &of_probabilities;
    }
    long row = o->loss->code == LOSS_cross_entropy && !o->targets ? pairs_of_columns(o, set) : 0;
    clear_padding(c.delta, o->n_out);
    for (; row < o->rows; row += LANES) {
        const long rows = o->rows - row < LANES ? o->rows - row : LANES;
        take_columns(o, row, rows, &c);
        vec loss = {0};
        if (mixes)
            softmax_columns(c.z, o->n_out);
        for (long i = 0; i < c.n; i += part) {
            const struct columns own = {part, c.z + i, c.y + i, c.delta + i};
            const vec value = loss_of_columns(seen, &own);
            loss = o->targets ? loss + count_target(o, row, rows, i / LANES, value, own.delta) : value;
        }
        if (mixes)
            through_softmax(&c);
        give_columns(o, row, rows, loss, &c);
    }
}

#endif
