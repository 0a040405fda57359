/* Layers that change the shape of a sample only. Shapes exclude the batch; axes of a sample count from 1. */
#include <string.h>

#include "nn/layer_options.h"

static moth_status to_shape(moth_pass *pass, moth_layer_io *io, int rank, const int64_t *shape)
{
    io->out[0] = moth_emit_reshape(pass->scope, io->in[0], rank, shape);
    io->out_mask = NULL;
    return pass->scope->status;
}

/* ---- Flatten ---- */

/* Row-major over the channels-last order. */
static moth_status flatten_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    moth_tensor *x = io->in[0];
    if (strcmp(moth_config_string(layer->config, "data_format"), "channels_first") == 0 && x->meta.rank > 2) {
        moth_attrs attrs = { .i = { x->meta.rank, 0 } };
        for (int d = 1; d < x->meta.rank; d++) {
            attrs.i[1 + d] = d + 1 < x->meta.rank ? d + 1 : 1;
        }
        x = MOTH_DO(pass->scope, permute, &attrs, x);
        MOTH_TRY(pass->scope->status);
    }
    int64_t n = 1;
    for (int d = 1; d < x->meta.rank; d++) {
        n *= x->meta.shape[d];
    }
    io->out[0] = moth_emit_reshape(pass->scope, x, 2, (int64_t[]){ x->meta.shape[0], n });
    io->out_mask = NULL;
    return pass->scope->status;
}

static const moth_option flatten_options[] = {
    { .name = "data_format",
      .kind = MOTH_OPTION_STRING,
      .fallback = "channels_last",
      .position = 1,
      .choices = "channels_last channels_first" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Flatten = {
    .entry = { "Flatten", "one row of all values of a sample", flatten_options },
    .min_rank = 1,
    .call = flatten_call,
};

/* ---- Reshape ---- */

static moth_status reshape_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int64_t shape[MOTH_MAX_RANK] = { io->in[0]->meta.shape[0] }, have = 1, known = 1;
    int n = moth_config_ints(layer->config, "target_shape", shape + 1, MOTH_MAX_RANK - 1), open = -1;
    if (n > MOTH_MAX_RANK - 1) {
        return moth_fail(pass->ctx, MOTH_ERR_SHAPE, "a sample has at most %d dimensions, got %d", MOTH_MAX_RANK - 1, n);
    }
    for (int d = 1; d < io->in[0]->meta.rank; d++) {
        have *= io->in[0]->meta.shape[d];
    }
    for (int d = 1; d <= n; d++) {
        if (shape[d] == -1 && open < 0) {
            open = d;
        } else {
            known *= shape[d];
        }
    }
    if (open > 0 && known > 0 && have % known == 0) {
        shape[open] = have / known;
        known = have;
    }
    if (known != have) {
        char text[128];
        return moth_fail(pass->ctx, MOTH_ERR_SHAPE, "target_shape has %lld elements, a sample of %s has %lld",
                         (long long)known, moth_meta_text(&io->in[0]->meta, text, sizeof text), (long long)have);
    }
    return to_shape(pass, io, n + 1, shape);
}

static const moth_option reshape_options[] = {
    { .name = "target_shape",
      .kind = MOTH_OPTION_SHAPE,
      .fallback = MOTH_REQUIRED,
      .position = 1,
      .low = -1,
      .high = MOTH_NO_LIMIT,
      .doc = "shape of one sample; one -1 is worked out" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Reshape = {
    .entry = { "Reshape", "another shape for each sample", reshape_options },
    .min_rank = 1,
    .call = reshape_call,
};

/* ---- Permute ---- */

static moth_status permute_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int64_t dims[MOTH_MAX_RANK];
    int n = moth_config_ints(layer->config, "dims", dims, MOTH_MAX_RANK), rank = io->in[0]->meta.rank;
    moth_attrs attrs = { .i = { rank, 0 } };
    unsigned seen = 0;
    for (int d = 0; d < n && n == rank - 1; d++) {
        seen |= dims[d] <= n ? 1u << dims[d] : 0;
        attrs.i[2 + d] = dims[d];
    }
    if (n != rank - 1 || seen != (1u << rank) - 2) {
        char text[128];
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "dims must be a permutation of 1..%d for input %s", rank - 1,
                         moth_meta_text(&io->in[0]->meta, text, sizeof text));
    }
    io->out[0] = MOTH_DO(pass->scope, permute, &attrs, io->in[0]);
    io->out_mask = NULL;
    return pass->scope->status;
}

static const moth_option permute_options[] = {
    { .name = "dims",
      .kind = MOTH_OPTION_SHAPE,
      .fallback = MOTH_REQUIRED,
      .position = 1,
      .low = 1,
      .high = MOTH_MAX_RANK,
      .doc = "order of the dimensions of a sample, from 1" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Permute = {
    .entry = { "Permute", "another order of the dimensions of a sample", permute_options },
    .min_rank = 2,
    .call = permute_call,
};

/* ---- RepeatVector ---- */

static moth_status repeat_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    const moth_meta *m = &io->in[0]->meta;
    int64_t n = moth_config_int(layer->config, "n");
    moth_tensor *x = MOTH_DO(pass->scope, unsqueeze, &(moth_attrs){ .i = { 1 } }, io->in[0]);
    moth_attrs attrs = { .i = { 3, m->shape[0], n, m->shape[1] } };
    io->out[0] = MOTH_DO(pass->scope, expand, &attrs, x);
    io->out_mask = NULL;
    return pass->scope->status;
}

static const moth_option repeat_options[] = {
    { .name = "n",
      .kind = MOTH_OPTION_INT,
      .fallback = MOTH_REQUIRED,
      .position = 1,
      .low = 1,
      .high = MOTH_NO_LIMIT,
      .doc = "number of copies" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_RepeatVector = {
    .entry = { "RepeatVector", "(batch, k) becomes (batch, n, k)", repeat_options },
    .min_rank = 2,
    .max_rank = 2,
    .call = repeat_call,
};
