/* Model files: safetensors with the architecture in their metadata.
 *
 *   metadata: format = "moth", format_version = "1", moth_version, model (JSON, nn/architecture.h), training (JSON:
 *             what compile was given, the optimizer and its counters; absent for a model that was never compiled)
 *   tensors:  LAYER/VARIABLE, optimizer/LAYER/VARIABLE/SLOT
 *
 * A loaded model goes on training to the same bits as one that was never saved. Loading checks everything and changes
 * nothing when it fails. */
#ifndef MOTH_TRAIN_CHECKPOINT_H
#define MOTH_TRAIN_CHECKPOINT_H

#include "nn/architecture.h"
#include "train/trainer.h"

#define MOTH_MODEL_FORMAT_VERSION 1

/* Room for the name of a tensor in the file. */
enum { MOTH_CHECKPOINT_NAME = 640 };

/* Writes the whole model, or its weights alone. All or nothing, by way of a temporary file. */
moth_status moth_checkpoint_save(moth_model *model, const char *path);
moth_status moth_checkpoint_save_weights(moth_model *model, const char *path);

/* Reads a model (one reference). compile: restore optimizer and losses too, where the file has them. make: as in
 * moth_model_from_value. */
moth_status moth_checkpoint_load(moth_ctx *ctx, const char *path, bool compile, moth_layer_maker make, void *user,
                                 moth_model **out);

/* Fills the weights of a model of the same layers; optimizer and counters stay. */
moth_status moth_checkpoint_load_weights(moth_model *model, const char *path);

/* Goes on in a compiled model from a file that save wrote of the same model: weights, slots, counters, rate, seed. */
moth_status moth_checkpoint_resume(moth_model *model, const char *path);

/* The architecture as JSON text, and back as a model with new weights. *text is freed by moth_free. */
moth_status moth_checkpoint_to_json(moth_model *model, int indent, char **text);
moth_status moth_checkpoint_from_json(moth_ctx *ctx, const char *text, moth_layer_maker make, void *user,
                                      moth_model **out);

#endif
