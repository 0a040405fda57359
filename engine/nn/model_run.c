/* Running a model: each use of a layer once, oldest first, on what the uses before it gave. */
#include <string.h>

#include "nn/model.h"

/* What a use computed in this run. */
typedef struct result {
    moth_tensor *out[MOTH_MAX_LAYER_OUTPUTS];
} result;

static int use_number(const moth_model *model, const moth_use *use)
{
    for (int i = 0; i < model->n_uses; i++) {
        if (model->uses[i] == use) {
            return i;
        }
    }
    return -1;
}

int moth_model_use_index(const moth_model *model, int n)
{
    int index = 0;
    for (int i = 0; i < n; i++) {
        index += model->uses[i]->layer == model->uses[n]->layer;
    }
    return index;
}

static moth_status run_use(moth_model *model, moth_pass *pass, result *results, int n)
{
    const moth_use *use = model->uses[n];
    moth_tensor *in[MOTH_MAX_LAYER_INPUTS];
    for (int i = 0; i < use->n_in; i++) {
        in[i] = results[use_number(model, use->in[i]->use)].out[use->in[i]->output];
    }
    moth_layer_io io = { .n_in = use->n_in, .in = in, .use = moth_model_use_index(model, n) };
    MOTH_TRY(moth_layer_run(use->layer, pass, &io));
    memcpy(results[n].out, io.out, sizeof io.out);
    return MOTH_OK;
}

static moth_status check_input(moth_model *model, int k, const moth_tensor *t)
{
    const moth_meta *want = moth_symbol_meta(model->inputs[k]);
    if (moth_layer_expect(model->ctx, &t->meta, want->rank, want->shape) == MOTH_OK) {
        return MOTH_OK;
    }
    const char *input_name = model->inputs[k]->use->input_name;
    return moth_fail_prefix(model->ctx, "%s",
                            input_name            ? input_name
                            : model->n_layers > 0 ? model->layers[0]->name
                                                  : model->name);
}

static moth_status run_graph(moth_model *model, moth_pass *pass, moth_tensor *const *in, moth_tensor **out,
                             result *results)
{
    for (int k = 0; k < model->n_inputs; k++) {
        MOTH_TRY(check_input(model, k, in[k]));
        results[use_number(model, model->inputs[k]->use)].out[0] = in[k];
    }
    for (int n = 0; n < model->n_uses; n++) {
        if (model->uses[n]->layer) {
            MOTH_TRY(run_use(model, pass, results, n));
        }
    }
    for (int k = 0; k < model->n_outputs; k++) {
        const moth_symbol *s = model->outputs[k];
        out[k] = results[use_number(model, s->use)].out[s->output];
    }
    return MOTH_OK;
}

moth_status moth_model_run(moth_model *model, moth_pass *pass, moth_tensor *const *in, moth_tensor **out)
{
    if (!model->built) {
        MOTH_TRY(moth_model_build(model, in[0]->meta.dtype, in[0]->meta.rank - 1, in[0]->meta.shape + 1));
    }
    result *results = moth_calloc(((size_t)model->n_uses + 1) * sizeof *results);
    if (!results) {
        return moth_fail_memory(model->ctx, model->n_uses * (int64_t)sizeof *results);
    }
    moth_status status = run_graph(model, pass, in, out, results);
    moth_free(results);
    return status;
}
