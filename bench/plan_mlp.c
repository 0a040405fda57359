/* Time of a training step of the plan, without trainer and script: an MLP 784-128-128-10 with relu and softmax cross
 * entropy, SGD, batch 128, one epoch = 375 steps on rows gathered from 48000 samples of random bytes.
 *
 *   plan_mlp THREADS EPOCHS [describe]
 *
 * prints seconds an epoch, by the clock and by processor time (of all threads): of the median epoch, and as the best
 * PART steps would have it, which on a busy machine comes nearest to what a quiet one shows. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "autograd/autograd.h"
#include "core/random.h"
#include "ops/update.h"
#include "plan/plan.h"

enum { SAMPLES = 48000, INPUTS = 784, HIDDEN = 128, CLASSES = 10, BATCH = 128, PART = 15, MAX_EPOCHS = 1000 };

static moth_ctx *ctx;

static void must(moth_status status)
{
    if (status != MOTH_OK) {
        fprintf(stderr, "%s\n", moth_error(ctx));
        exit(1);
    }
}

static moth_tensor *tensor(moth_dtype dtype, int rank, int64_t first, int64_t second)
{
    moth_tensor *t;
    must(moth_tensor_zeros(ctx, dtype, rank, (int64_t[]){ first, second }, &t));
    return t;
}

/* Glorot-uniform weights and zero biases, without the layers that normally make them. */
static void make_weights(moth_tensor **w)
{
    static const int64_t sizes[] = { INPUTS, HIDDEN, HIDDEN, CLASSES };
    for (int k = 0; k < 3; k++) {
        w[2 * k] = tensor(MOTH_FLOAT32, 2, sizes[k], sizes[k + 1]);
        w[2 * k + 1] = tensor(MOTH_FLOAT32, 1, sizes[k + 1], 0);
        double limit = 2.4495 / __builtin_sqrt((double)(sizes[k] + sizes[k + 1]));
        for (int64_t i = 0; i < moth_tensor_count(w[2 * k]); i++) {
            uint32_t words[4];
            moth_random_block(1, (uint64_t)k, 0, (uint64_t)i, words);
            moth_tensor_set_element(w[2 * k], i, limit * (2 * (double)moth_uniform(words[0]) - 1));
        }
        w[2 * k]->requires_grad = w[2 * k + 1]->requires_grad = true;
    }
}

/* A fifth of the pixels is not 0, and the class shows in them, so that there is something to learn. */
static void make_data(moth_tensor *x, moth_tensor *y)
{
    uint8_t *pixels = (uint8_t *)moth_tensor_data(x);
    int32_t *labels = (int32_t *)(void *)moth_tensor_data(y);
    uint32_t words[4] = { 0 };
    for (int64_t r = 0; r < SAMPLES; r++) {
        labels[r] = (int32_t)(r % CLASSES);
        for (int64_t i = 0; i < INPUTS; i++) {
            if (i % 4 == 0) {
                moth_random_block(2, 0, 0, (uint64_t)(r * INPUTS + i) / 4, words);
            }
            uint32_t word = words[i % 4];
            bool ink = word % 5 == 0 || (i / 78 == labels[r] && word % 2 == 0);
            pixels[r * INPUTS + i] = ink ? (uint8_t)(word >> 24) : 0;
        }
    }
}

static moth_plan *compile(moth_tensor **w, moth_tensor *hyper, moth_arena *arena)
{
    static const int64_t shapes[4][2] = { { 0, INPUTS }, { 0, 0 }, { -1, 0 }, { -1, 0 } };
    static const moth_dtype types[] = { MOTH_UINT8, MOTH_INT32, MOTH_INT32, MOTH_FLOAT32 };
    static const char *name = "loss";
    moth_graph graph;
    moth_scope scope, *s = &scope;
    moth_tensor *in[4], *grad[6]; /* in: data set, labels, positions, scale of each row's loss */
    moth_trace_begin(ctx, &graph);
    moth_scope_open(s, ctx);
    for (int k = 0; k < 4; k++) {
        must(moth_placeholder(ctx, types[k], k == 0 ? 2 : 1, shapes[k], &in[k]));
    }
    moth_attrs scale = { .f = { 1 / 255.0 } }, logits = { .i = { 1 } };
    moth_tensor *h = MOTH_DO(s, gather, &scale, in[0], in[2]);
    for (int k = 0; k < 3; k++) {
        h = MOTH_DO(s, linear, NULL, h, w[2 * k], w[2 * k + 1]);
        h = k < 2 ? MOTH_DO(s, relu, NULL, h) : h;
    }
    moth_tensor *loss = MOTH_DO(s, softmax_cross_entropy, &logits, h, MOTH_DO(s, gather, NULL, in[1], in[2]));
    must(s->status);
    must(moth_gradients(ctx, 1, &loss, &in[3], 6, w, grad));
    for (int k = 0; k < 6; k++) {
        (void)MOTH_DO(s, update_sgd, NULL, w[k], grad[k], hyper);
    }
    must(s->status);
    moth_trace_end(ctx, &graph);
    moth_plan_spec spec = { .n_inputs = 4,
                            .inputs = in,
                            .n_outputs = 1,
                            .outputs = &loss,
                            .n_effects = (int)graph.n_effects,
                            .effects = graph.effects,
                            .n_checks = 1,
                            .checks = &loss,
                            .check_names = &name,
                            .capacity = BATCH };
    moth_plan *plan;
    must(moth_plan_new(ctx, &spec, arena, &plan));
    moth_scope_close(s, 0, NULL, NULL);
    moth_graph_clear(&graph);
    for (int k = 0; k < 6; k++) {
        moth_tensor_release(grad[k]);
    }
    for (int k = 0; k < 4; k++) {
        moth_tensor_release(in[k]);
    }
    return plan;
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds by both clocks, of the running epoch and of the best part so far. */
typedef struct times {
    double wall, cpu, best_wall, best_cpu;
} times;

static void take_time(times *t, double *wall, double *cpu)
{
    double wall_now = now(CLOCK_MONOTONIC), cpu_now = now(CLOCK_PROCESS_CPUTIME_ID);
    double part_wall = wall_now - *wall, part_cpu = cpu_now - *cpu;
    t->wall += part_wall;
    t->cpu += part_cpu;
    t->best_wall = part_wall < t->best_wall ? part_wall : t->best_wall;
    t->best_cpu = part_cpu < t->best_cpu ? part_cpu : t->best_cpu;
    *wall = wall_now;
    *cpu = cpu_now;
}

/* One pass over all samples in a new order; returns the mean loss. */
static double run_epoch(moth_plan *plan, moth_tensor *const *in, int32_t *order, int epoch, times *t)
{
    double total = 0;
    moth_random_permutation(3, 0, (uint64_t)epoch, order, SAMPLES);
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    t->wall = t->cpu = 0;
    for (int step = 0; step < SAMPLES / BATCH; step++) {
        moth_run run = { .seed = 1, .step = 0 };
        memcpy(moth_tensor_data(in[2]), order + step * BATCH, BATCH * sizeof *order);
        must(moth_plan_run(ctx, plan, BATCH, in, &run));
        const moth_real *rows = moth_tensor_reals(moth_plan_output(plan, 0));
        for (int i = 0; i < BATCH; i++) {
            total += (double)rows[i];
        }
        if ((step + 1) % PART == 0) {
            take_time(t, &wall, &cpu);
        }
    }
    return total / SAMPLES;
}

static int by_size(const void *a, const void *b)
{
    const double *da = a, *db = b;
    return *da < *db ? -1 : *da > *db;
}

int main(int argc, char **argv)
{
    static int32_t order[SAMPLES];
    static double seconds[MAX_EPOCHS], cpu[MAX_EPOCHS];
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1, epochs = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;
    epochs = epochs < 1 ? 1 : (epochs > MAX_EPOCHS ? MAX_EPOCHS : epochs);
    ctx = moth_ctx_new();
    must(moth_ctx_set_threads(ctx, threads));
    moth_tensor *w[6], *x = tensor(MOTH_UINT8, 2, SAMPLES, INPUTS), *y = tensor(MOTH_INT32, 1, SAMPLES, 0);
    moth_tensor *ids = tensor(MOTH_INT32, 1, BATCH, 0), *scale = tensor(MOTH_FLOAT32, 1, BATCH, 0);
    moth_tensor *hyper = tensor(MOTH_FLOAT32, 1, MOTH_SGD_HYPER, 0);
    moth_arena arena = { 0 };
    make_weights(w);
    make_data(x, y);
    moth_tensor_set_element(hyper, MOTH_UPDATE_RATE, 0.01);
    for (int64_t i = 0; i < BATCH; i++) {
        moth_tensor_set_element(scale, i, 1.0 / BATCH);
    }
    moth_plan *plan = compile(w, hyper, &arena);
    if (argc > 3) {
        char *text = moth_plan_describe(plan);
        fputs(text, stdout);
        moth_free(text);
    }
    moth_tensor *in[] = { x, y, ids, scale };
    times t = { .best_wall = 1e9, .best_cpu = 1e9 };
    double loss = run_epoch(plan, in, order, 0, &t); /* warm-up */
    for (int e = 0; e < epochs; e++) {
        loss = run_epoch(plan, in, order, e + 1, &t);
        seconds[e] = t.wall;
        cpu[e] = t.cpu;
    }
    qsort(seconds, (size_t)epochs, sizeof *seconds, by_size);
    qsort(cpu, (size_t)epochs, sizeof *cpu, by_size);
    const double parts = (double)SAMPLES / BATCH / PART;
    printf("moth plan: %d threads, s/epoch: %.4f (best part %.4f), of processors %.4f (%.4f); loss %.6f\n", threads,
           seconds[epochs / 2], parts * t.best_wall, cpu[epochs / 2], parts * t.best_cpu, loss);
    moth_plan_free(plan);
    moth_arena_free(&arena);
    return 0;
}
