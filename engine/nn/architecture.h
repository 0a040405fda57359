/* The architecture of a model as a value that JSON can hold, and back:
 *
 *   { class: "Sequential" | "Model", name, seed, stream, step,
 *     inputs:  [ { name, dtype, shape } ],
 *     layers:  [ { class, config, stream } ],                    each layer once
 *     uses:    [ { layer, from: [ [use, output], … ] } ],        Model only; inputs are the first uses
 *     outputs: [ { use, output, name } ] }
 *
 * A fresh model draws weights and place of its own, so there name, seed, stream and step may be left out, as may a
 * config without options and the dtype float32. 64-bit numbers are written as hexadecimal text: JSON readers elsewhere
 * know doubles only. A file holds no code: a function is left out where the layer says who it is (Lambda, Custom), and
 * an error anywhere else. */
#ifndef MOTH_NN_ARCHITECTURE_H
#define MOTH_NN_ARCHITECTURE_H

#include "nn/model.h"

/* Makes a layer from its type and options where the file cannot hold all of it (functions). NULL, or a result of NULL
 * with MOTH_OK: the engine makes it. */
typedef moth_status (*moth_layer_maker)(void *user, moth_ctx *ctx, const char *type, const moth_value *config,
                                        moth_layer **out);

moth_status moth_model_to_value(moth_model *model, moth_value **out);

/* fresh: the model draws weights and place anew; else it takes seed and place from the value, and its weights are
 * zeros for the caller to fill. */
moth_status moth_model_from_value(moth_ctx *ctx, const moth_value *value, bool fresh, moth_layer_maker make, void *user,
                                  moth_model **out);

/* Takes seed, place and step count from the value of a model with the same layers: its draws go on from there. */
moth_status moth_model_adopt(moth_model *model, const moth_value *value);

#endif
