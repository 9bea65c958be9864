#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void read_row(const struct array *from, long row, double *to)
{
    for (long i = 0; i < from->columns; i++)
        to[i] = array_get(from, row, i);
}

void draw_row(struct problem *q, long row)
{
    double *values = malloc((size_t)network_width(&q->net) * sizeof *values);
    int tries = 100;
    do {
        for (long c = 0; c < q->net.sizes[0]; c++) {
            array_set(&q->x, row, c, uniform(-1, 1));
            values[c] = array_get(&q->x, row, c);
        }
    } while (oracle_forward(&q->net, q->p, values, NULL) < 1e-5 && --tries);
    free(values);
}

struct problem problem_new(const struct kernels *k, const struct network *net, long rows,
                           int rule, long number)
{
    const int real = k->real_bytes;
    struct problem q = {.net = *net, .n_parameters = network_parameters(net), .rows = rows,
                        .rule = rule};
    const long n = q.n_parameters, n_out = net->sizes[net->n_layers];
    long longest = rows;
    for (int l = 0; l <= net->n_layers; l++)
        longest = net->sizes[l] > longest ? net->sizes[l] : longest;
    q.factor = 32 + 8 * sqrt((double)longest);
    q.x = array_new(real, rows, net->sizes[0], (int)(number % N_LAYOUTS));
    q.target = array_new(real, rows, n_out, (int)(number / 2 % N_LAYOUTS));
    q.weight = array_new(real, rows, 1, LAYOUT_rows);
    q.parameters = array_new(real, 1, n, LAYOUT_rows);
    q.state = array_new(real, MAX_STATES, n, LAYOUT_rows);
    q.labels = malloc((size_t)rows * sizeof *q.labels);
    q.order = malloc((size_t)rows * sizeof *q.order);
    q.p = malloc(2 * (2 + MAX_STATES) * (size_t)n * sizeof *q.p);
    q.gradient = q.p + n;
    q.before = q.p + (2 + MAX_STATES) * n;
    for (int i = 0; i < MAX_STATES; i++)
        q.s[i] = q.gradient + (i + 1) * n;

    long at = 0; /* weights that neither saturate nor silence the layers above */
    for (int l = 0; l < net->n_layers; l++)
        for (long i = 0; i < net->sizes[l] * net->sizes[l + 1]; i++) {
            double width = 2 / sqrt((double)net->sizes[l]);
            array_set(&q.parameters, 0, at++, uniform(-width, width));
        }
    while (at < n)
        array_set(&q.parameters, 0, at++, uniform(-0.5, 0.5));
    for (int i = 0; i < MAX_STATES; i++) /* squares are well above the squares of means */
        for (long j = 0; j < n; j++)
            array_set(&q.state, i, j, uniform(0.25, rule == UPDATE_rmsprop && i == 1 ? 0.3 : 1));
    read_row(&q.parameters, 0, q.p);
    for (long r = 0; r < rows; r++) {
        draw_row(&q, r);
        q.labels[r] = whole(0, n_out - 1);
        q.order[r] = r;
    }
    for (long r = rows - 1; r > 0; r--) {
        long other = whole(0, r);
        int64_t swap = q.order[r];
        q.order[r] = q.order[other];
        q.order[other] = swap;
    }
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < n_out; c++)
            array_set(&q.target, r, c, draw_target(net->end.loss));
    array_fill(&q.weight, 0, 2);
    return q;
}

void problem_free(struct problem *q)
{
    free(q->labels);
    free(q->order);
    free(q->p);
    array_free(&q->x);
    array_free(&q->target);
    array_free(&q->weight);
    array_free(&q->parameters);
    array_free(&q->state);
}

struct samples samples_of(const struct problem *q)
{
    struct samples s = {.x = q->x.m, .n_rows = q->rows};
    if (q->with_labels)
        s.labels = q->labels;
    else
        s.target = q->target.m;
    s.sample_weight = q->weights ? array_data(&q->weight) : NULL;
    s.order = q->with_order ? q->order : NULL;
    return s;
}

struct engine *engine_for(const struct kernels *k, const struct problem *q, long batch,
                                 int threads)
{
    struct engine *e = fastmlp_engine_new(&(struct request){
        .kernels = k, .n_layers = q->net.n_layers, .sizes = q->net.sizes,
        .activations = q->net.activations, .output = q->net.end.output,   .loss = loss_of(&q->net.end),
        .rule = q->rule, .batch = batch, .n_threads = threads}, &(double){0});
    if (e == NULL) {
        puts("not enough memory for an engine");
        exit(2);
    }
    /* That many threads, not as many as it finds worth while. */
    e->tuner = (struct tuner){.n = 1, .threads = {threads}, .direction = -1, .stretch_steps = 1};
    return e;
}

struct batch batch_of(const struct problem *q, long first, long n)
{
    return (struct batch){.x = &q->x, .target = &q->target, .first = first, .n = n,
                          .weight = q->weights ? &q->weight : NULL,
                          .labels = q->with_labels ? q->labels : NULL,
                          .order = q->with_order ? q->order : NULL};
}

double oracle_step(struct problem *q, const struct update *u, int step, double rate,
                   const struct batch *b)
{
    memcpy(q->before, q->p, (2 + MAX_STATES) * (size_t)q->n_parameters * sizeof *q->p);
    double loss = oracle_gradient(&q->net, q->p, b, q->l2, q->l2_over_batch, q->gradient);
    for (long i = 0; u->rule != UPDATE_none && i < q->n_parameters; i++) {
        double s[MAX_STATES];
        for (int j = 0; j < MAX_STATES; j++)
            s[j] = q->s[j][i];
        oracle_update(u, step, rate, &q->p[i], q->gradient[i], s);
        for (int j = 0; j < MAX_STATES; j++)
            q->s[j][i] = s[j];
    }
    return loss;
}

/* Moves every target by up to an epsilon, or back to what they were. */
static void move_targets(struct problem *q, double epsilon, double *were, int back)
{
    for (long r = 0; r < q->rows; r++)
        for (long c = 0; c < q->target.columns; c++) {
            double *was = &were[r * q->target.columns + c];
            if (!back)
                *was = array_get(&q->target, r, c);
            array_set(&q->target, r, c, back ? *was : *was * (1 + uniform(-epsilon, epsilon)));
        }
}

/* What the step makes of parameter i, with another gradient g. */
static double outcome(const struct problem *q, const struct taken *t, int which, long i, double g)
{
    const long n = q->n_parameters;
    double p = q->before[i], s[MAX_STATES];
    if (which == GRADIENT)
        return g;
    for (int j = 0; j < MAX_STATES; j++)
        s[j] = q->before[(2 + j) * n + i];
    oracle_update(t->update, t->step, t->rate, &p, g, s);
    return which == PARAMETERS ? p : s[which - STATE];
}

void check_conditioned(struct problem *q, const struct taken *t, int which, const struct array *got)
{
    static const char *const names[] = {"gradient", "parameters"};
    const char *what = which < STATE ? names[which] : "state";
    const double *want = which == GRADIENT ? q->gradient : which == PARAMETERS ? q->p : q->s[which - STATE];
    if (is_scaled(got, want, q->factor))
        return;
    const long n = q->n_parameters;
    const double epsilon = epsilon_of(q->parameters.real_bytes);
    double *spread = calloc(3 * (size_t)n, sizeof *spread), *p = spread + n, *g = p + n;
    double *were = malloc((size_t)(q->rows * q->target.columns) * sizeof *were);
    for (int draw = 0; draw < 3; draw++) {
        for (long i = 0; i < n; i++)
            p[i] = q->before[i] * (1 + uniform(-epsilon, epsilon));
        move_targets(q, epsilon, were, 0);
        oracle_gradient(&q->net, p, &t->batch, q->l2, q->l2_over_batch, g);
        move_targets(q, epsilon, were, 1);
        for (long i = 0; i < n; i++)
            spread[i] = fmax(spread[i], 8 * fabs(outcome(q, t, which, i, g[i]) - want[i]));
    }
    check_spread(what, got, want, q->factor, spread);
    free(were);
    free(spread);
}
