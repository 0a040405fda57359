/* Models: a directed acyclic graph of uses of layers. A Sequential is the same graph grown one layer at a time. */
#ifndef MOTH_NN_MODEL_H
#define MOTH_NN_MODEL_H

#include "nn/layer.h"

/* One use of a layer, or an input of a model (layer NULL). Owned by its symbols and by the uses that follow. */
typedef struct moth_use {
    int references;
    moth_layer *layer; /* NULL: an input */
    char *input_name;  /* of an input; NULL: none given */
    int n_in;
    struct moth_symbol **in; /* owned references */
    int n_out;
    moth_meta out_meta[MOTH_MAX_LAYER_OUTPUTS];
    uint64_t serial; /* grows with every use: a topological order */
} moth_use;

/* A value in the graph of a model that is being described: output k of a use. */
typedef struct moth_symbol {
    int references;
    moth_use *use; /* owned reference */
    int output;
} moth_symbol;

/* An input for samples of this shape (dims without the batch). */
moth_status moth_symbol_input(moth_ctx *ctx, const char *name, moth_dtype dtype, int rank, const int64_t *shape,
                              moth_symbol **out);
/* Gives an input a name, in place of the one it may have. */
moth_status moth_symbol_name_input(moth_ctx *ctx, moth_symbol *input, const char *name);
/* layer(in…): builds the layer for these shapes and finds the shapes that come out. out has room for
 * MOTH_MAX_LAYER_OUTPUTS; each is a new reference. */
moth_status moth_symbol_apply(moth_ctx *ctx, moth_layer *layer, int n_in, moth_symbol *const *in, moth_symbol **out,
                              int *n_out);
const moth_meta *moth_symbol_meta(const moth_symbol *s); /* first dim: rows */
moth_symbol *moth_symbol_retain(moth_symbol *s);
void moth_symbol_release(moth_symbol *s); /* NULL is allowed */
void moth_use_release(moth_use *use);     /* NULL is allowed */

struct moth_model {
    int references;
    moth_ctx *ctx;
    char *name;
    bool sequential;
    bool built;          /* the graph is complete: input shapes are known */
    int n_layers;        /* each once, in the order of the graph */
    moth_layer **layers; /* owned */
    int n_uses;
    moth_use **uses; /* owned; oldest first; inputs included */
    int n_inputs, n_outputs;
    moth_symbol **inputs, **outputs; /* owned */
    char **output_names;             /* given by the user, or the name of the layer */
    uint64_t seed;                   /* key of its draws */
    uint64_t stream;                 /* from its ordinal since moth_seed */
    uint64_t step;                   /* training steps so far */
    void *trainer;                   /* what compile made; owned through free_trainer */
    void (*free_trainer)(void *trainer);
};

/* An empty Sequential; layers follow by moth_model_add_layer. */
moth_status moth_model_sequential(moth_ctx *ctx, const char *name, moth_model **out);
/* Says what goes in, as the first thing that is added. Gains a reference. */
moth_status moth_model_set_input(moth_model *model, moth_symbol *input);
/* Adds a layer (gains a reference). Builds it at once when the input's shape is known, which the first layer may say
 * (input_shape). A layer stands once in a Sequential. */
moth_status moth_model_add_layer(moth_model *model, moth_layer *layer);
/* Adds the layers of another Sequential, which they go on to belong to as well. */
moth_status moth_model_add_model(moth_model *model, const moth_model *other);
/* Completes a Sequential whose input shape was not given; nothing to do when it is built. */
moth_status moth_model_build(moth_model *model, moth_dtype dtype, int rank, const int64_t *shape);

/* The graph between inputs and outputs. Names may be NULL. Fails when an output depends on an input that is not
 * listed. */
moth_status moth_model_functional(moth_ctx *ctx, const char *name, int n_inputs, moth_symbol *const *inputs,
                                  int n_outputs, moth_symbol *const *outputs, const char *const *output_names,
                                  moth_model **out);

/* The model as if it were a layer: its layers used once more, in the same way, on other symbols. They are shared, so
 * that what one model learns the other knows. out has room for the outputs; each is a new reference. */
moth_status moth_model_apply(moth_model *model, int n_in, moth_symbol *const *in, moth_symbol **out);

/* Draws all weights anew from `seed` and forgets the step count. */
moth_status moth_model_redraw(moth_model *model, uint64_t seed);

/* The number of use n among the uses of its layer in this model, from 0: it tells their draws apart, here and in a
 * model read from a file. */
int moth_model_use_index(const moth_model *model, int n);
/* Runs the graph on tensors (concrete or symbolic) in pass->scope; out[k] belongs to the scope. */
moth_status moth_model_run(moth_model *model, moth_pass *pass, moth_tensor *const *in, moth_tensor **out);

/* Visits all variables in the order in which weights are listed. */
moth_status moth_model_each_variable(moth_model *model, moth_variable_visit visit, void *user);

moth_layer *moth_model_layer(const moth_model *model, const char *name); /* borrowed; NULL where there is none */

#endif
