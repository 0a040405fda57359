/* Every op of the table, in the double build: analytic gradients against central differences to 1e-6. The loss is the
 * dot product of the results with fixed random weights. An op with neither cases nor a reason against them fails. */
#include "test.h"

#include "autograd/autograd.h"
#include "cases.h"

static const double STEP = 1e-5, TOLERANCE = 1e-6;

/* One op under one case: its inputs and weights for each float output. */
typedef struct trial {
    moth_ctx *ctx;
    const moth_op *op;
    const moth_case *c;
    int number; /* of the case, for messages */
    moth_tensor *in[MAX_CASE_INPUTS];
} trial;

static double weight(int use, int output, int64_t i)
{
    return 2 * case_random(1000u + 10u * (uint64_t)use + (uint64_t)output, i) - 1;
}

static moth_status run(const trial *t, moth_tensor **y)
{
    t->ctx->seed = 1671; /* the same draws each time */
    t->ctx->eager_step = 0;
    return moth_apply(t->ctx, t->op, &t->c->attrs, t->c->n_in, t->in, y, false);
}

/* <weights, results>, with the weights of both uses. NaN when the op fails. */
static double loss_of(const trial *t)
{
    moth_tensor *y[MAX_CASE_OUTPUTS];
    if (run(t, y) != MOTH_OK) {
        return NAN;
    }
    double loss = 0;
    for (int k = 0; k < visible_outputs(t->op); k++) {
        for (int64_t i = 0; y[k]->meta.dtype == MOTH_FLOAT32 && i < moth_tensor_count(y[k]); i++) {
            loss += (weight(0, k, i) + weight(1, k, i)) * moth_tensor_element(y[k], i);
        }
    }
    release_all(visible_outputs(t->op), y);
    return loss;
}

static double numeric(const trial *t, moth_tensor *x, int64_t i)
{
    double value = moth_tensor_element(x, i);
    moth_tensor_set_element(x, i, value + STEP);
    double above = loss_of(t);
    moth_tensor_set_element(x, i, value - STEP);
    double below = loss_of(t);
    moth_tensor_set_element(x, i, value);
    return (above - below) / (2 * STEP);
}

/* Applies the op twice to the same inputs: gradients of both uses must add up. dx[k] is NULL where there is none. */
static moth_status analytic(const trial *t, moth_tensor **dx)
{
    moth_tensor *y[2 * MAX_CASE_OUTPUTS], *seeds[2 * MAX_CASE_OUTPUTS], *all[2 * MAX_CASE_OUTPUTS];
    int n = visible_outputs(t->op), n_y = 0;
    moth_status status = run(t, all);
    status = status == MOTH_OK ? run(t, all + n) : status;
    if (status != MOTH_OK) {
        return status;
    }
    for (int k = 0; k < 2 * n; k++) {
        if (all[k]->meta.dtype != MOTH_FLOAT32) {
            continue;
        }
        y[n_y] = all[k];
        status = moth_tensor_new(t->ctx, MOTH_FLOAT32, all[k]->meta.rank, all[k]->meta.shape, &seeds[n_y]);
        for (int64_t i = 0; status == MOTH_OK && i < moth_tensor_count(all[k]); i++) {
            moth_tensor_set_element(seeds[n_y], i, weight(k / n, k % n, i));
        }
        n_y++;
    }
    moth_tensor *x[MAX_CASE_INPUTS];
    int n_x = 0, place[MAX_CASE_INPUTS];
    for (int k = 0; k < t->c->n_in; k++) {
        dx[k] = NULL;
        if (t->in[k] && t->in[k]->requires_grad) {
            place[n_x] = k;
            x[n_x++] = t->in[k];
        }
    }
    moth_tensor *found[MAX_CASE_INPUTS] = { 0 };
    status = moth_gradients(t->ctx, n_y, y, seeds, n_x, x, found);
    for (int j = 0; j < n_x; j++) {
        dx[place[j]] = found[j];
    }
    release_all(2 * n, all);
    release_all(n_y, seeds);
    return status;
}

static void compare(const trial *t, int k, const moth_tensor *dx)
{
    moth_tensor *x = t->in[k];
    double worst = 0, worst_numeric = 0, worst_analytic = 0;
    CHECK_THAT(!dx || moth_meta_same_shape(&dx->meta, &x->meta), "%s case %d: gradient %d has another shape",
               t->op->name, t->number, k + 1);
    for (int64_t i = 0; i < moth_tensor_count(x); i++) {
        double a = dx ? moth_tensor_element(dx, i) : 0, b = numeric(t, x, i);
        double scale = fmax(fmax(fabs(a), fabs(b)), 1e-2);
        double error = a == a && b == b ? fabs(a - b) / scale : INFINITY;
        if (error > worst) {
            worst = error;
            worst_numeric = b;
            worst_analytic = a;
        }
    }
    CHECK_THAT(worst <= TOLERANCE, "%s case %d, input %d: gradient %.12g, by differences %.12g", t->op->name, t->number,
               k + 1, worst_analytic, worst_numeric);
}

static void check_gradients(trial *t)
{
    moth_tensor *dx[MAX_CASE_INPUTS];
    moth_status status = analytic(t, dx);
    CHECK_THAT(status == MOTH_OK, "%s case %d: %s", t->op->name, t->number, moth_error(t->ctx));
    if (status != MOTH_OK) {
        return;
    }
    for (int k = 0; k < t->c->n_in; k++) {
        bool repeated = k > 0 && t->in[k] == t->in[k - 1];
        if (t->in[k] && t->in[k]->requires_grad && !repeated) {
            compare(t, k, dx[k]);
        }
    }
    release_all(t->c->n_in, dx);
}

static void check_case(moth_ctx *ctx, const moth_op *op, const moth_case *c, int number)
{
    trial t = { .ctx = ctx, .op = op, .c = c, .number = number };
    case_inputs(ctx, c, (uint64_t)number + 1, t.in);
    bool differentiable = false;
    for (int k = 0; k < c->n_in; k++) {
        if (t.in[k] && t.in[k]->meta.dtype == MOTH_FLOAT32) {
            t.in[k]->requires_grad = true;
            differentiable = true;
        }
    }
    if (differentiable) {
        check_gradients(&t);
    }
    /* the same tensor as both inputs of one application */
    if (c->n_in == 2 && t.in[0]->meta.dtype == MOTH_FLOAT32 && t.in[1] && t.in[1]->meta.dtype == MOTH_FLOAT32 &&
        moth_meta_same_shape(&t.in[0]->meta, &t.in[1]->meta) && t.in[0]->meta.rank != 0) {
        moth_tensor *second = t.in[1];
        t.in[1] = t.in[0];
        check_gradients(&t);
        t.in[1] = second;
    }
    release_all(c->n_in, t.in);
}

static void check_op(moth_ctx *ctx, const moth_op *op)
{
    CHECK_THAT(op->name && op->doc, "an op has no name or no doc");
    if (!op->gradient) {
        CHECK_THAT(op->nodiff, "%s: has neither a gradient nor a reason why not", op->name);
        return;
    }
    CHECK_THAT(op->cases && op->cases[0].n_in > 0, "%s: has a gradient but no cases", op->name);
    for (int k = 0; op->cases && op->cases[k].n_in > 0; k++) {
        check_case(ctx, op, &op->cases[k], k);
    }
}

int main(int argc, char **argv)
{
    check_each_op(argc, argv, check_op);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
