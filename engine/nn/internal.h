/* What the files of a model share: those that grow its graph (model_sequential.c, model_functional.c), name its layers
 * (model_names.c) and own it (model.c). */
#ifndef MOTH_NN_INTERNAL_H
#define MOTH_NN_INTERNAL_H

#include "nn/model.h"

/* A model without layers; the name may be NULL. */
moth_status moth_model_new(moth_ctx *ctx, const char *name, bool sequential, moth_model **out);

/* Room for one more pointer in a list of `count`, given by the address of its first. */
moth_status moth_model_grow(moth_model *model, void *list, int count);

/* The model comes to own the use. */
moth_status moth_model_keep_use(moth_model *model, moth_use *use);

/* Gives a layer that joins the model a name that is free in it. Auto names count per type inside the model, so a file
 * does not depend on what else was made before. A layer that another model named so gets a new name where its own is
 * taken; those of `others`, which follow, are left to them. */
moth_status moth_model_name_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others);

bool moth_model_has_layer(const moth_model *model, const moth_layer *layer);

/* The layer joins the model: named, and owned. */
moth_status moth_model_take_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others);

/* Draws the weights of a layer that has none yet; one that is shared with an older model keeps its own. */
moth_status moth_model_draw_layer(moth_model *model, int position);

#endif
