/* Derivatives of a network by its inputs, over blocks of rows: forward once, keeping what derivatives need,
   then sweeps of errors back, or of tangents along.

        back     e^(l-1) = (e^l (W^l)^T) * slope^(l-1)     from J dY of the outputs, or a loss's errors, to dX
        along    t^l = (t^(l-1) W^l) * slope^l             from dX, or a row of W^1, to J t of the outputs

   J is the Jacobian of the output activation, which is symmetric for all of them. A Jacobian of the network
   is a sweep for each output, or for each input. Every element is the same chain of operations whatever
   rows are beside it, so a row of a Jacobian equals a vector-Jacobian product to the bit. */
#ifndef FASTMLP_DERIVATIVES_H
#define FASTMLP_DERIVATIVES_H

#include "matrices/few_rows.h"
#include "matrices/turned_weights.h"
#include "passes/rows_pass.h"

/* A block of rows on its way: `errors` = rows * per of them are swept. */
struct derived {
    struct derivative *call;
    long first, rows, errors;
    long panel, error_panel; /* elements from panel to panel */
    real *memory;
};

static void derivative_pack(struct derivative *d)
{
    for (int l = 0; l < d->design->n_layers; l++) {
        const long n_in = d->design->layers[l].n_in, n_out = d->design->layers[l].n_out;
        const struct matrix turned = {d->layers[l].weights, sizeof(real), n_out * (long)sizeof(real)};
        pack_panels(turned, n_out, n_in, (void *)d->layers[l].transposed, n_out * PANEL);
    }
}

/* Rows of a matrix into panels, with padding. */
static void derive_from(struct matrix m, long first, long n, long columns, real *to, long panel)
{
    const char *from = m.data + first * m.row_stride;
    for (long r = 0; r < n; r++, from += m.row_stride)
        scatter_row(from, m.column_stride, columns, to + r * PANEL, panel, 1);
}

/* z = bias + a W; the padding of a single row becomes zero. */
static void derive_forward(const struct derived *b, int l, const real *a, const real *bias,
                           struct epilogue epilogue, real *z)
{
    const struct layer *layer = &b->call->design->layers[l];
    const real *w = b->call->layers[l].weights;
    if (b->call->block_rows == 1) {
        row_product(a, layer->n_in, w, layer->n_out, layer->n_out, bias, z);
        for (long c = layer->n_out; c < layer->out_panels * PANEL; c++)
            z[c] = 0;
        return;
    }
    if (bias == NULL)
        bias = b->call->zeros;
    if (b->call->layers[l].panels) {
        layer_product(b->rows, layer->n_in, a, b->panel, b->call->layers[l].panels, layer->in_rows * PANEL, bias,
                      0, epilogue, z, b->panel, layer->out_panels);
        return;
    }
    const struct row_block m = {
        .rows = b->rows, .depth = layer->n_in, .a_row = PANEL, .a_panel = b->panel, .c_row = PANEL,
        .c_panel = b->panel, .a = a, .c = z, .columns = layer->n_out, .bias = bias, .lowest = epilogue.lowest,
    };
    plain_product(&m, w, layer->n_out, (real *)((char *)b->memory + b->call->plain));
}

static void derive_activations(const struct derived *b, int l, real *z)
{
    const struct layer *layer = &b->call->design->layers[l];
    const long run = b->rows * PANEL, whole = b->panel == run ? layer->out_panels * run : run;
    real *slope = b->memory + b->call->layers[l].slope;
    for (long p = 0; b->call->layers[l].slope && p < layer->out_panels; p++)
        layer_both(layer, z + p * b->panel, slope + p * b->panel, b->rows, layer->n_out - p * PANEL);
    if (b->call->layers[l].slope || (b->call->block_rows > 1 && in_tiles(layer->activation)))
        return;
    for (long i = 0; i < layer->out_panels * run; i += whole)
        forward_run(layer->activation, z + i / run * b->panel, whole);
}

/* Forward through all layers. */
static void derive_rows(const struct derived *b)
{
    const struct derivative *d = b->call;
    const struct design *net = d->design;
    const int plain = d->samples.x.column_stride == (long)sizeof(real) && d->block_rows == 1;
    real *input = b->memory;
    if (!plain)
        derive_from(d->samples.x, b->first, b->rows, net->layers[0].n_in, input, b->panel);
    const real *a = plain ? (const real *)(d->samples.x.data + b->first * d->samples.x.row_stride) : input;
    for (int l = 0; l < net->n_layers; l++) {
        real *z = b->memory + d->layers[l].kept;
        const int hidden = l < net->n_layers - 1, by_tiles = hidden && !d->layers[l].slope;
        derive_forward(b, l, a, d->layers[l].bias,
                       by_tiles ? forward_epilogue(net->layers[l].activation) : PLAIN_EPILOGUE, z);
        if (hidden)
            derive_activations(b, l, z);
        a = z;
    }
}

/* e <- e * slope of layer l. */
static void derive_slope(const struct derived *b, int l, real *e)
{
    const struct layer *layer = &b->call->design->layers[l];
    const long with_slope = b->call->layers[l].slope, per = b->call->per;
    const real *kept = b->memory + (with_slope ? with_slope : b->call->layers[l].kept);
    const long run = per == 1 ? b->rows * PANEL : PANEL, steps = per == 1 ? 1 : b->errors;
    for (long p = 0; p < layer->out_panels; p++)
        for (long i = 0; i < steps; i++) {
            real *to = e + p * b->error_panel + i * PANEL;
            const real *by = kept + p * b->panel + i / per * PANEL;
            if (with_slope)
                multiply_run(to, by, run);
            else
                backward_run(layer->activation, to, by, run);
        }
}

/* Errors of the layer below layer l > 0. */
static void derive_back(const struct derived *b, int l, const real *e, real *below)
{
    const struct derivative *d = b->call;
    const struct layer *layer = &d->design->layers[l];
    const real *turned = d->layers[l].transposed;
    struct epilogue epilogue = PLAIN_EPILOGUE;
    if (turned && d->per == 1 && !d->layers[l - 1].slope)
        epilogue = backward_epilogue(d->design->layers[l - 1].activation, below,
                                     b->memory + d->layers[l - 1].kept);
    if (turned)
        layer_product(b->errors, layer->n_out, e, b->error_panel, turned, layer->n_out * PANEL, NULL, 0,
                      epilogue, below, b->error_panel, (layer->n_in + PANEL - 1) / PANEL);
    else
        turned_product(b->errors, layer->n_out, e, b->error_panel, d->layers[l].weights, layer->n_out,
                       layer->n_in, below, b->error_panel);
    if (!epilogue.gate)
        derive_slope(b, l - 1, below);
}

/* Errors of the scores: J y, or those of a loss with the targets y. */
static const real *derive_output(const struct derived *b, const real *y, real *errors)
{
    struct derivative *d = b->call;
    const int top = d->design->n_layers - 1;
    const long n_out = d->design->layers[top].n_out;
    const real *z = b->memory + d->layers[top].kept;
    if (d->output == ACTIVATION_identity && d->loss.code == LOSS_of_output)
        return y;
    if (d->per > 1) { /* a row for each error */
        real *each = b->memory + d->scores;
        for (long p = 0; p * PANEL < n_out; p++)
            for (long i = 0; i < b->errors; i++)
                memcpy(each + p * b->error_panel + i * PANEL, z + p * b->panel + i / d->per * PANEL, 64);
        z = each;
    }
    struct output_layer output = {
        .loss = &d->loss, .output = d->output, .fault = &d->fault,
        .rows = b->errors, .n_out = n_out, .panel = b->error_panel, .z = z, .y = y,
        .labels = d->samples.labels ? d->samples.labels + b->first : NULL,
        .scale = d->samples.sample_weight ? (const real *)d->samples.sample_weight + b->first : NULL,
        .factors = &d->samples.factors, .targets = d->samples.targets, .first = b->first,
        .delta = errors, .columns = (real *)((char *)b->memory + d->columns),
    };
    output_layer(&output);
    return errors;
}

/* What a sweep begins with at the outputs: derivatives by them, targets, or ones. */
static const real *derive_targets(const struct derived *b, long sweep)
{
    const struct derivative *d = b->call;
    const long n_out = d->design->layers[d->design->n_layers - 1].n_out;
    real *y = b->memory + d->targets;
    if (d->what == DERIVATIVE_back) {
        if (d->samples.labels == NULL)
            derive_from(d->samples.target, b->first, b->rows, n_out, y, b->error_panel);
        return y;
    }
    memset(y, 0, (size_t)((n_out + PANEL - 1) / PANEL * b->error_panel) * sizeof(real));
    for (long i = 0; i < b->errors; i++) {
        const long k = d->per > 1 ? i % d->per : sweep;
        y[k / PANEL * b->error_panel + i * PANEL + k % PANEL] = 1;
    }
    return y;
}

/* Derivatives by the inputs, into rows that are `row` elements apart: whole panels of them at once. */
static void derive_inputs(const struct derived *b, const real *e, real *below, real *out, long row)
{
    const struct derivative *d = b->call;
    const long n_in = d->design->layers[0].n_in, n_out = d->design->layers[0].n_out;
    const real *turned = d->layers[0].transposed;
    const long whole = turned ? n_in / PANEL : 0, left = n_in - whole * PANEL;
    if (whole)
        strided_product(b->errors, n_out, e, b->error_panel, turned, n_out * PANEL, NULL, 0, PLAIN_EPILOGUE,
                        out, row, PANEL, whole);
    if (left == 0)
        return;
    if (turned)
        layer_product(b->errors, n_out, e, b->error_panel, turned + whole * n_out * PANEL, n_out * PANEL, NULL,
                      0, PLAIN_EPILOGUE, below, b->error_panel, 1);
    else
        turned_product(b->errors, n_out, e, b->error_panel, d->layers[0].weights, n_out, n_in, below,
                       b->error_panel);
    for (long i = 0; i < b->errors; i++)
        gather_row(below + i * PANEL, b->error_panel, left, out + i * row + whole * PANEL);
}

static void sweep_back(const struct derived *b, long sweep)
{
    const struct derivative *d = b->call;
    const long n_in = d->design->layers[0].n_in;
    real *here = b->memory + d->here, *there = b->memory + d->there;
    const real *e = derive_output(b, derive_targets(b, sweep), here);
    for (int l = d->design->n_layers - 1; l > 0; l--) {
        real *below = e == here ? there : here;
        derive_back(b, l, e, below);
        e = below;
    }
    derive_inputs(b, e, e == here ? there : here,
                  (real *)d->out + (b->first * d->per * d->sweeps + sweep) * n_in, d->sweeps * n_in);
}

static void sweep_along(const struct derived *b, long sweep)
{
    const struct derivative *d = b->call;
    const struct design *net = d->design;
    const int top = net->n_layers - 1;
    const long n_in = net->layers[0].n_in, n_out = net->layers[top].n_out;
    real *here = b->memory + d->here, *there = b->memory + d->there;
    if (d->what == DERIVATIVE_along)
        derive_from(d->samples.target, b->first, b->rows, n_in, there, b->panel);
    for (int l = 0; l <= top; l++) {
        const struct matrix row = {(const char *)d->layers[0].weights + sweep * net->layers[0].n_out * (long)sizeof(real),
                                   0, sizeof(real)};
        if (l == 0 && d->what == DERIVATIVE_by_inputs)
            derive_from(row, 0, b->rows, net->layers[0].n_out, here, b->panel);
        else
            derive_forward(b, l, there, NULL, PLAIN_EPILOGUE, here);
        if (l < top)
            derive_slope(b, l, here);
        real *swap = here;
        here = there;
        there = swap;
    }
    const real *result = derive_output(b, there, here);
    if (d->what == DERIVATIVE_along) {
        for (long r = 0; r < b->rows; r++)
            gather_row(result + r * PANEL, b->panel, n_out, (real *)d->out + (b->first + r) * n_out);
        return;
    }
    for (long r = 0; r < b->rows; r++)
        for (long k = 0; k < n_out; k++)
            ((real *)d->out)[((b->first + r) * n_out + k) * n_in + sweep] =
                result[k / PANEL * b->panel + r * PANEL + k % PANEL];
}

static void derivative_block(void *context, long block, int thread)
{
    struct derivative *d = context;
    const long first = block * d->block_rows, rows = min(d->n - first, d->block_rows);
    const struct derived b = {.call = d, .first = first, .rows = rows, .errors = rows * d->per,
                              .panel = (d->block_rows | 1) * PANEL,
                              .error_panel = (d->block_rows * d->per | 1) * PANEL,
                              .memory = (real *)(d->scratch + thread * d->scratch_bytes)};
    derive_rows(&b);
    for (long sweep = 0; sweep < d->sweeps; sweep++)
        if (d->what == DERIVATIVE_along || d->what == DERIVATIVE_by_inputs)
            sweep_along(&b, sweep);
        else
            sweep_back(&b, sweep);
}

#endif
