/* Whole computations in a plan against the same ones run eagerly, forward, backward and updates, to the bit. */
#include "plan_net.h"
#include "plan_ops.h"
#include "test.h"

#define F(rank_, ...)                                                                          \
    {                                                                                          \
        .rank = (rank_), .shape = { __VA_ARGS__ }, .dtype = MOTH_FLOAT32, .low = -1, .high = 1 \
    }
#define BUILD(name)                                                                                        \
    static int build_##name(const net *n, moth_scope *s, moth_tensor *const *in, moth_tensor *const *leaf, \
                            moth_tensor **out)
#define I(...) (&(moth_attrs){ .i = { __VA_ARGS__ } })
#define DIM(d) I(1, d)
#define DIM_KEPT(d) I(1, d, [10] = 1)
#define OPEN INT64_MIN

static void check(const net *n, int64_t capacity)
{
    net_verdict v = net_check(n, capacity);
    CHECK_THAT(v.status == MOTH_OK, "%s: %s", n->name, v.error);
    CHECK_THAT(v.fault[0] == '\0', "%s", v.fault);
    CHECK(v.status != MOTH_OK || v.runs > 0);
}

/* w -= 0.1 g for every leaf with a gradient */
static void sgd(const net *n, moth_scope *s, moth_tensor *const *leaf, moth_tensor *const *grad)
{
    moth_attrs rate = { .f = { 0.1 } };
    for (int k = 0; k < n->n_leaf; k++) {
        if (grad[k]) {
            MOTH_EMIT(s, &test_sgd, &rate, leaf[k], grad[k]);
        }
    }
}

/* ln softmax over the last of two dims, from ops of the table */
static moth_tensor *log_softmax(moth_scope *s, moth_tensor *x)
{
    moth_tensor *shifted = MOTH_DO(s, sub, NULL, x, MOTH_DO(s, max, DIM_KEPT(1), x));
    return MOTH_DO(s, sub, NULL, shifted,
                   MOTH_DO(s, log, NULL, MOTH_DO(s, sum, DIM_KEPT(1), MOTH_DO(s, exp, NULL, shifted))));
}

/* Per-row loss of a dense net, its mean, and the share of rows guessed right. */
BUILD(mlp)
{
    (void)n;
    moth_tensor *h = MOTH_DO(s, relu, NULL, MOTH_DO(s, linear, NULL, in[0], leaf[0], leaf[1]));
    h = MOTH_DO(s, tanh, NULL, MOTH_DO(s, linear, NULL, h, leaf[2], leaf[3]));
    moth_tensor *p = log_softmax(s, MOTH_DO(s, linear, NULL, h, leaf[4], leaf[5]));
    moth_tensor *loss = MOTH_DO(s, neg, NULL, MOTH_DO(s, sum, DIM(1), MOTH_DO(s, mul, NULL, p, in[1])));
    moth_tensor *right = MOTH_DO(s, eq, NULL, MOTH_DO(s, argmax, DIM(1), p), MOTH_DO(s, argmax, DIM(1), in[1]));
    out[0] = loss;
    out[1] = MOTH_DO(s, mean, NULL, loss);
    out[2] = right;
    return 3;
}

static void test_mlp(void)
{
    const net n = { .name = "mlp",
                    .build = build_mlp,
                    .update = sgd,
                    .n_checks = 2,
                    .n_in = 2,
                    .n_leaf = 6,
                    .in = { F(2, -1, 37), F(2, -1, 10) },
                    .leaf = { F(2, 37, 70), F(1, 70), F(2, 70, 33), F(1, 33), F(2, 33, 10), F(1, 10) } };
    check(&n, 150);
    check(&n, 65);
    check(&n, 2);
}

/* One weight in two layers, and with itself. */
BUILD(shared)
{
    (void)n;
    moth_tensor *h = MOTH_DO(s, sigmoid, NULL, MOTH_DO(s, linear, NULL, in[0], leaf[0], leaf[1]));
    h = MOTH_DO(s, linear, NULL, h, leaf[0], leaf[1]);
    moth_tensor *square = MOTH_DO(s, matmul, NULL, leaf[0], leaf[0]);
    out[0] = MOTH_DO(s, matmul, NULL, h, square);
    out[1] = MOTH_DO(s, sum, NULL, MOTH_DO(s, mul, NULL, leaf[0], leaf[0])); /* an l2 term */
    return 2;
}

/* w -= 0.1 (g + 0.01 w): reads the variable that it changes, in the same rows */
static void decay(const net *n, moth_scope *s, moth_tensor *const *leaf, moth_tensor *const *grad)
{
    moth_attrs rate = { .f = { 0.1 } };
    for (int k = 0; k < n->n_leaf; k++) {
        if (grad[k]) {
            moth_tensor *own = MOTH_DO(s, mul, NULL, leaf[k], leaf[k]);
            MOTH_EMIT(s, &test_sgd, &rate, leaf[k], MOTH_DO(s, add, NULL, grad[k], own));
        }
    }
}

static void test_shared(void)
{
    const net n = { .name = "shared",
                    .build = build_shared,
                    .update = decay,
                    .n_in = 1,
                    .n_leaf = 2,
                    .in = { F(2, -1, 70) },
                    .leaf = { F(2, 70, 70), F(1, 70) } };
    check(&n, 130);
}

/* Views of all kinds between products; rows become k rows a sample and back. */
BUILD(views)
{
    (void)n;
    moth_tensor *x = in[0]; /* (B, 4, 6) */
    moth_tensor *swapped = MOTH_DO(s, transpose, I(1, 2), x);
    moth_tensor *part = MOTH_DO(s, slice, I(2, 1, 4), swapped);        /* (B, 6, 3) */
    moth_tensor *rows = MOTH_DO(s, reshape, I(2, OPEN, 3), part);      /* (6B, 3) */
    moth_tensor *h = MOTH_DO(s, linear, NULL, rows, leaf[0], leaf[1]); /* (6B, 5) */
    h = MOTH_DO(s, relu, NULL, h);
    h = MOTH_DO(s, permute, I(3, 0, 2, 1), MOTH_DO(s, reshape, I(3, OPEN, 6, 5), h)); /* (B, 5, 6) */
    moth_tensor *wide = MOTH_DO(s, expand, I(4, OPEN, 2, OPEN, OPEN), MOTH_DO(s, unsqueeze, I(1), h));
    moth_tensor *flat = MOTH_DO(s, reshape, I(2, OPEN, 60), wide);
    moth_tensor *ends =
        MOTH_DO(s, cat, I(1), MOTH_DO(s, slice, I(1, 0, 3), flat), MOTH_DO(s, slice, I(1, 57, 60), flat));
    out[0] = MOTH_DO(s, flip, I(1), ends);
    out[1] = MOTH_DO(s, flatten, NULL, MOTH_DO(s, squeeze, I(1, 1), MOTH_DO(s, slice, I(1, 0, 1), h)));
    out[2] = MOTH_DO(s, transpose, I(0, 1), MOTH_DO(s, mul, NULL, leaf[0], leaf[0])); /* a strided output */
    return 3;
}

static void test_views(void)
{
    const net n = { .name = "views",
                    .build = build_views,
                    .update = sgd,
                    .n_in = 1,
                    .n_leaf = 2,
                    .in = { F(3, -1, 4, 6) },
                    .leaf = { F(2, 3, 5), F(1, 5) } };
    check(&n, 100);
}

BUILD(broadcast)
{
    (void)n;
    moth_tensor *y = MOTH_DO(s, mul, NULL, in[0], leaf[0]);              /* (B, 5) (5) */
    y = MOTH_DO(s, add, NULL, y, MOTH_DO(s, mul, NULL, in[1], leaf[1])); /* (B, 1) () */
    y = MOTH_DO(s, maximum, NULL, y, leaf[2]);                           /* (1, 5) */
    moth_tensor *rows = MOTH_DO(s, size, I(0), in[0]);
    out[0] = MOTH_DO(s, div, NULL, y, rows);
    out[1] = MOTH_DO(s, add, NULL, MOTH_DO(s, unsqueeze, I(1), y), leaf[3]); /* (B, 1, 5) (7, 1) */
    return 2;
}

static void test_broadcast(void)
{
    const net n = { .name = "broadcast",
                    .build = build_broadcast,
                    .update = sgd,
                    .n_in = 2,
                    .n_leaf = 4,
                    .in = { F(2, -1, 5), F(2, -1, 1) },
                    .leaf = { F(1, 5), F(0, 0), F(2, 1, 5), F(2, 7, 1) } };
    check(&n, 131);
}

/* Statistics of the batch, which end a region, and a layer behind them. */
BUILD(normalize)
{
    (void)n;
    moth_tensor *h = MOTH_DO(s, linear, NULL, in[0], leaf[0]);
    moth_tensor *mean = MOTH_DO(s, mean, DIM(0), h), *std = MOTH_DO(s, std, DIM(0), h);
    moth_tensor *y = MOTH_DO(s, div, NULL, MOTH_DO(s, sub, NULL, h, mean), MOTH_DO(s, add, NULL, std, leaf[3]));
    y = MOTH_DO(s, add, NULL, MOTH_DO(s, mul, NULL, y, leaf[1]), leaf[2]);
    out[0] = MOTH_DO(s, linear, NULL, MOTH_DO(s, relu, NULL, y), leaf[4]);
    out[1] = MOTH_DO(s, max, DIM(0), out[0]);
    out[2] = MOTH_DO(s, sum, NULL, MOTH_DO(s, cumsum, I(0), MOTH_DO(s, square, NULL, out[0])));
    return 3;
}

static void test_normalize(void)
{
    net n = { .name = "normalize",
              .build = build_normalize,
              .update = sgd,
              .n_in = 1,
              .n_leaf = 5,
              .in = { F(2, -1, 9) },
              .leaf = { F(2, 9, 17), F(1, 17), F(1, 17), F(1, 17), F(2, 17, 3) } };
    n.leaf[3].low = 0.1; /* what keeps the division away from 0 */
    check(&n, 131);
}

/* Values that an element-wise step would like to write over, while another step still needs them: beside it, through
 * another view, as a whole, in another region, as an output. */
BUILD(in_place)
{
    (void)n;
    moth_tensor *a = MOTH_DO(s, exp, NULL, in[0]); /* (B, 8) */
    moth_tensor *b = MOTH_DO(s, neg, NULL, a);
    moth_tensor *c = MOTH_DO(s, sub, NULL, a, MOTH_DO(s, slice, I(1, 0, 1), a)); /* first column of itself */
    moth_tensor *d = MOTH_DO(s, sqrt, NULL, MOTH_DO(s, square, NULL, c));
    out[0] = MOTH_DO(s, add, NULL, b, d);
    out[1] = c;
    moth_tensor *w = MOTH_DO(s, mul, NULL, leaf[0], leaf[0]); /* (8, 8) */
    moth_tensor *sum = MOTH_DO(s, add, NULL, w, MOTH_DO(s, transpose, I(0, 1), w));
    out[2] = MOTH_DO(s, linear, NULL, a, sum);
    moth_tensor *v = MOTH_DO(s, exp, NULL, leaf[1]); /* (200, 4): in a later stage it is read whole and row by row */
    moth_tensor *tall = MOTH_DO(s, add, NULL, v, MOTH_DO(s, sum, NULL, v));
    moth_tensor *whole = MOTH_DO(s, matmul, NULL, leaf[2], tall); /* (200, 200) (200, 4) */
    moth_tensor *both = MOTH_DO(s, add, NULL, whole, MOTH_DO(s, neg, NULL, tall));
    out[3] = MOTH_DO(s, sum, DIM(1), both);
    return 4;
}

static void test_in_place(void)
{
    const net n = { .name = "in place",
                    .build = build_in_place,
                    .update = sgd,
                    .n_in = 1,
                    .n_leaf = 3,
                    .in = { F(2, -1, 8) },
                    .leaf = { F(2, 8, 8), F(2, 200, 4), F(2, 200, 200) } };
    check(&n, 200);
}

/* A long chain of steps with results of equal size, some of them needed again much later. */
BUILD(chain)
{
    (void)n;
    moth_tensor *early[6], *x = in[0];
    for (int k = 0; k < 6; k++) {
        x = MOTH_DO(s, tanh, NULL, MOTH_DO(s, linear, NULL, x, leaf[0], leaf[1]));
        early[k] = x;
    }
    for (int k = 0; k < 6; k++) {
        x = MOTH_DO(s, add, NULL, MOTH_DO(s, mul, NULL, x, early[5 - k]), early[k]);
    }
    out[0] = x;
    return 1;
}

static void test_chain(void)
{
    const net n = { .name = "chain",
                    .build = build_chain,
                    .update = sgd,
                    .n_in = 1,
                    .n_leaf = 2,
                    .in = { F(2, -1, 20) },
                    .leaf = { F(2, 20, 20), F(1, 20) } };
    check(&n, 200);
    net inference = n;
    inference.no_gradients = true;
    inference.update = NULL;
    check(&inference, 200);
}

/* Steps of pieces and phases, with scratch that all share and scratch of each worker, between row steps. */
BUILD(phases)
{
    (void)n;
    moth_tensor *h = MOTH_DO(s, linear, NULL, in[0], leaf[0]);
    moth_tensor *a = MOTH_EMIT(s, &test_total, NULL, h), *b = MOTH_EMIT(s, &test_total, NULL, in[0]);
    out[0] = MOTH_DO(s, mul, NULL, h, MOTH_DO(s, sub, NULL, a, b));
    out[1] = MOTH_EMIT(s, &test_total, NULL, out[0]);
    return 2;
}

static void test_phases(void)
{
    const net n = { .name = "phases",
                    .build = build_phases,
                    .no_gradients = true,
                    .n_in = 1,
                    .n_leaf = 1,
                    .in = { F(2, -1, 9) },
                    .leaf = { F(2, 9, 30) } };
    check(&n, 131);
}

/* Products of stacks, with the batch in front and with a captured stack. */
BUILD(stacks)
{
    (void)n;
    moth_tensor *scores = MOTH_DO(s, matmul, I(0, 1), in[0], in[1]); /* (B, 5, 7) (B, 6, 7)^T */
    moth_tensor *mixed = MOTH_DO(s, matmul, NULL, scores, in[1]);    /* (B, 5, 7) */
    out[0] = MOTH_DO(s, matmul, NULL, mixed, leaf[0]);               /* (7, 3) */
    out[1] = MOTH_DO(s, mean, DIM(1), mixed);
    return 2;
}

static void test_stacks(void)
{
    const net n = { .name = "stacks",
                    .build = build_stacks,
                    .update = sgd,
                    .n_in = 2,
                    .n_leaf = 1,
                    .in = { F(3, -1, 5, 7), F(3, -1, 6, 7) },
                    .leaf = { F(2, 7, 3) } };
    check(&n, 70);
}

/* Embedding: rows of a weight by position, and the gradient that adds them up. */
BUILD(embedding)
{
    (void)n;
    moth_tensor *e = MOTH_DO(s, index, I(0), leaf[0], in[0]); /* (B, 3, 8) */
    out[0] = MOTH_DO(s, linear, NULL, MOTH_DO(s, reshape, I(2, OPEN, 24), e), leaf[1]);
    out[1] = MOTH_DO(s, one_hot, I(11), in[0]);
    return 2;
}

static void test_embedding(void)
{
    const net n = { .name = "embedding",
                    .build = build_embedding,
                    .update = sgd,
                    .n_in = 1,
                    .n_leaf = 2,
                    .in = { { 2, { -1, 3 }, MOTH_INT32, 0, 10, 0 } },
                    .leaf = { F(2, 11, 8), F(2, 24, 4) } };
    check(&n, 131);
}

/* Outputs that need no computation: an input, a view of one, a captured tensor, and the same value twice. */
BUILD(plain)
{
    (void)n;
    out[0] = in[0];
    out[1] = MOTH_DO(s, transpose, I(1, 2), in[0]);
    out[2] = leaf[0];
    out[3] = out[4] = MOTH_DO(s, neg, NULL, in[0]);
    return 5;
}

static void test_plain(void)
{
    const net n = { .name = "plain",
                    .build = build_plain,
                    .no_gradients = true,
                    .n_in = 1,
                    .n_leaf = 1,
                    .in = { F(3, -1, 2, 3) },
                    .leaf = { { 2, { 5, 4 }, MOTH_FLOAT32, -1, 1, 1 } } };
    check(&n, 70);
}

/* Captured views, strided both ways, into kernels that take no strides; the same view twice. */
BUILD(captured)
{
    (void)n;
    moth_tensor *t = MOTH_DO(s, transpose, I(0, 1), leaf[1]);
    out[0] = MOTH_DO(s, linear, NULL, in[0], leaf[0]);
    out[1] = MOTH_DO(s, linear, NULL, MOTH_DO(s, linear, NULL, in[0], t), t);
    return 2;
}

static void test_captured(void)
{
    const net n = { .name = "captured",
                    .build = build_captured,
                    .n_in = 1,
                    .n_leaf = 2,
                    .in = { F(2, -1, 6) },
                    .leaf = { { 2, { 6, 5 }, MOTH_FLOAT32, -1, 1, 2 }, { 2, { 6, 6 }, MOTH_FLOAT32, -1, 1, 1 } } };
    check(&n, 131);
}

int main(void)
{
    test_mlp();
    test_shared();
    test_views();
    test_broadcast();
    test_normalize();
    test_in_place();
    test_chain();
    test_phases();
    test_stacks();
    test_embedding();
    test_plain();
    test_captured();
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
