/* Every kernel variant that this processor runs against the portable one, over all cases of the op table and over
 * larger odd shapes made from them: results and gradients agree to 1e-5 sqrt(K) of the largest magnitude. And what the
 * contract promises of row kernels: bits do not depend on how rows are cut, and rows of an input that is not `whole`
 * are all that a row of the output needs. */
#include "test.h"

#include "autograd/autograd.h"
#include "cases.h"
#include "core/cpu.h"
#include "graph/internal.h"

enum { MAX_RESULTS = MAX_CASE_OUTPUTS + 2 * MAX_CASE_INPUTS };

/* What an application left behind: outputs, gradients of the float inputs, inputs that the op changed. */
typedef struct results {
    moth_status status;
    int n;
    moth_tensor *t[MAX_RESULTS]; /* may hold NULL */
} results;

static moth_status gradients_of(moth_ctx *ctx, int n_out, moth_tensor **out, int n_in, moth_tensor **in, results *r)
{
    moth_tensor *y[MAX_CASE_OUTPUTS], *seeds[MAX_CASE_OUTPUTS], *x[MAX_CASE_INPUTS];
    int n_y = 0, n_x = 0;
    moth_status status = MOTH_OK;
    for (int k = 0; k < n_out; k++) {
        if (out[k]->meta.dtype != MOTH_FLOAT32) {
            continue;
        }
        MOTH_TRY(moth_tensor_new(ctx, MOTH_FLOAT32, out[k]->meta.rank, out[k]->meta.shape, &seeds[n_y]));
        for (int64_t i = 0; i < moth_tensor_count(out[k]); i++) {
            moth_tensor_set_element(seeds[n_y], i, 2 * case_random(99, i) - 1);
        }
        y[n_y++] = out[k];
    }
    for (int k = 0; k < n_in; k++) {
        if (in[k] && in[k]->requires_grad) {
            x[n_x++] = in[k];
        }
    }
    if (n_x > 0 && n_y > 0) {
        status = moth_gradients(ctx, n_y, y, seeds, n_x, x, r->t + r->n);
        r->n += status == MOTH_OK ? n_x : 0;
    }
    release_all(n_y, seeds);
    return status;
}

static results run(const char *variant, const char *name, const moth_case *c)
{
    results r = { .n = 0 };
    moth_ctx *ctx = moth_ctx_new();
    moth_ctx_set_cpu(ctx, variant);
    moth_seed(ctx, 1671);
    const moth_op *op = moth_op_named(ctx, name);
    moth_tensor *in[MAX_CASE_INPUTS];
    case_inputs(ctx, c, 5, in);
    for (int k = 0; k < c->n_in; k++) {
        if (in[k] && in[k]->meta.dtype == MOTH_FLOAT32 && op->gradient) {
            in[k]->requires_grad = true;
        }
    }
    r.status = moth_apply(ctx, op, &c->attrs, c->n_in, in, r.t, true);
    if (r.status == MOTH_OK) {
        r.n = op->n_out;
        r.status = op->gradient ? gradients_of(ctx, visible_outputs(op), r.t, c->n_in, in, &r) : MOTH_OK;
    }
    for (int k = 0; k < c->n_in; k++) {
        if (op->mutates >> k & 1 && in[k]) {
            r.t[r.n++] = moth_tensor_retain(in[k]);
        }
    }
    release_all(c->n_in, in);
    moth_ctx_free(ctx);
    return r;
}

/* Elements that one result is made of, at most: what sqrt(K) grows with. */
static double terms(const moth_case *c, const moth_tensor *result)
{
    double most = 1, n = 1;
    for (int k = 0; k < c->n_in; k++) {
        double elements = 1;
        for (int d = 0; d < c->in[k].rank; d++) {
            elements *= (double)c->in[k].shape[d];
        }
        most = fmax(most, elements);
    }
    n = fmax(n, (double)moth_tensor_count(result));
    return fmax(1, most / n);
}

static double largest(const moth_tensor *t)
{
    double most = 0;
    for (int64_t i = 0; i < moth_tensor_count(t); i++) {
        double v = fabs(moth_tensor_element(t, i));
        most = v > most && v < INFINITY ? v : most;
    }
    return most;
}

static void compare(const moth_op *op, const moth_case *c, int number, const char *variant, int k,
                    const moth_tensor *want, const moth_tensor *got)
{
    double relative = op->tolerance > 0 ? op->tolerance : 1e-5 * sqrt(terms(c, want));
    double allowed = relative * largest(want), worst = 0;
    for (int64_t i = 0; i < moth_tensor_count(want); i++) {
        double a = moth_tensor_element(want, i), b = moth_tensor_element(got, i);
        double error = a == b || (a != a && b != b) ? 0 : fabs(a - b);
        worst = error > worst || error != error ? error : worst;
    }
    CHECK_THAT(worst <= allowed, "%s case %d, result %d: %s is off by %g, allowed %g", op->name, number, k + 1, variant,
               worst, allowed);
}

static void compare_variants(const moth_op *op, const moth_case *c, int number, bool required)
{
    results want = run("portable", op->name, c);
    CHECK_THAT(want.status == MOTH_OK || !required, "%s case %d fails", op->name, number);
    for (int cpu = MOTH_CPU_PORTABLE + 1; cpu < MOTH_CPU_COUNT && want.status == MOTH_OK; cpu++) {
        const char *variant = moth_cpu_name((moth_cpu)cpu);
        if (!moth_cpu_runs((moth_cpu)cpu)) {
            continue;
        }
        results got = run(variant, op->name, c);
        CHECK_THAT(got.status == MOTH_OK && got.n == want.n, "%s case %d fails in %s", op->name, number, variant);
        for (int k = 0; k < want.n && got.n == want.n; k++) {
            if (want.t[k] && got.t[k]) {
                compare(op, c, number, variant, k, want.t[k], got.t[k]);
            }
        }
        release_all(got.n, got.t);
    }
    release_all(want.n, want.t);
}

/* ---- rows ---- */

/* Outputs of rows r0 .. r1-1, straight from the kernel; the rest keeps what was there. */
static bool run_rows(moth_ctx *ctx, const moth_op *op, const moth_attrs *attrs, int n_in, moth_tensor **in,
                     moth_tensor **out, int64_t r0, int64_t r1)
{
    moth_arg in_args[MAX_CASE_INPUTS], out_args[MAX_CASE_OUTPUTS];
    moth_worker worker = { .scratch = NULL };
    moth_run run = { .seed = 1671, .step = 0 };
    for (int k = 0; k < n_in; k++) {
        moth_arg_of(&in_args[k], in[k]);
    }
    for (int k = 0; k < op->n_out; k++) {
        moth_arg_of(&out_args[k], out[k]);
    }
    moth_call call = {
        .op = op, .attrs = attrs, .n_in = n_in, .n_out = op->n_out, .in = in_args, .out = out_args, .run = &run
    };
    size_t bytes = op->worker_scratch ? op->worker_scratch(&call) : 0;
    worker.scratch = moth_malloc(bytes);
    (void)ctx;
    bool good = op->rows(&call, r0, r1, &worker);
    moth_free(worker.scratch);
    return good;
}

static bool same_rows(const moth_tensor *a, const moth_tensor *b, int64_t r0, int64_t r1)
{
    int64_t rows = a->meta.rank ? a->meta.shape[0] : 1, row = rows ? moth_tensor_count(a) / rows : 0;
    size_t size = (size_t)row * moth_dtype_size(a->meta.dtype);
    return memcmp(moth_tensor_data(a) + (size_t)r0 * size, moth_tensor_data(b) + (size_t)r0 * size,
                  (size_t)(r1 - r0) * size) == 0;
}

/* Other values in all rows but r0 .. r1-1. Integers become 0, which is a legal position everywhere. */
static void spoil_rows(moth_tensor *t, int64_t r0, int64_t r1)
{
    int64_t rows = t->meta.shape[0], row = moth_tensor_count(t) / rows;
    for (int64_t i = 0; i < moth_tensor_count(t); i++) {
        if (i / row < r0 || i / row >= r1) {
            moth_tensor_set_element(t, i, t->meta.dtype == MOTH_FLOAT32 ? NAN : 0);
        }
    }
}

static bool is_whole(const moth_op *op, const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out,
                     int i)
{
    if (op->whole) {
        return op->whole(attrs, in, out, i);
    }
    return in[i]->rank != out->rank || out->rank == 0 || in[i]->shape[0] != out->shape[0];
}

/* Inputs as the kernel wants them, and the normalized attributes. */
static moth_status prepare(moth_ctx *ctx, const moth_op *op, const moth_case *c, moth_attrs *attrs, moth_tensor **in,
                           moth_tensor **out)
{
    moth_meta metas[MAX_CASE_OUTPUTS] = { { 0 } };
    const moth_meta *in_metas[MAX_CASE_INPUTS];
    static const moth_meta absent;
    for (int k = 0; k < c->n_in; k++) {
        moth_tensor *given = in[k];
        if (given && !(op->strided_in >> k & 1)) {
            MOTH_TRY(moth_tensor_contiguous_copy(ctx, given, &in[k]));
            moth_tensor_release(given);
        }
        in_metas[k] = in[k] ? &in[k]->meta : &absent;
    }
    moth_infer q = {
        .ctx = ctx, .op = op, .attrs = attrs, .n_in = c->n_in, .in = in_metas, .out = metas, .n_out = op->n_out
    };
    MOTH_TRY(op->infer(&q));
    for (int k = 0; k < op->n_out; k++) {
        MOTH_TRY(moth_tensor_zeros(ctx, metas[k].dtype, metas[k].rank, metas[k].shape, &out[k]));
    }
    return MOTH_OK;
}

static void check_rows(moth_ctx *ctx, const moth_op *op, const moth_case *c, int number)
{
    moth_tensor *in[MAX_CASE_INPUTS], *want[MAX_CASE_OUTPUTS] = { 0 }, *got[MAX_CASE_OUTPUTS] = { 0 };
    moth_attrs attrs = c->attrs, again = c->attrs;
    case_inputs(ctx, c, 5, in);
    if (prepare(ctx, op, c, &attrs, in, want) == MOTH_OK && prepare(ctx, op, c, &again, in, got) == MOTH_OK) {
        const moth_meta *metas[MAX_CASE_INPUTS], *out = &want[0]->meta;
        int64_t rows = out->rank ? out->shape[0] : 1;
        bool same = run_rows(ctx, op, &attrs, c->n_in, in, want, 0, rows);
        for (int64_t r = 0; r < rows; r += MOTH_ROW_TILE) {
            int64_t end = r + MOTH_ROW_TILE < rows ? r + MOTH_ROW_TILE : rows;
            same = same && run_rows(ctx, op, &attrs, c->n_in, in, got, r, end);
        }
        for (int k = 0; k < op->n_out; k++) {
            same = same && same_rows(want[k], got[k], 0, rows);
        }
        CHECK_THAT(same, "%s case %d: bits depend on how rows are cut", op->name, number);
        /* rows 64 .. 127 (or the last ones) with all other rows spoiled */
        int64_t r0 = rows > MOTH_ROW_TILE ? MOTH_ROW_TILE : 0;
        int64_t r1 = r0 + MOTH_ROW_TILE < rows ? r0 + MOTH_ROW_TILE : rows;
        for (int k = 0; k < c->n_in; k++) {
            metas[k] = in[k] ? &in[k]->meta : NULL;
        }
        for (int k = 0; k < c->n_in; k++) {
            if (in[k] && out->rank > 0 && !is_whole(op, &attrs, metas, out, k)) {
                CHECK_THAT(in[k]->meta.rank > 0 && in[k]->meta.shape[0] == rows,
                           "%s case %d: input %d is not whole but has other rows", op->name, number, k + 1);
                spoil_rows(in[k], r0, r1);
            }
        }
        same = run_rows(ctx, op, &attrs, c->n_in, in, got, r0, r1);
        for (int k = 0; k < op->n_out; k++) {
            same = same && same_rows(want[k], got[k], r0, r1);
        }
        CHECK_THAT(same, "%s case %d: a row depends on other rows of an input that is not whole", op->name, number);
    }
    release_all(c->n_in, in);
    release_all(op->n_out, want);
    release_all(op->n_out, got);
}

/* ---- threads ---- */

static void check_threads(const moth_op *op, const moth_case *c, int number)
{
    moth_ctx *ctx = moth_ctx_new();
    moth_tensor *out[2][MAX_CASE_OUTPUTS];
    bool good = true;
    for (int pass = 0; pass < 2 && good; pass++) {
        moth_tensor *in[MAX_CASE_INPUTS];
        moth_seed(ctx, 1671);
        moth_ctx_set_threads(ctx, pass ? 4 : 1);
        case_inputs(ctx, c, 5, in);
        good = moth_apply(ctx, op, &c->attrs, c->n_in, in, out[pass], true) == MOTH_OK;
        release_all(c->n_in, in);
    }
    for (int k = 0; k < op->n_out && good; k++) {
        bool view = !moth_meta_contiguous(&out[0][k]->meta);
        CHECK_THAT(view || same_rows(out[0][k], out[1][k], 0, out[0][k]->meta.rank ? out[0][k]->meta.shape[0] : 1),
                   "%s case %d: bits depend on the number of threads", op->name, number);
        moth_tensor_release(out[0][k]);
        moth_tensor_release(out[1][k]);
    }
    moth_ctx_free(ctx);
}

/* ---- cases ---- */

static void check_op(moth_ctx *ctx, const moth_op *op)
{
    const moth_case *cases = cases_of(op);
    for (int k = 0; cases && cases[k].n_in > 0; k++) {
        moth_case large = case_enlarged(&cases[k]);
        compare_variants(op, &cases[k], k, true);
        compare_variants(op, &large, k, false);
        check_threads(op, &large, k);
        if (op->rows && op->n_out > 0 && !op->mutates) {
            check_rows(ctx, op, &cases[k], k);
            check_rows(ctx, op, &large, k);
        }
    }
}

int main(int argc, char **argv)
{
    check_each_op(argc, argv, check_op);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
