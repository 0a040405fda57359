/* Layers that make one tensor of several: element by element with broadcasting (of dims behind the batch; an input with
 * fewer dims is as if it had dims of 1 after the batch), one behind the other, or by a product.
 *
 * A step counts for the result where it counts for one of the inputs; inputs without a mask make all steps count.
 * In products, largest and smallest values the steps of an input that do not count take no part, as in Keras. */
#include "nn/layer_options.h"

static moth_status check_rows(moth_pass *pass, const moth_layer_io *io)
{
    for (int i = 1; i < io->n_in; i++) {
        if (io->in[i]->meta.shape[0] != io->in[0]->meta.shape[0]) {
            char a[128], b[128];
            return moth_fail(pass->ctx, MOTH_ERR_SHAPE, "all inputs must have the same number of rows, got %s and %s",
                             moth_meta_text(&io->in[0]->meta, a, sizeof a),
                             moth_meta_text(&io->in[i]->meta, b, sizeof b));
        }
    }
    return MOTH_OK;
}

/* A step counts where any mask has it; NULL where an input has none. */
static moth_tensor *any_mask(moth_pass *pass, const moth_layer_io *io)
{
    moth_tensor *all = io->mask[0];
    for (int i = 1; i < io->n_in && all; i++) {
        moth_tensor *mask = io->mask[i];
        all = mask ? MOTH_DO(pass->scope, maximum, NULL, all, mask) : NULL;
    }
    return all;
}

/* ---- element by element ---- */

/* Input i as float, with dims of 1 after the batch up to the given rank. */
static moth_tensor *widened(moth_pass *pass, moth_tensor *x, int rank)
{
    x = moth_emit_float(pass->scope, x);
    while (x && x->meta.rank < rank) {
        x = MOTH_DO(pass->scope, unsqueeze, &(moth_attrs){ .i = { 1 } }, x);
    }
    return x;
}

/* The mask of steps (batch, time), to be broadcast over x once that is widened to the rank; NULL without one. */
static moth_tensor *widened_mask(moth_pass *pass, moth_tensor *mask, const moth_tensor *x, int rank)
{
    if (!mask || !x || x->meta.rank < 2 || x->meta.shape[1] != mask->meta.shape[1]) {
        return NULL;
    }
    int64_t shape[MOTH_MAX_RANK];
    for (int d = 0; d < rank; d++) {
        shape[d] = 1;
    }
    shape[0] = mask->meta.shape[0];
    shape[rank - x->meta.rank + 1] = mask->meta.shape[1];
    return moth_emit_reshape(pass->scope, mask, rank, shape);
}

/* x, and the other where the mask leaves x out. */
static moth_tensor *filled(moth_pass *pass, moth_tensor *mask, moth_tensor *x, moth_tensor *other)
{
    return mask ? MOTH_DO(pass->scope, where, NULL, mask, x, other) : x;
}

/* Two operands of maximum or minimum: what does not count in one is taken from the other. *on: steps that count in y;
 * afterwards those that count in the result, NULL if all do. */
static void exchange_left_out(moth_pass *pass, moth_tensor **y, moth_tensor **on, moth_tensor **x, moth_tensor *mask)
{
    *x = filled(pass, mask, *x, *y);
    *y = filled(pass, *on, *y, *x);
    *on = *on && mask ? MOTH_DO(pass->scope, maximum, NULL, *on, mask) : NULL;
}

static moth_status merge(moth_pass *pass, moth_layer_io *io, moth_op_id op)
{
    int rank = 0;
    for (int i = 0; i < io->n_in; i++) {
        rank = io->in[i]->meta.rank > rank ? io->in[i]->meta.rank : rank;
    }
    MOTH_TRY(check_rows(pass, io));
    bool product = op == MOTH_OP_mul, choice = op == MOTH_OP_maximum || op == MOTH_OP_minimum;
    moth_tensor *y = widened(pass, io->in[0], rank), *on = widened_mask(pass, io->mask[0], io->in[0], rank);
    y = product ? filled(pass, on, y, moth_emit_constant(pass->scope, 1)) : y;
    for (int i = 1; i < io->n_in; i++) {
        moth_tensor *x = widened(pass, io->in[i], rank), *mask = widened_mask(pass, io->mask[i], io->in[i], rank);
        if (product) {
            x = filled(pass, mask, x, moth_emit_constant(pass->scope, 1));
        } else if (choice) {
            exchange_left_out(pass, &y, &on, &x, mask);
        }
        y = MOTH_EMIT(pass->scope, moth_op_of(pass->ctx, op), NULL, y, x);
    }
    io->out_mask = any_mask(pass, io);
    on = product ? widened_mask(pass, io->out_mask, y, rank) : NULL;
    io->out[0] = filled(pass, on, y, moth_emit_constant(pass->scope, 0));
    return pass->scope->status;
}

static moth_status average_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    (void)layer;
    MOTH_TRY(merge(pass, io, MOTH_OP_add));
    io->out[0] = moth_emit_scaled(pass->scope, io->out[0], 1.0 / io->n_in);
    return pass->scope->status;
}

#define MERGE(name_, op, most, doc_)                                                       \
    static moth_status name_##_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io) \
    {                                                                                      \
        (void)layer;                                                                       \
        return merge(pass, io, MOTH_OP_##op);                                              \
    }                                                                                      \
    const moth_layer_type moth_layer_##name_ = {                                           \
        .entry = { #name_, doc_, NULL },                                                   \
        .min_in = (most) > 0 ? (most) : 1,                                                 \
        .max_in = most,                                                                    \
        .min_rank = 1,                                                                     \
        .call = name_##_call,                                                              \
    };

MERGE(Add, add, -1, "sum of its inputs")
MERGE(Subtract, sub, 2, "first input minus the second")
MERGE(Multiply, mul, -1, "product of its inputs, element by element")
MERGE(Maximum, maximum, -1, "largest of its inputs, element by element")
MERGE(Minimum, minimum, -1, "smallest of its inputs, element by element")

const moth_layer_type moth_layer_Average = {
    .entry = { "Average", "mean of its inputs, element by element", NULL },
    .min_in = 1,
    .max_in = -1,
    .min_rank = 1,
    .call = average_call,
};

/* ---- Concatenate ---- */

/* Along the steps masks are laid one behind the other too; an input without one counts throughout. */
static moth_tensor *joined_mask(moth_pass *pass, const moth_layer_io *io, int dim)
{
    moth_tensor *all = NULL;
    bool any = false;
    for (int i = 0; i < io->n_in; i++) {
        any = any || io->mask[i];
    }
    for (int i = 0; i < io->n_in && any && dim == 1; i++) {
        moth_tensor *mask = io->mask[i];
        if (!mask) {
            moth_attrs one = { .i = { 2, 0, 1 } };
            moth_tensor *x = MOTH_DO(pass->scope, slice, &one, io->in[i]);
            mask = x ? moth_emit_reshape(pass->scope, x, 2, x->meta.shape) : NULL;
            mask = MOTH_DO(pass->scope, eq, NULL, mask, mask);
        }
        all = all ? MOTH_DO(pass->scope, cat, &(moth_attrs){ .i = { 1 } }, all, mask) : mask;
    }
    return dim == 1 ? all : any_mask(pass, io);
}

static moth_status concatenate_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    enum { MOST = 32 };
    int dim = 0, rank = io->in[0]->meta.rank;
    moth_tensor *in[MOST] = { NULL }, *out[MOTH_MAX_LAYER_OUTPUTS] = { NULL };
    MOTH_TRY(moth_layer_axis(pass->ctx, moth_config_int(layer->config, "axis"), rank, &dim));
    MOTH_TRY(check_rows(pass, io));
    for (int i = 0; i < io->n_in; i++) {
        bool fits = io->in[i]->meta.rank == rank;
        for (int d = 1; fits && d < rank; d++) {
            fits = d == dim || io->in[i]->meta.shape[d] == io->in[0]->meta.shape[d];
        }
        if (!fits) {
            char a[128], b[128];
            return moth_fail(
                pass->ctx, MOTH_ERR_SHAPE, "inputs must agree in all dimensions but axis %d, got %s and %s", dim,
                moth_meta_text(&io->in[0]->meta, a, sizeof a), moth_meta_text(&io->in[i]->meta, b, sizeof b));
        }
        in[i] = moth_emit_float(pass->scope, io->in[i]);
    }
    moth_attrs attrs = { .i = { dim } };
    if (pass->scope->status == MOTH_OK) {
        pass->scope->emit(pass->scope, moth_op_of(pass->ctx, MOTH_OP_cat), &attrs, io->n_in, in, out);
    }
    io->out[0] = out[0];
    io->out_mask = rank == 3 ? joined_mask(pass, io, dim) : any_mask(pass, io);
    return pass->scope->status;
}

static const moth_option concatenate_options[] = {
    { .name = "axis",
      .kind = MOTH_OPTION_INT,
      .fallback = "-1",
      .position = 1,
      .low = -MOTH_MAX_RANK,
      .high = MOTH_MAX_RANK,
      .doc = "dimension along which inputs follow each other, counted in a sample from 1 or from the end" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Concatenate = {
    .entry = { "Concatenate", "its inputs one behind the other", concatenate_options },
    .min_in = 1,
    .max_in = -1,
    .min_rank = 2,
    .call = concatenate_call,
};

/* ---- Dot ---- */

/* x of length 1 along a dim; lengths below 1e-7 count as that, as in Keras. */
static moth_tensor *unit_length(moth_pass *pass, moth_tensor *x, int dim)
{
    moth_attrs sum = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = dim, [MOTH_REDUCE_KEEPDIM] = 1 } };
    moth_tensor *squares = MOTH_DO(pass->scope, sum, &sum, MOTH_DO(pass->scope, square, NULL, x));
    squares = MOTH_DO(pass->scope, maximum, NULL, squares, moth_emit_constant(pass->scope, 1e-14));
    return MOTH_DO(pass->scope, div, NULL, x, MOTH_DO(pass->scope, sqrt, NULL, squares));
}

/* (batch, …) with `dim` moved to the last place (or, `front`, to the one behind the batch) as (batch, rest, dim) or
 * (batch, dim, rest). The sizes of the rest are added to shape. */
static moth_tensor *as_matrices(moth_pass *pass, moth_tensor *x, int dim, bool front, int64_t *shape, int *rank)
{
    if (!x) {
        return NULL;
    }
    int n = 1;
    int64_t rest = 1, size = x->meta.shape[dim];
    moth_attrs attrs = { .i = { x->meta.rank, 0 } };
    if (front) {
        attrs.i[1 + n++] = dim;
    }
    for (int d = 1; d < x->meta.rank; d++) {
        if (d != dim) {
            attrs.i[1 + n++] = d;
            shape[(*rank)++] = x->meta.shape[d];
            rest *= x->meta.shape[d];
        }
    }
    if (!front) {
        attrs.i[1 + n] = dim;
    }
    int64_t matrices[3] = { x->meta.shape[0], front ? size : rest, front ? rest : size };
    return moth_emit_reshape(pass->scope, MOTH_DO(pass->scope, permute, &attrs, x), 3, matrices);
}

static moth_status dot_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int64_t axes[2], shape[2 * MOTH_MAX_RANK] = { io->in[0]->meta.shape[0] };
    int dim[2], rank = 1;
    moth_tensor *in[2];
    moth_config_ints(layer->config, "axes", axes, 2);
    MOTH_TRY(check_rows(pass, io));
    for (int i = 0; i < 2; i++) {
        MOTH_TRY(moth_layer_axis(pass->ctx, axes[i], io->in[i]->meta.rank, &dim[i]));
        in[i] = moth_emit_float(pass->scope, io->in[i]);
        in[i] = moth_config_bool(layer->config, "normalize") ? unit_length(pass, in[i], dim[i]) : in[i];
    }
    if (io->in[0]->meta.shape[dim[0]] != io->in[1]->meta.shape[dim[1]] ||
        io->in[0]->meta.rank + io->in[1]->meta.rank - 3 > MOTH_MAX_RANK) {
        char a[128], b[128];
        return moth_fail(pass->ctx, MOTH_ERR_SHAPE, "axes %d and %d must have the same size, got %s and %s", dim[0],
                         dim[1], moth_meta_text(&io->in[0]->meta, a, sizeof a),
                         moth_meta_text(&io->in[1]->meta, b, sizeof b));
    }
    moth_tensor *a = as_matrices(pass, in[0], dim[0], false, shape, &rank);
    moth_tensor *b = as_matrices(pass, in[1], dim[1], true, shape, &rank);
    if (rank == 1) { /* of two vectors: one number, as a dim of 1 */
        shape[rank++] = 1;
    }
    io->out[0] = moth_emit_reshape(pass->scope, MOTH_DO(pass->scope, matmul, NULL, a, b), rank, shape);
    io->out_mask = NULL;
    return pass->scope->status;
}

static const moth_option dot_options[] = {
    { .name = "axes",
      .kind = MOTH_OPTION_INTS,
      .fallback = MOTH_REQUIRED,
      .position = 1,
      .low = -MOTH_MAX_RANK,
      .high = MOTH_MAX_RANK,
      .count = 2,
      .doc = "dimension of each input that is summed over, counted in a sample from 1 or from the end" },
    { .name = "normalize",
      .kind = MOTH_OPTION_BOOL,
      .fallback = "false",
      .position = 2,
      .doc = "of vectors of length 1: the cosine of their angle" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Dot = {
    .entry = { "Dot", "sum of products of two inputs over one dimension of each", dot_options },
    .min_in = 2,
    .max_in = 2,
    .min_rank = 2,
    .call = dot_call,
};
