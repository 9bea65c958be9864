/* Networks: training steps, gradients and predictions against the oracle.

   Every step starts from the parameters that the engine itself holds, so errors do not add up over
   steps. Rows whose scores come near a corner of ReLU or hardtanh are drawn again: there rounding
   alone decides between two gradients; check_conditioned measures what rounding decides elsewhere. */
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct network shapes[] = {
    {.n_layers = 1, .sizes = {1, 1}},
    {.n_layers = 1, .sizes = {4, 3}},
    {.n_layers = 1, .sizes = {97, 17}},
    {.n_layers = 2, .sizes = {5, 7, 3}},
    {.n_layers = 2, .sizes = {13, 33, 1}},
    {.n_layers = 2, .sizes = {300, 31, 10}}, /* several tasks along the features */
    {.n_layers = 3, .sizes = {17, 31, 15, 6}},
    {.n_layers = 3, .sizes = {16, 64, 48, 16}},
    {.n_layers = 5, .sizes = {6, 97, 12, 13, 2, 5}},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };
enum { STEPS = 3, MAX_THREADS = 4 };
static const long batches[] = {1, 5, 6, 16, 17, 97, 200};
enum { N_BATCHES = sizeof batches / sizeof *batches };

/* The loss of a step against the oracle, which takes the same step. */
static struct taken check_step(struct problem *q, const struct update *u, int step, double rate,
                               long first, long n, double loss)
{
    struct taken t = {.update = u, .batch = batch_of(q, first, n), .step = step, .rate = rate};
    double want = oracle_step(q, u, step, rate, &t.batch);
    check_number("loss", loss, want,
                 q->factor * epsilon_of(q->parameters.real_bytes) * (fabs(want) + 1));
    return t;
}

/* Such as 3-5-2. */
static void write_sizes(const struct network *net, size_t room, char *text)
{
    size_t used = 0;
    for (int l = 0; l <= net->n_layers; l++)
        used += (size_t)snprintf(text + used, room - used, "%s%ld", l ? "-" : "", net->sizes[l]);
}

static void set_weights(struct problem *q, int weights)
{
    q->weights = weights;
    if (weights == ALL_ZERO)
        array_fill(&q->weight, 0, 0);
}

/* Note what the next step begins with. */
static void note_values(struct engine *e, struct problem *q)
{
    fastmlp_store(e, array_data(&q->parameters), array_data(&q->state));
    read_row(&q->parameters, 0, q->p);
    for (int i = 0; i < MAX_STATES; i++)
        read_row(&q->state, i, q->s[i]);
}

static void check_values(struct problem *q, const struct taken *taken, int states)
{
    check_conditioned(q, taken, PARAMETERS, &q->parameters);
    for (int i = 0; i < states; i++) {
        struct array row = q->state;
        row.rows = 1;
        row.m.data += i * row.m.row_stride;
        check_conditioned(q, taken, STATE + i, &row);
    }
}

/* The same step by several threads: the same bits. p and s hold what it leaves. */
static void check_same_bits(struct engine *e, const struct samples *samples, long batch, int step,
                            const struct penalty *penalty, const struct update *u, double loss,
                            struct problem *q, struct array *p, struct array *s)
{
    const double again = fastmlp_step(e, samples, 2, batch, step, penalty, u);
    fastmlp_store(e, array_data(p), array_data(s));
    if (memcmp(&again, &loss, sizeof loss))
        fail("loss with several threads is %.17g, with one %.17g", again, loss);
    check_bits("parameters, several threads", p, &q->parameters);
    s->rows = q->state.rows = fastmlp_states(u->rule);
    check_bits("state, several threads", s, &q->state);
    s->rows = q->state.rows = MAX_STATES;
}

static void test_steps(const struct kernels *k, const struct network *net,
                       const struct rule_case *rule, long batch, long number)
{
    static const char *const weights_names[] = {"no", "some", "zero"};
    const int threads = 2 + (int)(number % (MAX_THREADS - 1));
    /* Velocities would make exp overflow; Ftrl sets to 0 what has had no gradient at all, which
       rounding alone may decide. */
    const int zero_state = net->end.output == ACTIVATION_exp ||
                           (number / 4 % 2 && rule->update.rule != UPDATE_ftrl);
    const int with_labels = number % 3 == 0, with_order = number / 2 % 2;
    const int weights = number % 2 ? WITH : number % 10 == 8 ? ALL_ZERO : WITHOUT;
    const double l2 = number % 3 == 2 ? 0.1 : 0;
    char layers[64];
    write_sizes(net, sizeof layers, layers);
    if (!begin_case("steps of %s: %s %s, %s of %s, batch %ld, %s%s weights, l2 %g%s, x %s%s%s",
                    layers, activation_name(net->activations[0]), rule->name,
                    loss_name(net->end.loss), activation_name(net->end.output), batch,
                    with_labels ? "labels, " : "", weights_names[weights], l2,
                    number % 2 ? " over the batch" : "", layout_name((int)(number % N_LAYOUTS)),
                    with_order ? " in an order" : "", zero_state ? ", state from zero" : ""))
        return;
    struct problem q = problem_new(k, net, batch + 3, rule->update.rule, number);
    q.with_labels = with_labels && net->sizes[net->n_layers] > 1;
    q.with_order = with_order;
    set_weights(&q, weights);
    q.l2 = l2;
    q.l2_over_batch = number % 2;
    struct update u = rule->update;
    const double rate = (u.rule == UPDATE_sgd || u.rule == UPDATE_momentum ? 0.5 : 0.05) *
                        (net->end.output == ACTIVATION_exp ? 0.02 : 1); /* whose gradients are huge */
    const int states = fastmlp_states(u.rule);
    const struct penalty penalty = {.l2 = q.l2, .over_batch = q.l2_over_batch};

    struct engine *e = engine_for(k, &q, batch, 1), *parallel = engine_for(k, &q, batch, threads);
    fastmlp_load(e, array_data(&q.parameters), zero_state ? NULL : array_data(&q.state));
    fastmlp_load(parallel, array_data(&q.parameters), zero_state ? NULL : array_data(&q.state));
    struct array p = array_new(k->real_bytes, 1, q.n_parameters, LAYOUT_rows);
    struct array s = array_new(k->real_bytes, MAX_STATES, q.n_parameters, LAYOUT_rows);
    for (int step = 0; step < STEPS; step++) {
        note_values(e, &q);
        fastmlp_update_at(&u, step + 1, rate);
        for (long r = 0; r < q.rows; r++)
            draw_row(&q, r);
        struct samples samples = samples_of(&q);
        double loss = fastmlp_step(e, &samples, 2, batch, step + 1, &penalty, &u);
        struct taken taken = check_step(&q, &u, step + 1, rate, 2, batch, loss);
        fastmlp_store(e, array_data(&q.parameters), array_data(&q.state));
        check_values(&q, &taken, states);
        check_same_bits(parallel, &samples, batch, step + 1, &penalty, &u, loss, &q, &p, &s);
        if (failures > 1000)
            break;
    }
    fastmlp_engine_free(e);
    fastmlp_engine_free(parallel);
    array_free(&p);
    array_free(&s);
    problem_free(&q);
}

static void test_gradient(const struct kernels *k, const struct network *net, long batch, long number)
{
    if (!begin_case("gradient of %d layers from %ld to %ld: %s, %s of %s, batch %ld", net->n_layers,
                    net->sizes[0], net->sizes[net->n_layers], activation_name(net->activations[0]),
                    loss_name(net->end.loss), activation_name(net->end.output), batch))
        return;
    struct problem q = problem_new(k, net, batch, UPDATE_none, number);
    q.with_labels = number % 2 && net->sizes[net->n_layers] > 1;
    q.weights = number % 3 == 1 ? WITH : WITHOUT;
    q.l2 = number % 5 == 2 ? 0.01 : 0;
    const struct samples samples = samples_of(&q);
    struct array first = {0};
    double loss = 0;
    for (int threads = 1; threads <= MAX_THREADS; threads += 1 + (int)(number % 2)) {
        struct engine *e = engine_for(k, &q, batch, threads);
        struct array gradient = array_new(k->real_bytes, 1, q.n_parameters, LAYOUT_rows);
        double value = fastmlp_gradient(e, array_data(&q.parameters), &samples, batch,
                                        &(struct penalty){.l2 = q.l2}, array_data(&gradient));
        if (threads == 1) {
            const struct update none = {.rule = UPDATE_none};
            struct taken taken = check_step(&q, &none, 1, 0, 0, batch, value);
            check_conditioned(&q, &taken, GRADIENT, &gradient);
            first = gradient;
            loss = value;
        } else {
            check_bits("gradient, several threads", &gradient, &first);
            if (memcmp(&loss, &value, sizeof loss))
                fail("loss with %d threads is %.17g, with one %.17g", threads, value, loss);
            array_free(&gradient);
        }
        fastmlp_engine_free(e);
    }
    array_free(&first);
    problem_free(&q);
}

/* Labels that are none, as another thread may have written them meanwhile: the step ends, and changes nothing. */
static void test_wrong_labels(const struct kernels *k, const struct network *net, long batch, int64_t wrong)
{
    if (!begin_case("label %lld in a batch of %ld", (long long)wrong, batch))
        return;
    struct problem q = problem_new(k, net, batch, UPDATE_sgd, batch);
    q.with_labels = 1;
    q.labels[batch / 2] = wrong;
    const struct samples samples = samples_of(&q);
    const struct update u = {.rule = UPDATE_sgd, .rate = 0.5};
    struct engine *e = engine_for(k, &q, batch, 1);
    struct array after = array_new(k->real_bytes, 1, q.n_parameters, LAYOUT_rows);
    fastmlp_load(e, array_data(&q.parameters), NULL);
    const double loss = fastmlp_step(e, &samples, 0, batch, 1, &(struct penalty){0}, &u);
    fastmlp_store(e, array_data(&after), NULL);
    if (!isnan(loss) || e->pass.fault != FAULT_label)
        fail("the loss is %g, the fault %d", loss, e->pass.fault);
    check_bits("parameters", &after, &q.parameters);
    array_free(&after);
    fastmlp_engine_free(e);
    problem_free(&q);
}

/* Steps of single rows begin the next one: not where something else happens between them. */
static void test_single_rows(const struct kernels *k, const struct network *net, int between)
{
    enum { ROWS = 4 };
    static const char *const then[] = {"the next", "other parameters", "a penalty", "another row", "a run from there"};
    if (!begin_case("single rows of %ld inputs, then %s", net->sizes[0], then[between]))
        return;
    struct problem q = problem_new(k, net, ROWS, UPDATE_sgd, 0);
    const struct samples samples = samples_of(&q);
    const struct update u = {.rule = UPDATE_sgd, .rate = 0.5};
    struct array after[2];
    for (int again = 0; again < 2; again++) { /* the second time with an engine of its own for each step */
        struct engine *e = engine_for(k, &q, 1, 1);
        after[again] = array_new(k->real_bytes, 1, q.n_parameters, LAYOUT_rows);
        fastmlp_load(e, array_data(&q.parameters), NULL);
        for (long r = 0; r < ROWS; r++) {
            const struct penalty penalty = {.l2 = between == 2 && r == 1 ? 0.1 : 0};
            struct samples from = samples;
            if ((between == 1 || between == 4) && r == 2)
                fastmlp_load(e, array_data(&q.parameters), NULL);
            from.x.data += between == 4 && r == 2 ? r * from.x.row_stride : 0;
            fastmlp_step(e, &from, between >= 3 && r == 2 ? 0 : r, 1, r + 1, &penalty, &u);
            fastmlp_store(e, array_data(&after[again]), NULL);
            if (again && r + 1 < ROWS) {
                fastmlp_engine_free(e);
                e = engine_for(k, &q, 1, 1);
                fastmlp_load(e, array_data(&after[again]), NULL);
            }
        }
        fastmlp_engine_free(e);
    }
    check_bits("parameters", &after[0], &after[1]);
    array_free(&after[0]);
    array_free(&after[1]);
    problem_free(&q);
}

static struct network network_of(int shape, long end, long activation)
{
    struct network net = shapes[shape];
    net.end = loss_cases[end];
    for (int l = 0; l < net.n_layers; l++)
        net.activations[l] = hidden_activation(activation + l);
    return net;
}

void test_networks(const struct kernels *k)
{
    long number = 0;
    for (int shape = 0; shape < N_SHAPES; shape++)
        for (long end = 0; end < n_loss_cases; end++)
            for (int b = 0; b < N_BATCHES; b += 1 + (end > 3), number++) {
                struct network net = network_of(shape, end, number);
                test_steps(k, &net, &rule_cases[number % (n_rule_cases - n_sign_cases)], batches[b], number);
                test_gradient(k, &net, batches[b], number);
            }
    /* Batches beyond what an engine takes in one pass: small layers, many rows. */
    static const struct network deep = {5, {6, 4, 4, 3, 4, 2}, {1, 2, 1, 2}, {LOSS_cross_entropy, ACTIVATION_softmax, 0}};
    static const struct network flat = {2, {7, 5, 3}, {2}, {LOSS_squared_error, ACTIVATION_identity, 0}};
    for (int i = 0; i < 4; i++, number++) {
        test_steps(k, &flat, &rule_cases[i], 25000, number);
        test_steps(k, &deep, &rule_cases[i], 9001, number);
    }
    static const struct network classes = {2, {4, 16, 3}, {0}, {LOSS_cross_entropy, ACTIVATION_softmax, 0}};
    static const int64_t wrong[] = {-1, 3, INT64_MIN, INT64_MAX, 1LL << 32};
    static const struct network long_rows = {2, {70, 19, 2}, {0}, {LOSS_cross_entropy, ACTIVATION_softmax, 0}};
    for (int i = 0; i < 10; i++)
        test_single_rows(k, i % 2 ? &long_rows : &classes, i / 2);
    for (int i = 0; i < 5; i++)
        for (long batch = 1; batch < 100; batch += 16)
            test_wrong_labels(k, &classes, batch, wrong[i]);
    test_gradient(k, &flat, 25000, number);
    test_gradient(k, &deep, 9001, number + 1);
}

/* Predictions --------------------------------------------------------------------------------------

   A row's prediction must not depend on the rows around it: the same bits alone, in any batch and
   for any number of threads. */

static void test_prediction(const struct kernels *k, const struct network *net, long n, int scores,
                            long number)
{
    if (!begin_case("%s of %d layers from %ld to %ld: %s, output %s, %ld rows %s",
                    scores ? "scores" : "predictions", net->n_layers, net->sizes[0],
                    net->sizes[net->n_layers], activation_name(net->activations[0]),
                    activation_name(net->end.output), n, layout_name((int)(number % N_LAYOUTS))))
        return;
    struct problem q = problem_new(k, net, n, UPDATE_sgd, number);
    const long width = network_width(net), n_out = net->sizes[net->n_layers];
    struct engine *e = engine_for(k, &q, 0, MAX_THREADS);
    struct array out = array_new(k->real_bytes, n, n_out, LAYOUT_rows);
    double *want = malloc((size_t)(n * n_out + width) * sizeof *want), *values = want + n * n_out;
    for (long r = 0; r < n; r++) {
        for (long c = 0; c < net->sizes[0]; c++)
            values[c] = array_get(&q.x, r, c);
        oracle_forward(net, q.p, values, NULL);
        if (scores)
            memcpy(want + r * n_out, values + width - n_out, (size_t)n_out * sizeof *want);
        else
            oracle_output(net->end.output, n_out, values + width - n_out, want + r * n_out);
    }
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        struct array again = array_new(k->real_bytes, n, n_out, LAYOUT_rows);
        if (fastmlp_forward(&e->design, &(struct forward){.flat = array_data(&q.parameters), .x = q.x.m, .n = n,
                                                 .scores = scores, .out = array_data(&again)}, threads))
            fail("no memory");
        if (threads == 1)
            array_copy(&out, &again);
        check_bits("several threads", &again, &out);
        array_free(&again);
    }
    check_scaled("values", &out, want, q.factor);
    struct array one = array_new(k->real_bytes, 1, n_out, LAYOUT_rows);
    for (long r = 0; r < n; r += 1 + n / 20) {
        struct matrix x = q.x.m;
        x.data += r * x.row_stride;
        if (fastmlp_forward(&e->design, &(struct forward){.flat = array_data(&q.parameters), .x = x, .n = 1,
                                                 .scores = scores, .out = array_data(&one)}, 1))
            fail("no memory");
        struct array row = out;
        row.rows = 1;
        row.m.data += r * row.m.row_stride;
        check_bits("a row alone", &one, &row);
    }
    array_free(&one);
    array_free(&out);
    free(want);
    fastmlp_engine_free(e);
    problem_free(&q);
}

void test_predictions(const struct kernels *k)
{
    static const long rows[] = {1, 2, 3, 4, 5, 13, 97, 200, 700};
    long number = 0;
    for (int shape = 0; shape < N_SHAPES; shape++)
        for (long end = 0; end < 3; end++)
            for (size_t r = 0; r < sizeof rows / sizeof *rows; r++, number++) {
                struct network net = network_of(shape, end, number);
                test_prediction(k, &net, rows[r], number % 4 == 1, number);
            }
}
