/* MultiHeadAttention (Vaswani et al. 2017): every step of the query takes a mean of the values, weighted by how well
 * its query vector fits their key vectors; several such heads work side by side.
 *
 *   query (batch, t, …), value (batch, s, …), key (batch, s, …), which is the value where it is not given
 *   head n: softmax(q k^T / sqrt(key_dim)) v with q, k, v = linear(query), linear(key), linear(value)
 *
 * Called on one tensor it attends to itself. Steps of value and key that a mask leaves out are not looked at; the mask
 * of the query goes along to the result, whose steps that do not count take all steps of the value alike, as in Keras.
 */
#include <math.h>
#include <stdio.h>

#include "core/random.h"
#include "nn/layer_options.h"

enum { QUERY, KEY, VALUE, OUTPUT };

static const char *const parts[] = { "query", "key", "value", "attention_output" };

static int64_t size_of(const moth_layer *layer, const char *option, int64_t other)
{
    return moth_config_has(layer->config, option) ? moth_config_int(layer->config, option) : other;
}

/* ---- weights: a kernel and a bias for each part ---- */

/* The kernel of a part, whose first dims (`inputs` of them) are those of its input; or, with no inputs, its bias. */
static moth_status add(moth_layer *layer, moth_ctx *ctx, int part, int inputs, int rank, const int64_t *shape)
{
    const char *what = inputs ? "kernel" : "bias";
    char name[48], option[48];
    const moth_value *specs[3];
    static const char *const suffix[] = { "initializer", "regularizer", "constraint" };
    snprintf(name, sizeof name, "%s/%s", parts[part], what);
    for (int k = 0; k < 3; k++) {
        snprintf(option, sizeof option, "%s_%s", what, suffix[k]);
        specs[k] = moth_value_get(layer->config, option);
    }
    moth_variable_spec spec = { .name = name,
                                .rank = rank,
                                .inputs = inputs,
                                .initializer = specs[0],
                                .regularizer = specs[1],
                                .constraint = specs[2] };
    for (int d = 0; d < rank; d++) {
        spec.shape[d] = shape[d];
    }
    return moth_layer_add_variable(layer, ctx, &spec, NULL);
}

static moth_status attention_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    int64_t heads = moth_config_int(layer->config, "num_heads"), key = moth_config_int(layer->config, "key_dim");
    int64_t value = size_of(layer, "value_dim", key), query_in = in[0]->shape[2];
    int64_t value_in = in[n_in > 1 ? 1 : 0]->shape[2], key_in = n_in > 2 ? in[2]->shape[2] : value_in;
    int64_t kernel[4][3] = { { query_in, heads, key },
                             { key_in, heads, key },
                             { value_in, heads, value },
                             { heads, value, size_of(layer, "output_shape", query_in) } };
    for (int part = QUERY; part <= OUTPUT; part++) {
        MOTH_TRY(add(layer, ctx, part, part == OUTPUT ? 2 : 1, 3, kernel[part]));
        if (moth_config_bool(layer->config, "use_bias")) {
            int rank = part == OUTPUT ? 1 : 2;
            MOTH_TRY(add(layer, ctx, part, 0, rank, kernel[part] + 3 - rank));
        }
    }
    return MOTH_OK;
}

/* x by the kernel and bias of a part, as matrices. A penalty on activations is one on those of every part, as in
 * Keras. */
static moth_tensor *projected(moth_layer *layer, moth_pass *pass, int part, moth_tensor *x)
{
    bool biased = moth_config_bool(layer->config, "use_bias");
    moth_tensor *w = moth_layer_weight(layer, part * (1 + biased)), *b = NULL;
    const int64_t *s = w->meta.shape;
    int64_t matrix[2] = { part == OUTPUT ? s[0] * s[1] : s[0], part == OUTPUT ? s[2] : s[1] * s[2] };
    w = moth_emit_reshape(pass->scope, w, 2, matrix);
    moth_tensor *y;
    if (biased) {
        b = moth_emit_reshape(pass->scope, moth_layer_weight(layer, 2 * part + 1), 1, matrix + 1);
        y = MOTH_DO(pass->scope, linear, NULL, x, w, b);
    } else {
        y = MOTH_DO(pass->scope, linear, NULL, x, w);
    }
    moth_layer_penalize(layer, pass, y);
    return y;
}

/* (batch, steps, heads n) <-> (batch, heads, steps, n) */
static moth_tensor *by_heads(moth_pass *pass, moth_tensor *x, int64_t heads)
{
    moth_attrs order = { .i = { 4, 0, 2, 1, 3 } };
    if (!x) {
        return NULL;
    }
    int64_t shape[4] = { x->meta.shape[0], x->meta.shape[1], heads, x->meta.shape[2] / heads };
    return MOTH_DO(pass->scope, permute, &order, moth_emit_reshape(pass->scope, x, 4, shape));
}

static moth_tensor *heads_joined(moth_pass *pass, moth_tensor *x)
{
    moth_attrs order = { .i = { 4, 0, 2, 1, 3 } };
    if (!x) {
        return NULL;
    }
    int64_t shape[3] = { x->meta.shape[0], x->meta.shape[2], x->meta.shape[1] * x->meta.shape[3] };
    return moth_emit_reshape(pass->scope, MOTH_DO(pass->scope, permute, &order, x), 3, shape);
}

/* ---- which steps are looked at ---- */

/* (t, s): step i of the query sees the steps up to i. */
static moth_tensor *causal_mask(moth_pass *pass, int64_t t, int64_t s)
{
    moth_tensor *mask;
    if (pass->scope->status != MOTH_OK) {
        return NULL;
    }
    moth_status status = moth_tensor_new(pass->ctx, MOTH_UINT8, 2, (int64_t[]){ t, s }, &mask);
    if (status != MOTH_OK) {
        moth_scope_fail(pass->scope, status);
        return NULL;
    }
    for (int64_t i = 0; i < t * s; i++) {
        moth_tensor_set_element(mask, i, i % s <= i / s);
    }
    return moth_scope_own(pass->scope, mask);
}

/* Scores (batch, heads, t, s), far below all others where (mask broadcast) they do not count. */
static moth_tensor *hidden(moth_pass *pass, moth_tensor *scores, moth_tensor *mask)
{
    return MOTH_DO(pass->scope, where, NULL, mask, scores, moth_emit_constant(pass->scope, -1e9));
}

/* The mask of an input hides columns (its steps are looked at) or rows (its steps look). */
static moth_tensor *hidden_steps(moth_pass *pass, moth_tensor *scores, moth_tensor *mask, bool rows)
{
    if (!mask || !scores) {
        return scores;
    }
    int64_t shape[4] = { mask->meta.shape[0], 1, 1, 1 };
    shape[rows ? 2 : 3] = mask->meta.shape[1];
    return hidden(pass, scores, moth_emit_reshape(pass->scope, mask, 4, shape));
}

static moth_tensor *masked(moth_layer *layer, moth_pass *pass, const moth_layer_io *io, moth_tensor *scores)
{
    scores = hidden_steps(pass, scores, io->mask[0], true);
    for (int i = io->n_in > 1 ? 1 : 0; i < io->n_in; i++) { /* of value and key */
        scores = hidden_steps(pass, scores, io->mask[i], false);
    }
    if (scores && moth_config_bool(layer->config, "use_causal_mask")) {
        scores = hidden(pass, scores, causal_mask(pass, scores->meta.shape[2], scores->meta.shape[3]));
    }
    return scores;
}

/* ---- the layer ---- */

static moth_status check_shapes(const moth_layer *layer, moth_pass *pass, const moth_layer_io *io)
{
    int width = 1 + moth_config_bool(layer->config, "use_bias");
    for (int i = 0; i < io->n_in; i++) {
        int part = i == 0 ? QUERY : (i == 1 ? VALUE : KEY);
        int64_t shape[3] = { -1, -1, moth_layer_weight(layer, part * width)->meta.shape[0] };
        MOTH_TRY(moth_layer_expect(pass->ctx, &io->in[i]->meta, 3, shape));
        if (io->in[i]->meta.shape[0] != io->in[0]->meta.shape[0] ||
            (i == 2 && io->in[2]->meta.shape[1] != io->in[1]->meta.shape[1])) {
            char a[128], b[128];
            return moth_fail(
                pass->ctx, MOTH_ERR_SHAPE, "%s, got %s and %s",
                i == 2 ? "value and key must have the same steps" : "query and value must have the same rows",
                moth_meta_text(&io->in[i == 2]->meta, a, sizeof a), moth_meta_text(&io->in[i]->meta, b, sizeof b));
        }
    }
    return MOTH_OK;
}

static moth_status attention_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    MOTH_TRY(check_shapes(layer, pass, io));
    int64_t heads = moth_config_int(layer->config, "num_heads");
    double rate = moth_config_number(layer->config, "dropout");
    moth_tensor *query = io->in[0], *value = io->in[io->n_in > 1 ? 1 : 0], *key = io->n_in > 2 ? io->in[2] : value;
    moth_tensor *q = by_heads(pass, projected(layer, pass, QUERY, moth_emit_float(pass->scope, query)), heads);
    moth_tensor *k = by_heads(pass, projected(layer, pass, KEY, moth_emit_float(pass->scope, key)), heads);
    moth_tensor *v = by_heads(pass, projected(layer, pass, VALUE, moth_emit_float(pass->scope, value)), heads);
    moth_attrs transposed = { .i = { 0, 1 } };
    q = moth_emit_scaled(pass->scope, q, 1 / sqrt((double)moth_config_int(layer->config, "key_dim")));
    moth_tensor *scores = masked(layer, pass, io, MOTH_DO(pass->scope, matmul, &transposed, q, k));
    moth_tensor *share = MOTH_DO(pass->scope, softmax, &(moth_attrs){ .i = { -1 } }, scores);
    if (pass->training && rate > 0) {
        moth_attrs drop = { .i = { (int64_t)moth_stream(layer->stream, "dropout", (uint64_t)io->use) }, .f = { rate } };
        share = MOTH_DO(pass->scope, dropout, &drop, share);
    }
    moth_tensor *seen = heads_joined(pass, MOTH_DO(pass->scope, matmul, NULL, share, v));
    io->out[0] = projected(layer, pass, OUTPUT, seen);
    return pass->scope->status;
}

#define SIZE(name_, fallback_, place, doc_)                                                         \
    {                                                                                               \
        .name = name_, .kind = MOTH_OPTION_INT, .fallback = fallback_, .position = place, .low = 1, \
        .high = MOTH_NO_LIMIT, .doc = doc_                                                          \
    }

static const moth_option attention_options[] = {
    SIZE("num_heads", MOTH_REQUIRED, 1, "heads that work side by side"),
    SIZE("key_dim", MOTH_REQUIRED, 2, "size of the query and key vectors of a head"),
    SIZE("value_dim", NULL, 3, "size of its value vectors; nil: key_dim"),
    { .name = "dropout",
      .kind = MOTH_OPTION_NUMBER,
      .fallback = "0",
      .position = 4,
      .low = 0,
      .high = 1,
      .doc = "share of the weights that are set to 0 in training" },
    SIZE("output_shape", NULL, 0, "size of the result; nil: that of the query"),
    { .name = "use_causal_mask",
      .kind = MOTH_OPTION_BOOL,
      .fallback = "false",
      .doc = "no step looks at those after it" },
    MOTH_OPTIONS_KERNEL_BIAS,
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_MultiHeadAttention = {
    .entry = { "MultiHeadAttention", "steps of the query take means of the steps of the value, as far as they fit",
               attention_options },
    .min_in = 1,
    .max_in = 3,
    .min_rank = 3,
    .max_rank = 3,
    .build = attention_build,
    .call = attention_call,
};
