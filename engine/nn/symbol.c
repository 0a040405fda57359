/* Describing a graph of layers: inputs, uses, symbols. */
#include <stdatomic.h>
#include <string.h>

#include "nn/model.h"

static atomic_uint_fast64_t next_serial = 1;

void moth_use_release(moth_use *use)
{
    if (!use || --use->references > 0) {
        return;
    }
    /* A model keeps all its uses, so chains end here one by one; a graph that no model took is as deep as it was
     * typed. */
    for (int i = 0; i < use->n_in; i++) {
        moth_symbol_release(use->in[i]);
    }
    moth_free(use->in);
    moth_free(use->input_name);
    moth_layer_release(use->layer);
    moth_free(use);
}

moth_symbol *moth_symbol_retain(moth_symbol *s)
{
    if (s) {
        s->references++;
    }
    return s;
}

void moth_symbol_release(moth_symbol *s)
{
    if (s && --s->references == 0) {
        moth_use_release(s->use);
        moth_free(s);
    }
}

const moth_meta *moth_symbol_meta(const moth_symbol *s)
{
    return &s->use->out_meta[s->output];
}

/* Takes no reference of the caller's; each symbol adds one to the use. */
static moth_status symbol_new(moth_ctx *ctx, moth_use *use, int output, moth_symbol **out)
{
    moth_symbol *s = moth_calloc(sizeof *s);
    if (!s) {
        return moth_fail_memory(ctx, (int64_t)sizeof *s);
    }
    *s = (moth_symbol){ .references = 1, .use = use, .output = output };
    use->references++;
    *out = s;
    return MOTH_OK;
}

static moth_status use_new(moth_ctx *ctx, moth_layer *layer, int n_in, moth_symbol *const *in, moth_use **out)
{
    moth_use *use = moth_calloc(sizeof *use);
    if (!use) {
        return moth_fail_memory(ctx, (int64_t)sizeof *use);
    }
    use->references = 1;
    use->layer = moth_layer_retain(layer);
    use->serial = atomic_fetch_add(&next_serial, 1);
    use->in = moth_calloc(((size_t)n_in + 1) * sizeof(moth_symbol *));
    if (!use->in) {
        moth_use_release(use);
        return moth_fail_memory(ctx, n_in * 8);
    }
    for (; use->n_in < n_in; use->n_in++) {
        use->in[use->n_in] = moth_symbol_retain(in[use->n_in]);
    }
    *out = use;
    return MOTH_OK;
}

moth_status moth_symbol_input(moth_ctx *ctx, const char *name, moth_dtype dtype, int rank, const int64_t *shape,
                              moth_symbol **out)
{
    if (rank < 0 || rank >= MOTH_MAX_RANK) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "Input: a sample has 0 to %d dimensions, got %d", MOTH_MAX_RANK - 1,
                         rank);
    }
    moth_use *use;
    MOTH_TRY(use_new(ctx, NULL, 0, NULL, &use));
    moth_meta *m = &use->out_meta[0];
    use->n_out = 1;
    m->dtype = dtype;
    m->rank = rank + 1;
    m->shape[0] = -1;
    for (int d = 0; d < rank; d++) {
        m->shape[d + 1] = shape[d];
    }
    moth_status status = moth_meta_check(ctx, m);
    if (status == MOTH_OK) {
        moth_meta_set_contiguous(m);
    } else {
        moth_fail_prefix(ctx, "Input");
    }
    if (status == MOTH_OK && name) {
        status = moth_check_name(ctx, "Input", name);
    }
    if (status == MOTH_OK && name) {
        use->input_name = moth_strdup(name);
        status = use->input_name ? MOTH_OK : moth_fail_memory(ctx, 16);
    }
    if (status == MOTH_OK) {
        status = symbol_new(ctx, use, 0, out);
    }
    moth_use_release(use);
    return status;
}

moth_status moth_symbol_name_input(moth_ctx *ctx, moth_symbol *input, const char *name)
{
    MOTH_TRY(moth_check_name(ctx, "Input", name));
    char *copy = moth_strdup(name);
    if (!copy) {
        return moth_fail_memory(ctx, 16);
    }
    moth_free(input->use->input_name);
    input->use->input_name = copy;
    return MOTH_OK;
}

/* Runs the layer on placeholders to learn the shapes; what it would assign to variables is dropped. */
static moth_status trace_shapes(moth_ctx *ctx, moth_use *use)
{
    moth_tensor *in[MOTH_MAX_LAYER_INPUTS] = { 0 };
    moth_graph graph;
    moth_scope scope;
    moth_trace_begin(ctx, &graph);
    moth_scope_open(&scope, ctx);
    moth_pass pass = { .ctx = ctx, .scope = &scope };
    moth_status status = MOTH_OK;
    for (int i = 0; i < use->n_in && status == MOTH_OK; i++) {
        const moth_meta *m = moth_symbol_meta(use->in[i]);
        status = moth_placeholder(ctx, m->dtype, m->rank, m->shape, &in[i]);
        moth_scope_own(&scope, status == MOTH_OK ? in[i] : NULL);
    }
    if (status == MOTH_OK) {
        moth_layer_io io = { .n_in = use->n_in, .in = in };
        status = moth_layer_run(use->layer, &pass, &io);
        use->n_out = io.n_out;
        for (int k = 0; k < io.n_out && status == MOTH_OK; k++) {
            use->out_meta[k] = io.out[k]->meta;
        }
    }
    moth_scope_close(&scope, 0, NULL, NULL);
    moth_trace_end(ctx, &graph);
    moth_graph_clear(&graph);
    return status;
}

moth_status moth_symbol_apply(moth_ctx *ctx, moth_layer *layer, int n_in, moth_symbol *const *in, moth_symbol **out,
                              int *n_out)
{
    const moth_meta *metas[MOTH_MAX_LAYER_INPUTS];
    if (n_in > MOTH_MAX_LAYER_INPUTS) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: takes at most %d tensors, got %d", moth_layer_name(layer),
                         MOTH_MAX_LAYER_INPUTS, n_in);
    }
    for (int i = 0; i < n_in; i++) {
        metas[i] = moth_symbol_meta(in[i]);
    }
    if (moth_layer_build(layer, ctx, n_in, metas) != MOTH_OK) {
        return moth_fail_prefix(ctx, "%s", moth_layer_name(layer));
    }
    moth_use *use;
    MOTH_TRY(use_new(ctx, layer, n_in, in, &use));
    /* weights come when a model takes the layer; shapes do not need them */
    bool initialized = layer->initialized;
    layer->initialized = true;
    moth_status status = trace_shapes(ctx, use);
    layer->initialized = initialized;
    int made = 0;
    while (made < use->n_out && status == MOTH_OK) {
        status = symbol_new(ctx, use, made, &out[made]);
        made += status == MOTH_OK;
    }
    if (status == MOTH_OK) {
        *n_out = use->n_out;
    } else {
        for (int k = 0; k < made; k++) {
            moth_symbol_release(out[k]);
        }
    }
    moth_use_release(use);
    return status;
}
