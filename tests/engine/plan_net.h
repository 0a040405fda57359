/* A computation that is run twice, eagerly and by a plan: what both give must agree to the bit. */
#ifndef MOTH_TEST_PLAN_NET_H
#define MOTH_TEST_PLAN_NET_H

#include "autograd/autograd.h"
#include "cases.h"
#include "plan/plan.h"

enum { NET_INPUTS = 6, NET_LEAVES = 8, NET_OUTPUTS = 8 };
enum { NET_RESULTS = NET_OUTPUTS + NET_INPUTS + NET_LEAVES };

/* A tensor that a net reads; dims < 0 are multiples of the rows of a run. rank -1: absent. */
typedef struct net_tensor {
    int rank;
    int64_t shape[MOTH_MAX_RANK];
    moth_dtype dtype;
    double low, high;
    int layout; /* leaves only, as in moth_case */
} net_tensor;

typedef struct net net;
struct net {
    const char *name;
    int n_in, n_leaf;
    net_tensor in[NET_INPUTS], leaf[NET_LEAVES];
    /* Emits the computation into the scope; returns the number of outputs. */
    int (*build)(const net *n, moth_scope *s, moth_tensor *const *in, moth_tensor *const *leaf, moth_tensor **out);
    /* Then, with the gradients of the leaves (NULL where there is none): changes of the leaves. May be NULL. */
    void (*update)(const net *n, moth_scope *s, moth_tensor *const *leaf, moth_tensor *const *grad);
    const void *user;
    bool no_gradients;
    int n_checks; /* the first outputs are checked to be finite */
};

/* A net traced and compiled. */
typedef struct net_plan {
    moth_status status; /* of tracing and compiling */
    moth_plan *plan;
    int n_out, n_results;   /* results: outputs, then gradients of inputs and leaves that have one */
    int place[NET_RESULTS]; /* of each gradient: k for input k, NET_INPUTS + k for leaf k */
    int n_seeds;
    int seeded[NET_OUTPUTS]; /* which output seed j belongs to */
    moth_meta seed[NET_OUTPUTS];
} net_plan;

net_plan net_compile(moth_ctx *ctx, const net *n, int64_t capacity, moth_arena *arena, moth_tensor *const *leaf);

/* What one run left behind: results as in net_plan, then the leaves. */
typedef struct net_run {
    moth_status status;
    int n;
    moth_tensor *t[NET_RESULTS + NET_LEAVES];
} net_run;

/* leaf: from net_leaves; changed by updates. `data` tells one set of inputs from another. */
net_run net_run_eager(moth_ctx *ctx, const net *n, int64_t rows, int data, moth_tensor *const *leaf);
net_run net_run_plan(moth_ctx *ctx, const net *n, const net_plan *p, int64_t rows, int data, moth_tensor *const *leaf);
void net_release(net_run *r);

void net_leaves(moth_ctx *ctx, const net *n, moth_tensor **leaf);

bool net_same(const net_run *a, const net_run *b);

typedef struct net_verdict {
    moth_status status; /* of the compilation; a net that cannot be compiled is not run */
    char error[200];    /* its message */
    int runs;           /* of the plan, compared with eager */
    char fault[300];    /* first difference; empty: none */
} net_verdict;

/* Rows 1, capacity - 1 and capacity on 1, 2 and 3 threads, two steps each, against eager. */
net_verdict net_check(const net *n, int64_t capacity);

#endif
