#include "plan_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(moth_ctx *ctx, moth_status status)
{
    if (status != MOTH_OK) {
        fprintf(stderr, "%s\n", moth_error(ctx));
        abort();
    }
}

/* A tensor as the case generator makes it. */
static moth_tensor *make_tensor(moth_ctx *ctx, const net_tensor *t, int64_t rows, uint64_t seed)
{
    moth_case c = { .n_in = 1 };
    if (t->rank < 0) {
        return NULL;
    }
    c.in[0].rank = t->rank;
    for (int d = 0; d < t->rank; d++) {
        c.in[0].shape[d] = t->shape[d] < 0 ? -t->shape[d] * rows : t->shape[d];
    }
    c.in[0].dtype = t->dtype;
    c.in[0].low = t->low;
    c.in[0].high = t->high;
    c.in[0].layout = t->layout;
    return case_input(ctx, &c, 0, seed);
}

static bool wants_gradient(const net *n, const net_tensor *t)
{
    return !n->no_gradients && t->rank >= 0 && t->dtype == MOTH_FLOAT32;
}

void net_leaves(moth_ctx *ctx, const net *n, moth_tensor **leaf)
{
    for (int k = 0; k < n->n_leaf; k++) {
        leaf[k] = make_tensor(ctx, &n->leaf[k], 0, 100 + (uint64_t)k);
        if (leaf[k]) {
            leaf[k]->requires_grad = wants_gradient(n, &n->leaf[k]);
        }
    }
}

static uint64_t seed_of(int data, int k)
{
    return 1000u * (uint64_t)(data + 1) + (uint64_t)k;
}

static void make_inputs(moth_ctx *ctx, const net *n, int64_t rows, int data, moth_tensor **in)
{
    for (int k = 0; k < n->n_in; k++) {
        in[k] = make_tensor(ctx, &n->in[k], rows, seed_of(data, k));
    }
}

/* The gradient that arrives at output k. */
static moth_tensor *make_seed(moth_ctx *ctx, int rank, const int64_t *shape, int data, int k)
{
    net_tensor t = { .rank = rank, .dtype = MOTH_FLOAT32, .low = -1, .high = 1 };
    memcpy(t.shape, shape, (size_t)rank * sizeof *shape);
    return make_tensor(ctx, &t, 0, seed_of(data, 50 + k));
}

/* ---- the computation, on tensors of either kind ---- */

typedef struct traced {
    moth_tensor *out[NET_OUTPUTS];
    int n_out;
    moth_tensor *y[NET_OUTPUTS], *seed[NET_OUTPUTS]; /* outputs that have a gradient */
    int seeded[NET_OUTPUTS], n_seeds;
    moth_tensor *grad[NET_INPUTS + NET_LEAVES]; /* owned; NULL where there is none */
} traced;

typedef moth_tensor *(*seed_fn)(moth_ctx *ctx, const moth_tensor *y, int data, int k);

static moth_status gradients(moth_ctx *ctx, const net *n, moth_tensor *const *in, moth_tensor *const *leaf, int data,
                             seed_fn new_seed, traced *t)
{
    moth_tensor *x[NET_INPUTS + NET_LEAVES], *dx[NET_INPUTS + NET_LEAVES] = { 0 };
    int place[NET_INPUTS + NET_LEAVES], n_x = 0;
    for (int k = 0; k < t->n_out; k++) {
        if (t->out[k]->meta.dtype == MOTH_FLOAT32 && t->out[k]->requires_grad) {
            t->y[t->n_seeds] = t->out[k];
            t->seeded[t->n_seeds] = k;
            t->seed[t->n_seeds++] = new_seed(ctx, t->out[k], data, k);
        }
    }
    for (int k = 0; k < n->n_in; k++) {
        if (wants_gradient(n, &n->in[k])) {
            place[n_x] = k;
            x[n_x++] = in[k];
        }
    }
    for (int k = 0; k < n->n_leaf; k++) {
        if (wants_gradient(n, &n->leaf[k])) {
            place[n_x] = NET_INPUTS + k;
            x[n_x++] = leaf[k];
        }
    }
    if (t->n_seeds == 0) {
        return MOTH_OK;
    }
    MOTH_TRY(moth_gradients(ctx, t->n_seeds, t->y, t->seed, n_x, x, dx));
    for (int j = 0; j < n_x; j++) {
        t->grad[place[j]] = dx[j];
    }
    return MOTH_OK;
}

static moth_status compute(moth_ctx *ctx, const net *n, moth_tensor *const *in, moth_tensor *const *leaf, int data,
                           seed_fn new_seed, moth_scope *scope, traced *t)
{
    *t = (traced){ .n_out = 0 };
    t->n_out = n->build(n, scope, in, leaf, t->out);
    MOTH_TRY(scope->status);
    MOTH_TRY(gradients(ctx, n, in, leaf, data, new_seed, t));
    if (n->update) {
        n->update(n, scope, leaf, t->grad + NET_INPUTS);
    }
    return scope->status;
}

static void forget(traced *t)
{
    release_all(t->n_seeds, t->seed);
    release_all(NET_INPUTS + NET_LEAVES, t->grad);
}

/* ---- eager ---- */

static moth_tensor *eager_seed(moth_ctx *ctx, const moth_tensor *y, int data, int k)
{
    return make_seed(ctx, y->meta.rank, y->meta.shape, data, k);
}

static void keep_copy(moth_ctx *ctx, net_run *r, const moth_tensor *t)
{
    must(ctx, moth_tensor_contiguous_copy(ctx, t, &r->t[r->n++]));
}

net_run net_run_eager(moth_ctx *ctx, const net *n, int64_t rows, int data, moth_tensor *const *leaf)
{
    net_run r = { .n = 0 };
    traced t;
    moth_scope scope;
    moth_tensor *in[NET_INPUTS];
    make_inputs(ctx, n, rows, data, in);
    for (int k = 0; k < n->n_in; k++) {
        if (in[k]) {
            in[k]->requires_grad = wants_gradient(n, &n->in[k]);
        }
    }
    ctx->seed = 1671;
    ctx->eager_step = 0;
    moth_scope_open(&scope, ctx);
    r.status = compute(ctx, n, in, leaf, data, eager_seed, &scope, &t);
    for (int k = 0; r.status == MOTH_OK && k < t.n_out; k++) {
        keep_copy(ctx, &r, t.out[k]);
    }
    for (int k = 0; r.status == MOTH_OK && k < NET_INPUTS + NET_LEAVES; k++) {
        if (t.grad[k]) {
            keep_copy(ctx, &r, t.grad[k]);
        }
    }
    for (int k = 0; k < n->n_leaf; k++) {
        if (leaf[k]) {
            keep_copy(ctx, &r, leaf[k]);
        }
    }
    forget(&t);
    moth_scope_close(&scope, 0, NULL, NULL);
    release_all(n->n_in, in);
    return r;
}

/* ---- plan ---- */

static moth_tensor *symbolic_seed(moth_ctx *ctx, const moth_tensor *y, int data, int k)
{
    moth_tensor *seed;
    (void)data;
    (void)k;
    must(ctx, moth_placeholder(ctx, MOTH_FLOAT32, y->meta.rank, y->meta.shape, &seed));
    return seed;
}

static moth_status compile(moth_ctx *ctx, const net *n, int64_t capacity, moth_arena *arena, moth_tensor *const *in,
                           const traced *t, const moth_graph *graph, net_plan *p)
{
    moth_tensor *inputs[NET_INPUTS + NET_OUTPUTS], *outputs[NET_RESULTS];
    const char *names[NET_OUTPUTS];
    int n_inputs = 0;
    for (int k = 0; k < n->n_in; k++) {
        inputs[n_inputs] = in[k];
        n_inputs += in[k] != NULL;
    }
    for (int j = 0; j < t->n_seeds; j++) {
        inputs[n_inputs++] = t->seed[j];
        p->seeded[j] = t->seeded[j];
        p->seed[j] = t->seed[j]->meta;
    }
    p->n_seeds = t->n_seeds;
    p->n_out = p->n_results = t->n_out;
    for (int k = 0; k < t->n_out; k++) {
        outputs[k] = t->out[k];
        names[k] = "output";
    }
    for (int k = 0; k < NET_INPUTS + NET_LEAVES; k++) {
        if (t->grad[k]) {
            p->place[p->n_results] = k;
            outputs[p->n_results++] = t->grad[k];
        }
    }
    moth_plan_spec spec = { .n_inputs = n_inputs,
                            .inputs = inputs,
                            .n_outputs = p->n_results,
                            .outputs = outputs,
                            .n_effects = (int)graph->n_effects,
                            .effects = graph->effects,
                            .n_checks = n->n_checks,
                            .checks = outputs,
                            .check_names = names,
                            .capacity = capacity };
    return moth_plan_new(ctx, &spec, arena, &p->plan);
}

net_plan net_compile(moth_ctx *ctx, const net *n, int64_t capacity, moth_arena *arena, moth_tensor *const *leaf)
{
    net_plan p = { .plan = NULL };
    moth_graph graph;
    moth_scope scope;
    traced t;
    moth_tensor *in[NET_INPUTS] = { 0 };
    moth_trace_begin(ctx, &graph);
    moth_scope_open(&scope, ctx);
    for (int k = 0; k < n->n_in; k++) {
        if (n->in[k].rank >= 0) {
            must(ctx, moth_placeholder(ctx, n->in[k].dtype, n->in[k].rank, n->in[k].shape, &in[k]));
            in[k]->requires_grad = wants_gradient(n, &n->in[k]);
        }
    }
    p.status = compute(ctx, n, in, leaf, 0, symbolic_seed, &scope, &t);
    moth_trace_end(ctx, &graph);
    if (p.status == MOTH_OK) {
        p.status = compile(ctx, n, capacity, arena, in, &t, &graph, &p);
    }
    forget(&t);
    moth_scope_close(&scope, 0, NULL, NULL);
    moth_graph_clear(&graph);
    release_all(n->n_in, in);
    return p;
}

net_run net_run_plan(moth_ctx *ctx, const net *n, const net_plan *p, int64_t rows, int data, moth_tensor *const *leaf)
{
    net_run r = { .n = 0 };
    moth_tensor *in[NET_INPUTS + NET_OUTPUTS];
    moth_run run = { .seed = 1671, .step = 0 };
    int n_in = 0;
    for (int k = 0; k < n->n_in; k++) {
        in[n_in] = make_tensor(ctx, &n->in[k], rows, seed_of(data, k));
        n_in += in[n_in] != NULL;
    }
    for (int j = 0; j < p->n_seeds; j++) {
        int64_t shape[MOTH_MAX_RANK] = { 0 };
        for (int d = 0; d < p->seed[j].rank; d++) {
            shape[d] = p->seed[j].shape[d] < 0 ? -p->seed[j].shape[d] * rows : p->seed[j].shape[d];
        }
        in[n_in++] = make_seed(ctx, p->seed[j].rank, shape, data, p->seeded[j]);
    }
    r.status = moth_plan_run(ctx, p->plan, rows, in, &run);
    for (int k = 0; r.status == MOTH_OK && k < p->n_results; k++) {
        keep_copy(ctx, &r, moth_plan_output(p->plan, k));
    }
    for (int k = 0; k < n->n_leaf; k++) {
        if (leaf[k]) {
            keep_copy(ctx, &r, leaf[k]);
        }
    }
    release_all(n_in, in);
    return r;
}

/* ---- comparison ---- */

void net_release(net_run *r)
{
    release_all(r->n, r->t);
}

/* Contiguous copies: equal to the bit, or both not a number. */
static bool same_tensor(const moth_tensor *a, const moth_tensor *b)
{
    if (!moth_meta_same_shape(&a->meta, &b->meta) || a->meta.dtype != b->meta.dtype) {
        return false;
    }
    int64_t n = moth_tensor_count(a), size = (int64_t)moth_dtype_size(a->meta.dtype);
    if (memcmp(moth_tensor_data(a), moth_tensor_data(b), (size_t)(n * size)) == 0) {
        return true;
    }
    for (int64_t i = 0; i < n; i++) {
        double x = moth_tensor_element(a, i), y = moth_tensor_element(b, i);
        if ((x != y || signbit(x) != signbit(y)) && !(x != x && y != y)) {
            return false;
        }
    }
    return true;
}

bool net_same(const net_run *a, const net_run *b)
{
    bool same = a->status == b->status && a->n == b->n;
    for (int k = 0; same && k < a->n; k++) {
        same = same_tensor(a->t[k], b->t[k]);
    }
    return same;
}

/* Which result differs, for the message. */
static int first_difference(const net_run *a, const net_run *b)
{
    for (int k = 0; k < a->n && k < b->n; k++) {
        if (!same_tensor(a->t[k], b->t[k])) {
            return k;
        }
    }
    return -1;
}

/* Leaves of both sides, and their first values. */
typedef struct sides {
    moth_tensor *plan[NET_LEAVES], *eager[NET_LEAVES], *first[NET_LEAVES];
} sides;

static void reset(moth_ctx *ctx, const net *n, moth_tensor *const *leaf, const sides *s)
{
    for (int k = 0; k < n->n_leaf; k++) {
        if (leaf[k]) {
            must(ctx, moth_tensor_copy_into(ctx, leaf[k], s->first[k]));
        }
    }
}

static void check_rows(moth_ctx *ctx, const net *n, const net_plan *p, int64_t rows, const sides *s, net_verdict *v)
{
    net_run want[2];
    reset(ctx, n, s->eager, s);
    moth_ctx_set_threads(ctx, 2);
    for (int step = 0; step < 2; step++) {
        want[step] = net_run_eager(ctx, n, rows, step, s->eager);
    }
    for (int threads = 1; threads <= 3; threads++) {
        moth_ctx_set_threads(ctx, threads);
        reset(ctx, n, s->plan, s);
        for (int step = 0; step < 2; step++) {
            net_run got = net_run_plan(ctx, n, p, rows, step, s->plan);
            v->runs++;
            if (!net_same(&want[step], &got) && v->fault[0] == '\0') {
                snprintf(v->fault, sizeof v->fault,
                         "%s: %d rows, %d threads, step %d: %s, eager %s; %d results, eager %d; result %d differs",
                         n->name, (int)rows, threads, step, moth_status_name(got.status),
                         moth_status_name(want[step].status), got.n, want[step].n, first_difference(&want[step], &got));
            }
            net_release(&got);
        }
    }
    net_release(&want[0]);
    net_release(&want[1]);
}

net_verdict net_check(const net *n, int64_t capacity)
{
    net_verdict v = { .runs = 0 };
    moth_ctx *ctx = moth_ctx_new();
    moth_arena arena = { 0 };
    sides s;
    net_leaves(ctx, n, s.plan);
    net_leaves(ctx, n, s.eager);
    net_leaves(ctx, n, s.first);
    net_plan p = net_compile(ctx, n, capacity, &arena, s.plan);
    v.status = p.status;
    snprintf(v.error, sizeof v.error, "%s", moth_error(ctx));
    if (p.status == MOTH_OK) {
        const int64_t rows[] = { 1, capacity - 1, capacity };
        for (int i = capacity == 1 ? 2 : 0; i < 3; i++) {
            check_rows(ctx, n, &p, rows[i], &s, &v);
        }
    }
    moth_plan_free(p.plan);
    moth_arena_free(&arena);
    release_all(n->n_leaf, s.plan);
    release_all(n->n_leaf, s.eager);
    release_all(n->n_leaf, s.first);
    moth_ctx_free(ctx);
    return v;
}
