/* Runs one op on concrete tensors: cuts it by shape, hands the pieces to the pool, turns faults into errors. */
#include <string.h>

#include "core/threads.h"
#include "graph/internal.h"

int64_t moth_call_rows(const moth_call *call)
{
    const moth_arg *arg = call->n_out ? &call->out[0] : &call->in[0];
    return arg->rank ? arg->shape[0] : 1;
}

int64_t moth_call_row_elements(const moth_call *call)
{
    const moth_arg *arg = call->n_out ? &call->out[0] : &call->in[0];
    int64_t n = 1;
    for (int d = 1; d < arg->rank; d++) {
        n *= arg->shape[d];
    }
    return n;
}

void moth_arg_of(moth_arg *arg, const moth_tensor *t)
{
    if (!t) {
        *arg = (moth_arg){ .data = NULL };
        return;
    }
    arg->data = moth_tensor_data(t);
    arg->dtype = t->meta.dtype;
    arg->rank = t->meta.rank;
    memcpy(arg->shape, t->meta.shape, sizeof arg->shape);
    memcpy(arg->stride, t->meta.stride, sizeof arg->stride);
}

typedef struct job_lane {
    moth_worker worker;
    int64_t fault_item; /* -1: none */
} job_lane;

typedef struct job {
    moth_call *call;
    int phase; /* of a phased kernel */
    int64_t rows, slice;
    job_lane *lane; /* one for each thread */
} job;

static void run_item(void *arg, int64_t item, int worker)
{
    job *j = arg;
    const moth_op *op = j->call->op;
    bool good;
    if (j->lane[worker].fault_item >= 0) {
        return; /* items come in rising order: a later fault would only overwrite the text of the first */
    }
    if (op->rows) {
        int64_t r0 = item * j->slice;
        int64_t r1 = r0 + j->slice < j->rows ? r0 + j->slice : j->rows;
        good = op->rows(j->call, r0, r1, &j->lane[worker].worker);
    } else {
        good = op->piece(j->call, j->phase, item, &j->lane[worker].worker);
    }
    if (!good) {
        j->lane[worker].fault_item = item;
    }
}

/* The fault of the lowest item, so that the message does not depend on the threads. */
static moth_status report_fault(moth_ctx *ctx, const job *j)
{
    int found = -1;
    for (int w = 0; w < ctx->threads; w++) {
        if (j->lane[w].fault_item >= 0 && (found < 0 || j->lane[w].fault_item < j->lane[found].fault_item)) {
            found = w;
        }
    }
    if (found < 0) {
        return MOTH_OK;
    }
    return moth_fail(ctx, MOTH_ERR_INDEX, "%s: %s", j->call->op->name, j->lane[found].worker.fault);
}

static moth_status run_phases(moth_ctx *ctx, job *j)
{
    const moth_op *op = j->call->op;
    if (op->rows) {
        j->rows = moth_call_rows(j->call);
        j->slice = moth_slice_rows(j->rows, moth_call_row_elements(j->call));
        MOTH_TRY(moth_parallel(ctx, (j->rows + j->slice - 1) / j->slice, run_item, j));
        return report_fault(ctx, j);
    }
    for (j->phase = 0; j->phase < op->n_phases; j->phase++) {
        MOTH_TRY(moth_parallel(ctx, op->pieces(j->call, j->phase), run_item, j));
        MOTH_TRY(report_fault(ctx, j));
    }
    return MOTH_OK;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

moth_status moth_call_run(moth_ctx *ctx, moth_call *call)
{
    const moth_op *op = call->op;
    job_lane lanes[MOTH_MAX_THREADS];
    job j = { .call = call, .lane = lanes };
    size_t shared = op->shared_scratch ? rounded(op->shared_scratch(call)) : 0;
    size_t lane = op->worker_scratch ? rounded(op->worker_scratch(call)) : 0;
    char *scratch = NULL;
    if (shared + lane > 0) {
        size_t bytes = shared + lane * (size_t)ctx->threads;
        scratch = moth_malloc(bytes);
        if (!scratch) {
            return moth_fail_memory(ctx, (int64_t)bytes);
        }
    }
    call->shared = scratch;
    for (int w = 0; w < ctx->threads; w++) {
        j.lane[w].worker.scratch = lane ? scratch + shared + (size_t)w * lane : NULL;
        j.lane[w].fault_item = -1;
    }
    moth_status status = run_phases(ctx, &j);
    moth_free(scratch);
    return status;
}
