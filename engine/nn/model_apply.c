/* A model called on symbols: every use of a layer in its graph, once more. */
#include "nn/model.h"

/* The symbols that stand for the outputs of each use; owned by apply. */
typedef struct image {
    moth_symbol *out[MOTH_MAX_LAYER_OUTPUTS];
} image;

static image *image_of(const moth_model *model, image *images, const moth_use *use)
{
    int n = 0;
    while (model->uses[n] != use) {
        n++;
    }
    return &images[n];
}

static moth_status take_inputs(const moth_model *model, int n_in, moth_symbol *const *in, image *images)
{
    if (n_in != model->n_inputs) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "%s: the model has %d inputs, got %d", model->name,
                         model->n_inputs, n_in);
    }
    for (int k = 0; k < n_in; k++) {
        const moth_meta *want = moth_symbol_meta(model->inputs[k]);
        if (moth_layer_expect(model->ctx, moth_symbol_meta(in[k]), want->rank, want->shape) != MOTH_OK) {
            return moth_fail_prefix(model->ctx, "%s", model->name);
        }
        image_of(model, images, model->inputs[k]->use)->out[0] = moth_symbol_retain(in[k]);
    }
    return MOTH_OK;
}

static moth_status apply_uses(const moth_model *model, image *images)
{
    moth_symbol *in[MOTH_MAX_LAYER_INPUTS];
    for (int n = 0; n < model->n_uses; n++) {
        const moth_use *use = model->uses[n];
        int n_out = 0;
        for (int i = 0; i < use->n_in; i++) {
            in[i] = image_of(model, images, use->in[i]->use)->out[use->in[i]->output];
        }
        if (use->layer) {
            MOTH_TRY(moth_symbol_apply(model->ctx, use->layer, use->n_in, in, images[n].out, &n_out));
        }
    }
    return MOTH_OK;
}

moth_status moth_model_apply(moth_model *model, int n_in, moth_symbol *const *in, moth_symbol **out)
{
    if (!model->built) {
        const moth_meta *m = moth_symbol_meta(in[0]);
        MOTH_TRY(moth_model_build(model, m->dtype, m->rank - 1, m->shape + 1));
    }
    image *images = moth_calloc((size_t)model->n_uses * sizeof *images);
    if (!images) {
        return moth_fail_memory(model->ctx, model->n_uses * (int64_t)sizeof *images);
    }
    moth_status status = take_inputs(model, n_in, in, images);
    if (status == MOTH_OK) {
        status = apply_uses(model, images);
    }
    for (int k = 0; status == MOTH_OK && k < model->n_outputs; k++) {
        const moth_symbol *s = model->outputs[k];
        out[k] = moth_symbol_retain(image_of(model, images, s->use)->out[s->output]);
    }
    for (int n = 0; n < model->n_uses; n++) {
        for (int k = 0; k < MOTH_MAX_LAYER_OUTPUTS; k++) {
            moth_symbol_release(images[n].out[k]);
        }
    }
    moth_free(images);
    return status;
}
