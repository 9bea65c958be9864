/* Whole networks from several threads: each trains its own, all predict with one. */
#include "native.h"
#include "platform.h"

#if !defined(FASTMLP_ONE_THREAD)

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLERS = 4 };
enum { WIDTH = 97, ROWS = 300, PREDICTED = 8 };

struct trainer {
    pthread_t thread;
    const struct kernels *kernels;
    const struct engine *shared; /* describes the network; for predictions of all threads */
    struct array x, target, start, parameters, out;
    int threads;
};

static void *train(void *context)
{
    struct trainer *t = context;
    const long sizes[] = {WIDTH, WIDTH, 5};
    const int activations[] = {ACTIVATION_tanh};
    struct update u = {.rule = UPDATE_adam, SET(beta_1) = 0.9, SET(beta_2) = 0.99,
                       SET(epsilon) = 1e-8};
    fastmlp_update_at(&u, 1, 0.01);
    struct samples s = {.x = t->x.m, .target = t->target.m, .n_rows = ROWS};
    /* Dropout and clipping too: random numbers by counters, a third and a fourth parallel loop. */
    const double dropout[] = {0.1, 0.4};
    struct engine *e = fastmlp_engine_new(&(struct request){
        .kernels = t->kernels, .n_layers = 2, .sizes = sizes, .activations = activations,
        .output = ACTIVATION_identity, .loss = {LOSS_squared_error}, .rule = UPDATE_adam,
        .batch = 100, .n_threads = t->threads, .dropout = dropout, .seed = 5, .clip_value = 0.5,
        .clip_norm = 0.1, .max_norm = 0.9}, &(double){0});
    e->tuner = (struct tuner){.n = 1, .threads = {t->threads}, .direction = -1, .stretch_steps = 1};
    fastmlp_load(e, array_data(&t->start), NULL);
    for (int step = 0; step < 12; step++)
        fastmlp_step(e, &s, step % 3 * 100, 100, step + 1,
                     &(struct penalty){.l2 = 0.001, .l1 = 0.001}, &u);
    fastmlp_store(e, array_data(&t->parameters), NULL);
    fastmlp_engine_free(e);
    for (int i = 0; i < PREDICTED; i++)
        fastmlp_forward(&t->shared->design, &(struct forward){.flat = array_data(&t->parameters), .x = t->x.m,
                                                     .n = i ? ROWS : 1, .out = array_data(&t->out)},
                        t->threads);
    return NULL;
}

void test_concurrent_networks(const struct kernels *k)
{
    const long sizes[] = {WIDTH, WIDTH, 5};
    const int activations[] = {ACTIVATION_tanh};
    struct trainer trainers[CALLERS + 1];
    if (!begin_case("%d threads train and predict at once", CALLERS))
        return;
    struct engine *shared = fastmlp_engine_new(&(struct request){
        .kernels = k, .n_layers = 2, .sizes = sizes, .activations = activations,
        .output = ACTIVATION_identity, .rule = UPDATE_sgd, .n_threads = 4}, &(double){0});
    struct array x = array_new(k->real_bytes, ROWS, WIDTH, LAYOUT_rows);
    struct array target = array_new(k->real_bytes, ROWS, 5, LAYOUT_rows);
    struct array start = array_new(k->real_bytes, 1, (WIDTH + 1) * (WIDTH + 5), LAYOUT_rows);
    start.columns = (WIDTH + 1) * WIDTH + (WIDTH + 1) * 5;
    array_fill(&x, -1, 1);
    array_fill(&target, -1, 1);
    array_fill(&start, -0.1, 0.1);
    for (int i = 0; i <= CALLERS; i++) {
        trainers[i] = (struct trainer){
            .kernels = k, .shared = shared, .x = x, .target = target, .start = start, .threads = i + 1,
            .parameters = array_new(k->real_bytes, 1, start.columns, LAYOUT_rows),
            .out = array_new(k->real_bytes, ROWS, 5, LAYOUT_rows),
        };
        if (i < CALLERS && pthread_create(&trainers[i].thread, NULL, train, &trainers[i])) {
            puts("cannot start a thread");
            exit(2);
        }
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(trainers[i].thread, NULL);
    trainers[CALLERS].threads = 1;
    train(&trainers[CALLERS]);
    for (int i = 0; i <= CALLERS; i++) {
        check_bits("trained parameters", &trainers[i].parameters, &trainers[CALLERS].parameters);
        check_bits("predictions", &trainers[i].out, &trainers[CALLERS].out);
    }
    for (int i = 0; i <= CALLERS; i++) {
        array_free(&trainers[i].parameters);
        array_free(&trainers[i].out);
    }
    array_free(&x);
    array_free(&target);
    array_free(&start);
    fastmlp_engine_free(shared);
}

#endif
