/* Layers that begin a sequence and say which of its steps count: Embedding, rows of a table by token id (counted from
 * 0), and Masking. The mask (batch, time) goes along to the layers behind: recurrent ones skip steps that do not count,
 * averages and losses leave them out. */
#include "nn/layer_options.h"

/* ---- Embedding ---- */

static moth_status embedding_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    (void)in;
    int64_t shape[2] = { moth_config_int(layer->config, "input_dim"), moth_config_int(layer->config, "output_dim") };
    return moth_layer_add_weight(layer, ctx, "embeddings", 2, shape);
}

static moth_status embedding_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    moth_tensor *ids = moth_emit_ids(pass->scope, io->in[0]);
    io->out[0] = MOTH_DO(pass->scope, index, &(moth_attrs){ .i = { 0 } }, moth_layer_weight(layer, 0), ids);
    io->out_mask = NULL;
    if (moth_config_bool(layer->config, "mask_zero") && ids && ids->meta.rank == 2) {
        io->out_mask = MOTH_DO(pass->scope, ne, NULL, ids, moth_emit_constant(pass->scope, 0));
    }
    return pass->scope->status;
}

#define SIZE(name_, place, doc_)                                                                        \
    {                                                                                                   \
        .name = name_, .kind = MOTH_OPTION_INT, .fallback = MOTH_REQUIRED, .position = place, .low = 1, \
        .high = INT32_MAX, .doc = doc_                                                                  \
    }

static const moth_option embedding_options[] = {
    SIZE("input_dim", 1, "number of ids: they are 0 .. input_dim - 1"),
    SIZE("output_dim", 2, "size of the vector of an id"),
    MOTH_OPTION_INITIALIZER("embeddings_initializer", "random_uniform"),
    MOTH_OPTION_REGULARIZER("embeddings_regularizer"),
    MOTH_OPTION_CONSTRAINT("embeddings_constraint"),
    { .name = "mask_zero",
      .kind = MOTH_OPTION_BOOL,
      .fallback = "false",
      .doc = "id 0 fills up short sequences: its steps do not count" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Embedding = {
    .entry = { "Embedding", "a trained vector for each token id", embedding_options },
    .min_rank = 1,
    .input_dtype = MOTH_INT32,
    .build = embedding_build,
    .call = embedding_call,
};

/* ---- Masking ---- */

/* A step counts when one of its values differs from mask_value; the others become 0. */
static moth_status masking_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    moth_scope *scope = pass->scope;
    moth_tensor *x = moth_emit_float(scope, io->in[0]);
    moth_tensor *value = moth_emit_constant(scope, moth_config_number(layer->config, "mask_value"));
    moth_attrs last = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = -1, [MOTH_REDUCE_KEEPDIM] = 1 } };
    moth_tensor *counts = MOTH_DO(scope, any, &last, MOTH_DO(scope, ne, NULL, x, value));
    io->out[0] = MOTH_DO(scope, where, NULL, counts, x, moth_emit_constant(scope, 0));
    io->out_mask = NULL;
    if (counts && counts->meta.rank == 3) {
        io->out_mask = moth_emit_reshape(scope, counts, 2, counts->meta.shape);
    }
    return scope->status;
}

static const moth_option masking_options[] = {
    { .name = "mask_value",
      .kind = MOTH_OPTION_NUMBER,
      .fallback = "0",
      .position = 1,
      .doc = "a step whose values all are this does not count" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Masking = {
    .entry = { "Masking", "steps that are filled with one value do not count", masking_options },
    .min_rank = 2,
    .call = masking_call,
};
