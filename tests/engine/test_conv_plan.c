/* A small net of convolution, normalization and pooling in a plan: the same bits as eagerly, for every number of rows
 * up to the plan's capacity. */
#include "test.h"

#include "autograd/autograd.h"
#include "cases.h"
#include "plan/plan.h"

static moth_ctx *ctx;

enum { NET_INPUTS = 6, NET_PARAMETERS = 4, NET_RESULTS = NET_PARAMETERS + 1 };

/* x, w, b, gamma, beta, and the gradient of the result */
static const moth_case net = { .in = { MOTH_REAL(4, 70, 9, 8, 2), MOTH_REAL(4, 3, 3, 2, 5), MOTH_REAL(1, 5),
                                       MOTH_REAL(1, 5), MOTH_REAL(1, 5), MOTH_REAL(4, 70, 3, 3, 5) },
                               .n_in = NET_INPUTS };

/* y = layer_norm(max_pool2d(batch_norm(conv2d(x)))) and its gradients to w, b, gamma, beta. */
static moth_status run_net(moth_tensor *const *in, moth_tensor **results)
{
    const moth_attrs pool = { .i = { 2, 2, 2 } }, epsilon = { .f = { 1e-3 } };
    moth_tensor *conv = NULL, *norm = NULL, *max = NULL;
    moth_status status = moth_apply1(ctx, MOTH_OP_conv2d, NULL, 3, in, &conv);
    if (status == MOTH_OK) {
        status = moth_apply1(ctx, MOTH_OP_batch_norm, &epsilon, 3, (moth_tensor *[]){ conv, in[3], in[4] }, &norm);
    }
    if (status == MOTH_OK) {
        status = moth_apply1(ctx, MOTH_OP_max_pool2d, &pool, 1, &norm, &max);
    }
    if (status == MOTH_OK) {
        status = moth_apply1(ctx, MOTH_OP_layer_norm, &epsilon, 1, &max, &results[0]);
    }
    if (status == MOTH_OK) {
        status = moth_gradients(ctx, 1, results, &in[NET_INPUTS - 1], NET_PARAMETERS, in + 1, results + 1);
    }
    release_all(3, (moth_tensor *[]){ conv, norm, max });
    return status;
}

/* The first rows of the two inputs that have rows; the rest as it is. */
static void first_rows(moth_tensor *const *in, int64_t rows, moth_tensor **out)
{
    for (int k = 0; k < NET_INPUTS; k++) {
        moth_meta meta = in[k]->meta;
        if (meta.rank == 4 && meta.shape[0] > rows && k != 1) {
            meta.shape[0] = rows;
            CHECK(moth_tensor_handle(ctx, &meta, in[k]->storage, &out[k]) == MOTH_OK);
        } else {
            out[k] = moth_tensor_retain(in[k]);
        }
    }
}

static void compare_runs(moth_plan *plan, moth_tensor *const *in, int64_t rows)
{
    moth_tensor *part[NET_INPUTS], *want[NET_RESULTS] = { NULL };
    first_rows(in, rows, part);
    CHECK(run_net(part, want) == MOTH_OK);
    CHECK(moth_plan_run(ctx, plan, rows, (moth_tensor *[]){ part[0], part[NET_INPUTS - 1] }, &(moth_run){ 0 }) ==
          MOTH_OK);
    for (int k = 0; k < NET_RESULTS; k++) {
        const moth_tensor *got = moth_plan_output(plan, k);
        bool same = want[k] && moth_meta_same_shape(&got->meta, &want[k]->meta);
        CHECK_THAT(same && memcmp(moth_tensor_data(got), moth_tensor_data(want[k]),
                                  (size_t)moth_tensor_count(got) * sizeof(float)) == 0,
                   "result %d of a plan differs from the eager one with %d rows", k + 1, (int)rows);
    }
    release_all(NET_INPUTS, part);
    release_all(NET_RESULTS, want);
}

int main(void)
{
    moth_tensor *in[NET_INPUTS], *traced[NET_INPUTS], *results[NET_RESULTS] = { NULL };
    moth_graph graph;
    moth_arena arena = { 0 };
    moth_plan *plan = NULL;
    ctx = moth_ctx_new();
    case_inputs(ctx, &net, 1, in);
    for (int k = 0; k < NET_INPUTS; k++) {
        in[k]->requires_grad = k >= 1 && k <= NET_PARAMETERS;
        traced[k] = in[k];
    }
    moth_trace_begin(ctx, &graph);
    for (int k = 0; k < NET_INPUTS; k += NET_INPUTS - 1) {
        const int64_t *s = net.in[k].shape;
        CHECK(moth_placeholder(ctx, MOTH_FLOAT32, 4, (int64_t[]){ -1, s[1], s[2], s[3] }, &traced[k]) == MOTH_OK);
    }
    CHECK(run_net(traced, results) == MOTH_OK);
    moth_trace_end(ctx, &graph);
    moth_plan_spec spec = { .n_inputs = 2,
                            .inputs = (moth_tensor *[]){ traced[0], traced[NET_INPUTS - 1] },
                            .n_outputs = NET_RESULTS,
                            .outputs = results,
                            .capacity = 70 };
    CHECK_THAT(moth_plan_new(ctx, &spec, &arena, &plan) == MOTH_OK, "%s", moth_error(ctx));
    for (int64_t rows = 70; plan && rows > 0; rows = rows / 2 - 1) { /* 70, 34, 16, 7, 2 */
        compare_runs(plan, in, rows);
    }
    moth_plan_free(plan);
    moth_arena_free(&arena);
    moth_graph_clear(&graph);
    release_all(NET_RESULTS, results);
    release_all(2, (moth_tensor *[]){ traced[0], traced[NET_INPUTS - 1] });
    release_all(NET_INPUTS, in);
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
