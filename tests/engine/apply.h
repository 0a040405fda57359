/* Ops applied in one line each: tensors made from literals, results checked against lists of numbers. What is made
 * lives until release_live, at the end of a test function. */
#ifndef MOTH_TEST_APPLY_H
#define MOTH_TEST_APPLY_H

#include "graph/graph.h"
#include "test.h"

static moth_ctx *ctx;

enum { MAX_LIVE = 4096 };
static moth_tensor *live[MAX_LIVE];
static int n_live;

static inline moth_tensor *own(moth_tensor *t)
{
    if (t && n_live < MAX_LIVE) {
        live[n_live++] = t;
    }
    return t;
}

static inline void release_live(void)
{
    while (n_live > 0) {
        moth_tensor_release(live[--n_live]);
    }
}

/* The tests of a program, one after the other, on a context of their own. */
static inline int run_tests(size_t n, void (*const *tests)(void))
{
    ctx = moth_ctx_new();
    for (size_t k = 0; k < n; k++) {
        tests[k]();
        release_live();
    }
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}

#define SHAPE(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), ((int64_t[]){ __VA_ARGS__ })
#define FLOATS(...) ((const float[]){ __VA_ARGS__ })
#define INTS(...) ((const int32_t[]){ __VA_ARGS__ })
#define BYTES(...) ((const uint8_t[]){ __VA_ARGS__ })

static inline moth_tensor *floats(int rank, const int64_t *shape, const float *data)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_floats(ctx, rank, shape, data, &t) == MOTH_OK);
    return own(t);
}

static inline moth_tensor *ints(int rank, const int64_t *shape, const int32_t *data)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_ints(ctx, rank, shape, data, &t) == MOTH_OK);
    return own(t);
}

static inline moth_tensor *bytes(int rank, const int64_t *shape, const uint8_t *data)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_bytes(ctx, rank, shape, data, &t) == MOTH_OK);
    return own(t);
}

static inline moth_tensor *scalar(float value)
{
    return floats(0, NULL, &value);
}

/* First output; NULL and a message on ctx on failure. */
static inline moth_tensor *apply(moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in)
{
    moth_tensor *out = NULL;
    return moth_apply1(ctx, id, attrs, n_in, in, &out) == MOTH_OK ? own(out) : NULL;
}

#define DO(name, attrs, ...)                                                                              \
    apply(MOTH_OP_##name, attrs, (int)(sizeof((moth_tensor *[]){ __VA_ARGS__ }) / sizeof(moth_tensor *)), \
          (moth_tensor *[]){ __VA_ARGS__ })

#define ATTRS(...) (&(moth_attrs){ .i = { __VA_ARGS__ } })

/* All elements of t, in order. */
static inline void check_values(const char *what, const moth_tensor *t, int64_t n, const double *want, double tolerance)
{
    CHECK_THAT(t, "%s: %s", what, moth_error(ctx));
    if (!t) {
        return;
    }
    CHECK_THAT(moth_tensor_count(t) == n, "%s: has %lld elements, not %lld", what, (long long)moth_tensor_count(t),
               (long long)n);
    for (int64_t i = 0; i < n && n == moth_tensor_count(t); i++) {
        double got = moth_tensor_element(t, i);
        bool good = fabs(got - want[i]) <= tolerance || got == want[i] || (got != got && want[i] != want[i]);
        CHECK_THAT(good, "%s: element %lld is %.9g, not %.9g", what, (long long)i, got, want[i]);
    }
}

#define CHECK_VALUES(t, tolerance, ...)                                                \
    check_values(#t, t, (int64_t)(sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)), \
                 (const double[]){ __VA_ARGS__ }, tolerance)

#define CHECK_ERROR(t, status_, text)      \
    do {                                   \
        CHECK((t) == NULL);                \
        CHECK(ctx->status == (status_));   \
        CHECK_TEXT(moth_error(ctx), text); \
    } while (0)

#endif
