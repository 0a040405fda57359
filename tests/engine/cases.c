#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

enum { CONTIGUOUS, TRANSPOSED, SLICED };

double case_random(uint64_t seed, int64_t i)
{
    uint32_t words[4];
    moth_random_block(seed, 7, 0, (uint64_t)i, words);
    return (words[0] + words[1] * 0x1p-32) * 0x1p-32;
}

/* Memory of a case input: the shape to allocate, and the view of it that has the shape of the case. */
static void lay_out(const moth_case *c, int k, moth_meta *memory, moth_meta *view)
{
    int rank = c->in[k].rank, layout = c->in[k].layout;
    *memory = (moth_meta){ .dtype = c->in[k].dtype, .rank = rank };
    for (int d = 0; d < rank; d++) {
        memory->shape[d] = c->in[k].shape[d];
    }
    *view = *memory;
    if (layout == TRANSPOSED && rank >= 2) {
        memory->shape[rank - 1] = view->shape[rank - 2];
        memory->shape[rank - 2] = view->shape[rank - 1];
    }
    for (int d = 0; d < rank && layout == SLICED; d++) {
        memory->shape[d] = 2 * view->shape[d] + 1;
    }
    moth_meta_set_contiguous(memory);
    view->offset = 0;
    for (int d = 0; d < rank; d++) {
        view->stride[d] = layout == SLICED ? 2 * memory->stride[d] : memory->stride[d];
        view->offset += layout == SLICED ? memory->stride[d] : 0;
    }
    if (layout == TRANSPOSED && rank >= 2) {
        view->stride[rank - 1] = memory->stride[rank - 2];
        view->stride[rank - 2] = memory->stride[rank - 1];
    }
}

moth_tensor *case_input(moth_ctx *ctx, const moth_case *c, int k, uint64_t seed)
{
    moth_meta memory, view;
    moth_tensor *base, *t;
    double low = c->in[k].low, high = c->in[k].high;
    lay_out(c, k, &memory, &view);
    if (moth_tensor_zeros(ctx, memory.dtype, memory.rank, memory.shape, &base) != MOTH_OK ||
        moth_tensor_handle(ctx, &view, base->storage, &t) != MOTH_OK) {
        fprintf(stderr, "no memory\n");
        abort();
    }
    moth_tensor_release(base);
    int64_t n = moth_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        double r = case_random(seed * 16 + (uint64_t)k, i);
        moth_tensor_set_element(
            t, i, memory.dtype == MOTH_FLOAT32 ? low + r * (high - low) : floor(low + r * (high - low + 1)));
    }
    return t;
}

void case_inputs(moth_ctx *ctx, const moth_case *c, uint64_t seed, moth_tensor **in)
{
    for (int k = 0; k < c->n_in; k++) {
        in[k] = c->in[k].rank < 0 ? NULL : case_input(ctx, c, k, seed);
    }
}

void release_all(int n, moth_tensor **t)
{
    for (int k = 0; k < n; k++) {
        moth_tensor_release(t[k]);
        t[k] = NULL;
    }
}

int visible_outputs(const moth_op *op)
{
    return op->n_visible ? op->n_visible : op->n_out;
}

moth_case case_enlarged(const moth_case *c)
{
    moth_case large = *c;
    int rank = 0;
    for (int k = 0; k < c->n_in; k++) {
        rank = c->in[k].rank > rank ? c->in[k].rank : rank;
    }
    int64_t factor = rank <= 1 ? 997 : (rank == 2 ? 43 : (rank == 3 ? 11 : 3));
    for (int k = 0; k < c->n_in; k++) {
        for (int d = 0; d < c->in[k].rank; d++) {
            large.in[k].shape[d] = c->in[k].shape[d] == 1 ? 1 : c->in[k].shape[d] * factor + 2;
        }
    }
    return large;
}

const moth_case *cases_of(const moth_op *op)
{
    for (int id = 0; id < MOTH_OP_COUNT; id++) {
        if (strcmp(moth_ops_portable[id]->name, op->name) == 0) {
            return moth_ops_portable[id]->cases;
        }
    }
    return NULL;
}

void check_each_op(int argc, char **argv, void (*check)(moth_ctx *ctx, const moth_op *op))
{
    moth_ctx *ctx = moth_ctx_new();
    for (int id = 0; id < MOTH_OP_COUNT; id++) {
        const moth_op *op = moth_op_of(ctx, (moth_op_id)id);
        if (argc < 2 || strcmp(argv[1], op->name) == 0) {
            check(ctx, op);
        }
    }
    moth_ctx_free(ctx);
}
