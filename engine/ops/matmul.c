/* matmul: product of matrices, of stacks of matrices, and of vectors with matrices.
 *
 *   (M, K) (K, N) -> (M, N)            (…, M, K) (K, N) -> (…, M, N): all rows of the left side in one product
 *   (…, M, K) (…, K, N) -> (…, M, N)   leading dims broadcast
 *   (K) (K) -> ()   (K) (K, N) -> (N)   (M, K) (K) -> (M)
 *
 * trans_a and trans_b read the last two dims of a side swapped. Saved: both inputs. The gradient is again a product,
 * with flags instead of transposed copies: da = dy op(b)^T, db = op(a)^T dy. */
#include "ops/nn_util.h"
#include "ops/product.h"

enum { TRANS_A, TRANS_B };

typedef enum form {
    FORM_DOT,    /* (K) (K) */
    FORM_VECTOR, /* (K) (K, N) */
    FORM_FLAT,   /* all rows of a times one matrix or one vector */
    FORM_BATCHED /* a product for each leading index */
} form;

static form form_of(const moth_attrs *attrs, int rank_a, int rank_b)
{
    if (rank_a == 1) {
        return rank_b == 1 ? FORM_DOT : FORM_VECTOR;
    }
    return rank_b <= 2 && (rank_a == 2 || !attrs->i[TRANS_A]) ? FORM_FLAT : FORM_BATCHED;
}

/* Rows and columns of op(a), op(b); a vector is a row on the left and a column on the right. */
static void sizes(const moth_attrs *attrs, int rank_a, const int64_t *a, int rank_b, const int64_t *b, int64_t *m,
                  int64_t *ka, int64_t *kb, int64_t *n)
{
    bool ta = attrs->i[TRANS_A] != 0, tb = attrs->i[TRANS_B] != 0;
    *ka = rank_a == 1 ? a[0] : a[ta ? rank_a - 2 : rank_a - 1];
    *m = rank_a == 1 ? 1 : a[ta ? rank_a - 1 : rank_a - 2];
    *kb = rank_b == 1 ? b[0] : b[tb ? rank_b - 1 : rank_b - 2];
    *n = rank_b == 1 ? 1 : b[tb ? rank_b - 2 : rank_b - 1];
}

static moth_status infer_leading(moth_infer *q)
{
    const moth_meta *a = q->in[0], *b = q->in[1];
    int la = a->rank - 2, lb = b->rank - 2, l = la > lb ? la : lb;
    for (int d = 0; d < l; d++) {
        int64_t da = d - (l - la) >= 0 ? a->shape[d - (l - la)] : 1;
        int64_t db = d - (l - lb) >= 0 ? b->shape[d - (l - lb)] : 1;
        if (da != db && da != 1 && db != 1) {
            return da < 0 || db < 0 ? moth_infer_exact(q)
                                    : moth_infer_fail(q, MOTH_ERR_SHAPE, "leading dims must agree or be 1");
        }
        q->out[0].shape[d] = da == 1 ? db : da;
    }
    q->out[0].rank = l;
    return MOTH_OK;
}

static moth_status infer_stack(moth_infer *q, form f, int64_t m, int64_t n)
{
    const moth_meta *a = q->in[0];
    moth_meta *out = q->out;
    if (f == FORM_FLAT) { /* rows of a, whatever their number of dims */
        out->rank = a->rank - 2;
        for (int d = 0; d < out->rank; d++) {
            out->shape[d] = a->shape[d];
        }
    } else {
        MOTH_TRY(infer_leading(q));
    }
    out->shape[out->rank++] = m;
    if (q->in[1]->rank > 1) {
        out->shape[out->rank++] = n;
    }
    for (int d = 1; d < out->rank; d++) {
        if (out->shape[d] < 0) {
            return moth_infer_exact(q);
        }
    }
    return MOTH_OK;
}

static moth_status matmul_infer(moth_infer *q)
{
    const moth_meta *a = q->in[0], *b = q->in[1];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    q->out[0].dtype = MOTH_FLOAT32;
    if (a->rank < 1 || b->rank < 1 || (a->rank == 1 && b->rank > 2) || (b->rank == 1 && a->rank > 2)) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes matrices, stacks of matrices, or a vector and a matrix");
    }
    int64_t m, ka, kb, n;
    sizes(q->attrs, a->rank, a->shape, b->rank, b->shape, &m, &ka, &kb, &n);
    if (ka != kb) {
        return ka < 0 || kb < 0 ? moth_infer_exact(q)
                                : moth_infer_fail(q, MOTH_ERR_SHAPE, "columns of a must equal rows of b");
    }
    form f = form_of(q->attrs, a->rank, b->rank);
    if (f == FORM_DOT) {
        q->out[0].rank = 0;
        return MOTH_OK;
    }
    if (f == FORM_VECTOR) {
        q->out[0].rank = 1;
        q->out[0].shape[0] = n;
        return MOTH_OK;
    }
    return infer_stack(q, f, m, n);
}

static bool matmul_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    form f = form_of(attrs, in[0]->rank, in[1]->rank);
    if (f == FORM_FLAT) {
        return i == 1 || (in[0]->rank == 2 && attrs->i[TRANS_A]);
    }
    return f != FORM_BATCHED || in[i]->rank != out->rank || in[i]->shape[0] != out->shape[0];
}

static void flat_rows(const moth_call *call, int64_t r0, int64_t r1)
{
    const moth_arg *a = &call->in[0], *b = &call->in[1], *y = &call->out[0];
    bool ta = call->attrs->i[TRANS_A] != 0, tb = call->attrs->i[TRANS_B] != 0 && b->rank == 2;
    int64_t m, k, kb, n;
    sizes(call->attrs, a->rank, a->shape, b->rank, b->shape, &m, &k, &kb, &n);
    int64_t per_row = span(y->shape, 1, a->rank - 1); /* rows of the product in one row of y */
    int64_t lda = a->shape[a->rank - 1], ldb = b->rank == 1 ? 1 : b->shape[1];
    int64_t first = r0 * per_row;
    MOTH_PRODUCT(ta, tb, (r1 - r0) * per_row, n, k, reals(a) + (ta ? first : first * lda), lda, reals(b), ldb, 0,
                 reals(y) + first * n, n);
}

static void vector_rows(const moth_call *call, int64_t r0, int64_t r1)
{
    const moth_arg *b = &call->in[1];
    bool tb = call->attrs->i[TRANS_B] != 0 && b->rank == 2;
    int64_t k = call->in[0].shape[0], ldb = b->rank == 1 ? 1 : b->shape[1];
    for (int64_t r = r0; r < r1; r += MOTH_ROW_TILE) {
        MOTH_PRODUCT(false, tb, 1, min64(MOTH_ROW_TILE, r1 - r), k, reals(&call->in[0]), k,
                     reals(b) + (tb ? r * ldb : r), ldb, 0, reals(&call->out[0]) + r, r1 - r);
    }
}

/* First element of the matrix that side x contributes to the product at leading index `at` of y. */
static const moth_real *stack_matrix(const moth_arg *x, const moth_arg *y, const int64_t *at)
{
    int64_t offset = 0;
    int shift = y->rank - x->rank;
    for (int d = 0; d < x->rank - 2; d++) {
        offset += x->shape[d] == 1 ? 0 : at[d + shift] * x->stride[d];
    }
    return reals(x) + offset;
}

static void batched_rows(const moth_call *call, int64_t r0, int64_t r1)
{
    const moth_arg *a = &call->in[0], *b = &call->in[1], *y = &call->out[0];
    int64_t m, k, kb, n;
    sizes(call->attrs, a->rank, a->shape, b->rank, b->shape, &m, &k, &kb, &n);
    int64_t inner = span(y->shape, 1, y->rank - 2);
    for (int64_t p = r0 * inner; p < r1 * inner; p++) {
        int64_t at[MOTH_MAX_RANK], rest = p;
        for (int d = y->rank - 3; d > 0; d--) {
            at[d] = rest % y->shape[d];
            rest /= y->shape[d];
        }
        at[0] = rest;
        MOTH_PRODUCT(call->attrs->i[TRANS_A] != 0, call->attrs->i[TRANS_B] != 0, m, n, k, stack_matrix(a, y, at),
                     a->shape[a->rank - 1], stack_matrix(b, y, at), b->shape[b->rank - 1], 0, reals(y) + p * m * n, n);
    }
}

static bool matmul_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    if (span(call->out[0].shape, 0, call->out[0].rank) == 0) {
        return true;
    }
    switch (form_of(call->attrs, call->in[0].rank, call->in[1].rank)) {
    case FORM_DOT:
    case FORM_VECTOR:
        vector_rows(call, r0, r1);
        break;
    case FORM_FLAT:
        flat_rows(call, r0, r1);
        break;
    case FORM_BATCHED:
        batched_rows(call, r0, r1);
        break;
    }
    return true;
}

/* ---- gradient ---- */

static moth_status outer_infer(moth_infer *q)
{
    if (q->in[1]->shape[0] < 0) {
        return moth_infer_exact(q);
    }
    q->out[0].dtype = MOTH_FLOAT32;
    q->out[0].rank = 2;
    q->out[0].shape[0] = q->in[0]->shape[0];
    q->out[0].shape[1] = q->in[1]->shape[0];
    return MOTH_OK;
}

static bool outer_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    int64_t n = call->in[1].shape[0];
    const moth_real *a = reals(&call->in[0]), *b = reals(&call->in[1]);
    for (int64_t r = r0; r < r1; r++) {
        moth_real *y = reals(&call->out[0]) + r * n;
        for (int64_t j = 0; j < n; j++) {
            y[j] = a[r] * b[j];
        }
    }
    return true;
}

static const moth_op outer = {
    .name = "outer",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = outer_infer,
    .rows = outer_rows,
    .whole = whole_but_first,
    .nodiff = "a gradient of matmul",
};

static moth_tensor *product(moth_grad *g, moth_tensor *a, bool ta, moth_tensor *b, bool tb)
{
    moth_attrs attrs = { .i = { [TRANS_A] = ta, [TRANS_B] = tb } };
    return MOTH_EMIT(g->scope, &MOTH_OP(matmul), &attrs, a, b);
}

static moth_tensor *gradient_a(moth_grad *g, form f, bool ta, bool tb)
{
    moth_tensor *a = g->x[0], *b = g->x[1], *dy = g->dy[0];
    if (f == FORM_DOT) {
        return MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, b, dy);
    }
    if (f == FORM_VECTOR) {
        return product(g, b, tb, dy, false);
    }
    if (b->meta.rank == 1) {
        return ta ? MOTH_EMIT(g->scope, &outer, NULL, b, dy) : MOTH_EMIT(g->scope, &outer, NULL, dy, b);
    }
    return moth_emit_sum_to(g->scope, ta ? product(g, b, tb, dy, true) : product(g, dy, false, b, !tb), a);
}

static moth_tensor *gradient_b(moth_grad *g, form f, bool ta, bool tb)
{
    moth_tensor *a = g->x[0], *b = g->x[1], *dy = g->dy[0];
    if (f == FORM_DOT) {
        return MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, a, dy);
    }
    if (f == FORM_VECTOR) {
        return tb ? MOTH_EMIT(g->scope, &outer, NULL, dy, a) : MOTH_EMIT(g->scope, &outer, NULL, a, dy);
    }
    if (b->meta.rank == 1) {
        return product(g, a, !ta, dy, false);
    }
    if (f == FORM_FLAT && !ta) { /* the rows of all leading dims add up in one product */
        return tb ? MOTH_EMIT(g->scope, &MOTH_OP(weight_product), NULL, dy, a)
                  : MOTH_EMIT(g->scope, &MOTH_OP(weight_product), NULL, a, dy);
    }
    return moth_emit_sum_to(g->scope, tb ? product(g, dy, true, a, ta) : product(g, a, !ta, dy, false), b);
}

static void matmul_gradient(moth_grad *g)
{
    form f = form_of(g->attrs, g->x[0]->meta.rank, g->x[1]->meta.rank);
    bool ta = g->attrs->i[TRANS_A] != 0, tb = g->attrs->i[TRANS_B] != 0;
    if (g->need[0]) {
        g->dx[0] = gradient_a(g, f, ta, tb);
    }
    if (g->need[1]) {
        g->dx[1] = gradient_b(g, f, ta, tb);
    }
}

static const moth_attr_spec matmul_attrs[] = {
    { "trans_a", MOTH_ATTR_BOOL, TRANS_A, true, 0 },
    { "trans_b", MOTH_ATTR_BOOL, TRANS_B, true, 0 },
    { NULL, MOTH_ATTR_END, 0, false, 0 },
};

#define REAL(rank_, ...)                                                                       \
    {                                                                                          \
        .rank = (rank_), .shape = { __VA_ARGS__ }, .dtype = MOTH_FLOAT32, .low = -1, .high = 1 \
    }

static const moth_case matmul_cases[] = {
    { .in = { REAL(2, 3, 5), REAL(2, 5, 4) }, .n_in = 2 },
    { .in = { REAL(2, 67, 3), REAL(2, 3, 66) }, .n_in = 2 },
    { .in = { REAL(2, 1, 1), REAL(2, 1, 1) }, .n_in = 2 },
    { .in = { REAL(2, 5, 3), REAL(2, 5, 4) }, .n_in = 2, .attrs = { .i = { [TRANS_A] = 1 } } },
    { .in = { REAL(2, 3, 5), REAL(2, 4, 5) }, .n_in = 2, .attrs = { .i = { [TRANS_B] = 1 } } },
    { .in = { REAL(2, 5, 3), REAL(2, 4, 5) }, .n_in = 2, .attrs = { .i = { [TRANS_A] = 1, [TRANS_B] = 1 } } },
    { .in = { REAL(3, 2, 3, 5), REAL(2, 5, 4) }, .n_in = 2 },
    { .in = { REAL(3, 2, 3, 5), REAL(2, 4, 5) }, .n_in = 2, .attrs = { .i = { [TRANS_B] = 1 } } },
    { .in = { REAL(3, 2, 5, 3), REAL(2, 5, 4) }, .n_in = 2, .attrs = { .i = { [TRANS_A] = 1 } } },
    { .in = { REAL(3, 2, 3, 5), REAL(3, 2, 5, 4) }, .n_in = 2 },
    { .in = { REAL(4, 2, 1, 3, 2), REAL(3, 3, 2, 4) }, .n_in = 2 },
    { .in = { REAL(3, 2, 2, 3), REAL(3, 2, 4, 2) }, .n_in = 2, .attrs = { .i = { [TRANS_A] = 1, [TRANS_B] = 1 } } },
    { .in = { REAL(1, 5), REAL(1, 5) }, .n_in = 2 },
    { .in = { REAL(1, 5), REAL(2, 5, 3) }, .n_in = 2 },
    { .in = { REAL(1, 5), REAL(2, 3, 5) }, .n_in = 2, .attrs = { .i = { [TRANS_B] = 1 } } },
    { .in = { REAL(2, 3, 5), REAL(1, 5) }, .n_in = 2 },
    { .in = { REAL(2, 5, 3), REAL(1, 5) }, .n_in = 2, .attrs = { .i = { [TRANS_A] = 1 } } },
    { .in = { { 2, { 3, 5 }, MOTH_FLOAT32, -1, 1, 1 }, { 2, { 5, 4 }, MOTH_FLOAT32, -1, 1, 2 } }, .n_in = 2 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(matmul) = {
    .name = "matmul",
    .doc = "Product of matrices over the last two dims (leading dims broadcast), or of a vector and a matrix.",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = matmul_attrs,
    .infer = matmul_infer,
    .rows = matmul_rows,
    .whole = matmul_whole,
    .gradient = matmul_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(matmul_cases),
};
