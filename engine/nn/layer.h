/* Layers: an entry of the layer table, normalized options, and the variables that it owns. A layer is a short function
 * over ops; run on tensors with data it computes, run on symbolic tensors it is traced. */
#ifndef MOTH_NN_LAYER_H
#define MOTH_NN_LAYER_H

#include "graph/graph.h"
#include "nn/option.h"

#define MOTH_MAX_LAYER_INPUTS 32
#define MOTH_MAX_LAYER_OUTPUTS 8

typedef struct moth_layer moth_layer;

/* One tensor that a layer owns. */
typedef struct moth_variable {
    moth_tensor *tensor;     /* a leaf with data */
    char *name;              /* "kernel" */
    bool trainable;          /* false: state, changed by assignment only */
    int inputs;              /* as in moth_variable_spec */
    moth_value *initializer; /* specs, owned; nil: zeros / none */
    moth_value *regularizer;
    moth_value *constraint;
} moth_variable;

/* One run through layers, eager or traced. */
typedef struct moth_pass {
    moth_ctx *ctx;
    moth_scope *scope; /* owns what is emitted */
    bool training;
    moth_tensor *mask;    /* uint8 (batch, time): steps of the predictions that losses and metrics count; NULL: all */
    moth_tensor *penalty; /* sum of the penalties on activations so far (0-d); NULL: none; owned by the scope */
} moth_pass;

enum { MOTH_MASKS_AS_THEY_ARE = -1 };

/* What goes in and out of one use of a layer. */
typedef struct moth_layer_io {
    int n_in;
    moth_tensor *const *in;
    moth_tensor *const *mask; /* those that the inputs carry, NULL where there is none; set while the layer runs */
    int use;                  /* which use of a shared layer, from 0: decides the draws */
    int n_out;                /* set by the layer */
    moth_tensor *out[MOTH_MAX_LAYER_OUTPUTS]; /* owned by the pass's scope */
    moth_tensor *out_mask; /* of out[0]; starts as mask[0] and is passed on unless the layer clears it */
    int n_masked;          /* so many outputs carry it; starts as 1; MOTH_MASKS_AS_THEY_ARE: out_mask says nothing */
} moth_layer_io;

typedef struct moth_layer_type {
    moth_entry entry;
    int min_in, max_in;     /* tensors it is called on; 0, 0 means exactly one; max_in < 0: any number */
    int min_rank, max_rank; /* of its inputs, batch included; 0: any */
    moth_dtype input_dtype; /* what Sequential declares for it as first layer */
    /* Checks options that depend on each other. NULL: nothing to check. */
    moth_status (*setup)(moth_layer *layer, moth_ctx *ctx);
    /* Adds variables for inputs of these shapes (first dim: rows). NULL: has none. */
    moth_status (*build)(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in);
    /* Emits the computation into pass->scope; failures may be left on the scope or returned. */
    moth_status (*call)(moth_layer *layer, moth_pass *pass, moth_layer_io *io);
} moth_layer_type;

struct moth_layer {
    int references;
    const moth_layer_type *type;
    moth_value *config; /* every option, normalized */
    char *name;         /* NULL until it is given or a model names it */
    bool trainable;     /* read at compile */
    bool building, built, initialized;
    uint64_t stream; /* base of its draws, from its place in a model */
    int n_variables;
    moth_variable *variables;
    moth_layer *inner;      /* of a wrapper; owned */
    moth_layer *inner_back; /* Bidirectional's second layer; owned */
    int n_in;               /* shapes it was built for */
    moth_meta built_for;    /* of the first input */
};

/* The table of layers, and the options that all layers take: name, trainable, input_shape (input_dim = n stands for
 * input_shape = {n}). */
extern const moth_kind moth_layers;
extern const moth_option moth_layer_options[];

/* A new layer (one reference). `given` as in moth_options_normalize. */
moth_status moth_layer_new(moth_ctx *ctx, const char *type, const moth_value *given, moth_layer **out);
moth_layer *moth_layer_retain(moth_layer *layer);
void moth_layer_release(moth_layer *layer); /* NULL is allowed */

/* Are its weights updated? Of layers inside it too; read at compile. */
void moth_layer_set_trainable(moth_layer *layer, bool trainable);

/* Name for messages: its own, or its type's. */
const char *moth_layer_name(const moth_layer *layer);

/* What kind of layer it is, as summaries say it: its type, or the name of a layer that is written elsewhere. */
const char *moth_layer_kind(const moth_layer *layer);

/* Names become paths of weights, entries of files and text on terminals: at most MOTH_MAX_NAME bytes, no control
 * characters. `what` is named in the error. */
enum { MOTH_MAX_NAME = 120 };
moth_status moth_check_name(moth_ctx *ctx, const char *what, const char *name);

/* Adds a variable while building (MOTH_ERR_STATE at other times), each under a name of its own; *out (may be NULL) is
 * borrowed. Data come with moth_layer_initialize. */
typedef struct moth_variable_spec {
    const char *name;
    int rank;
    int64_t shape[MOTH_MAX_RANK];
    bool state;                    /* not trainable */
    int inputs;                    /* its first dims are a unit's inputs, the rest units; 0: (window, input, output) */
    const moth_value *initializer; /* specs from the config, borrowed; NULL: none */
    const moth_value *regularizer;
    const moth_value *constraint;
} moth_variable_spec;
moth_status moth_layer_add_variable(moth_layer *layer, moth_ctx *ctx, const moth_variable_spec *spec,
                                    moth_tensor **out);

/* The tensor of variable k; NULL where there are fewer. */
static inline moth_tensor *moth_layer_weight(const moth_layer *layer, int k)
{
    return k < layer->n_variables ? layer->variables[k].tensor : NULL;
}
moth_tensor *moth_layer_find(const moth_layer *layer, const char *name); /* by name; NULL where there is none */

/* Makes the variables for inputs of these shapes, once; later calls check that the shapes still fit. */
moth_status moth_layer_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in);

/* Draws the initial values of all variables from (seed, stream); inner layers too. */
moth_status moth_layer_initialize(moth_layer *layer, moth_ctx *ctx, uint64_t seed, uint64_t stream);

/* Takes a place without drawing: the values come from elsewhere (a file). Inner layers too. */
void moth_layer_adopt(moth_layer *layer, uint64_t stream);

/* One use: builds and initializes if that has not happened, runs, puts the layer's name in front of failures. */
moth_status moth_layer_run(moth_layer *layer, moth_pass *pass, moth_layer_io *io);

/* Calls visit for each variable, inner layers included, in the order in which weights are listed. The path is
 * "layer/variable", "layer/inner/variable". A failure ends it. */
typedef moth_status (*moth_variable_visit)(void *user, moth_layer *layer, moth_variable *variable, const char *path);
moth_status moth_layer_each_variable(moth_layer *layer, moth_variable_visit visit, void *user);

/* ---- for layers ---- */

/* activation(x) by the layer's option `activation`, then its activity_regularizer; sets io->out[0]. */
moth_status moth_layer_finish(moth_layer *layer, moth_pass *pass, moth_layer_io *io, moth_tensor *y);

/* The layer's activity_regularizer on y, divided by the rows of the batch. */
void moth_layer_penalize(moth_layer *layer, moth_pass *pass, moth_tensor *y);

/* Adds a penalty (0-d) to the loss of the pass. */
void moth_pass_penalize(moth_pass *pass, moth_tensor *penalty);

/* Adds the penalty of a regularizer on y, divided by the rows of the batch. */
void moth_pass_penalize_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y);

/* "expected input of shape (batch, 784), got (128, 28, 28)"; dims < 0 mean any size. */
moth_status moth_layer_expect(moth_ctx *ctx, const moth_meta *got, int rank, const int64_t *shape);

/* The dim, from 0 with the batch, that an option `axis` means for an input of this rank: dims of a sample count from 1,
 * negatives from the end. */
moth_status moth_layer_axis(moth_ctx *ctx, int64_t axis, int rank, int *out);

/* Calls a function of the embedding language on tensors; results belong to the scope. */
moth_status moth_call_function(moth_pass *pass, moth_callback *f, int n_in, moth_tensor *const *in, int max_out,
                               moth_tensor **out, int *n_out);

#endif
